"""What is remembered of an agent from one connection to the next."""

from dataclasses import replace
from uuid import UUID

from distribution.domain.agent import AgentView, Capability, PackagesReport, Report
from distribution.flows.kept import Kept
from distribution.protocol.asking import Asked
from distribution.protocol.pacing import Earlier, Offered
from distribution.protocol.package_events import Notes
from distribution.protocol.session import Session, Standing
from tests.fakes.session_parts import NOW

VIEW = AgentView(UUID("0192f2a1-7c3e-7abc-8def-0123456789ab"), last_seen=NOW)
BEFORE = Session(VIEW, Standing.CURRENT)
OFFERED = Offered(b"settings", 1, NOW)
ASKED = Asked(NOW, 2)


def test_nothing_is_known_of_a_stranger() -> None:
    """Its connection begins with what the fleet knows of it."""
    assert Kept().begin(VIEW, Standing.NEXT) == Session(VIEW, Standing.NEXT)


def test_settings_and_questions_are_brought_along() -> None:
    """A new connection begins where the last one was; another agent's does not."""
    kept, other = Kept(), UUID(int=1 << 80)
    kept.keep(BEFORE, replace(BEFORE, connections=OFFERED, asked=ASKED))
    begun = kept.begin(VIEW, Standing.CURRENT)
    assert (begun.connections, begun.asked) == (OFFERED, ASKED)
    assert kept.begin(replace(VIEW, uid=other), Standing.CURRENT).asked is None


def test_settings_that_were_taken_away_are_forgotten() -> None:
    """Given again on another connection, they are no repetition that has to wait."""
    kept, offered = Kept(), replace(BEFORE, connections=OFFERED)
    kept.keep(BEFORE, offered)
    kept.keep(offered, replace(offered, connections=None))
    assert kept.begin(VIEW, Standing.CURRENT).connections is None


def test_an_agent_that_was_reset_begins_anew() -> None:
    """The fleet has not heard of it: what was remembered is of its life before."""
    kept, anew = Kept(), replace(VIEW, last_seen=None)
    kept.keep(BEFORE, replace(BEFORE, connections=OFFERED, asked=ASKED))
    assert kept.begin(anew, Standing.CURRENT) == Session(anew, Standing.CURRENT)


def test_an_answered_question_is_forgotten() -> None:
    """Nothing is remembered of an agent that owes nothing."""
    kept, asked = Kept(), replace(BEFORE, asked=ASKED)
    kept.keep(BEFORE, asked)
    kept.keep(asked, replace(asked, asked=Asked(NOW, 0)))
    assert kept.begin(VIEW, Standing.CURRENT).asked is None


def test_package_events_are_counted_over_connections() -> None:
    """A new connection gives no new share of the journal; a message without packages counts nothing."""
    kept, notes = Kept(), Notes(NOW, 7)
    report = Report(VIEW.uid, 1, Capability.NONE, packages=PackagesReport())
    kept.keep(BEFORE, replace(BEFORE, notes=notes), report)
    assert kept.counted(BEFORE, report).notes == notes
    assert kept.counted(BEFORE, Report(VIEW.uid, 1, Capability.NONE)).notes is None


def test_offers_are_brought_along_as_earlier_ones() -> None:
    """The last of each kind, whichever connection it was made on; another agent has none."""
    kept, packages, config = Kept(), Offered(b"p", 1, NOW), Offered(b"c", 2, NOW)
    kept.keep(BEFORE, replace(BEFORE, offered=packages))
    kept.keep(BEFORE, replace(BEFORE, config=config))
    begun = kept.begin(VIEW, Standing.CURRENT)
    assert begun.earlier == Earlier(packages, config)
    assert (begun.offered, begun.config) == (None, None)
    assert kept.begin(replace(VIEW, uid=UUID(int=5)), Standing.CURRENT).earlier == Earlier()


def test_nothing_is_left_of_a_former_holder() -> None:
    """After a reset nothing is known of the agent, on its second connection as on its first."""
    kept, reset = Kept(), replace(VIEW, last_seen=None)
    kept.keep(BEFORE, replace(BEFORE, connections=OFFERED, asked=ASKED, offered=OFFERED))
    assert kept.begin(reset, Standing.CURRENT) == Session(reset, Standing.CURRENT)
    kept.drop(VIEW.uid)
    assert kept.begin(VIEW, Standing.CURRENT) == Session(VIEW, Standing.CURRENT)
