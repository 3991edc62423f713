"""What is remembered of an agent over its connections."""

from dataclasses import replace

from distribution.domain.agent import AgentView
from distribution.flows.kept import Kept
from distribution.protocol.pacing import Offered
from distribution.protocol.session import Session, Standing
from tests.fakes.certificates import NOW, agent

WHO = AgentView(agent(1).uuid, last_seen=NOW)
OFFERED = Offered(b"settings", 1, NOW)


def test_settings_offered_are_known_on_the_next_connection_until_they_are_taken_away() -> None:
    """Else a reconnect would hurry an offer, and what is given again would wait as a repetition."""
    kept = Kept()
    before = Session(WHO, Standing.CURRENT)
    offered = replace(before, connections=OFFERED)
    kept.keep(before, offered)
    assert kept.begin(WHO, Standing.CURRENT).connections is OFFERED
    kept.keep(offered, replace(offered, connections=None))
    assert kept.begin(WHO, Standing.CURRENT).connections is None
