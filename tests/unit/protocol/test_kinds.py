"""Which agents are of one kind, and of which they are after an offer."""

from dataclasses import replace
from uuid import UUID

import pytest

from distribution.domain.agent import Capability, Description, PackageState
from distribution.domain.connections import ConnectionState, ConnectionStatus
from distribution.protocol import kinds
from distribution.protocol.alike import Alike
from distribution.protocol.kinds import Kind, Kinds
from distribution.protocol.pacing import NEVER, Earlier, Offered
from distribution.protocol.session import Session, Standing
from tests.fakes.offers import a_status, an_offer
from tests.fakes.session_parts import HELD, NOW, PLAN, a_failure, a_session, greeted

OTHER_UID = UUID("0192f2a1-7c3e-7abc-8def-ffffffffffff")
RING: dict[str, object] = {"labels": {"ring": "a"}}
OFFERED = Offered(b"o" * 32, 1, NOW)


def known(**parts: object) -> Session:
    """Return a greeted session whose view says so much."""
    session = greeted()
    return replace(session, view=replace(session.view, **parts))  # type: ignore[arg-type] # any part of a view


def kind_of(among: Kinds, session: Session) -> Kind:
    """Return the kind, which there must be."""
    found = among.of(session, None)
    assert found is not None
    return found


def test_agents_that_differ_by_their_own_affairs_are_of_one_kind() -> None:
    """Equal words of two agents are other objects, and one kind; uid, time and number make none."""
    among = Kinds()
    description = Description({"service.instance.id": "x"}, {"os.type": "linux", "host.arch": "amd64"})
    one = known(labels={"ring": "a"}, packages=a_status(PackageState.FAILED, an_offer(), error="e"))
    other = known(
        labels={"ring": "a"},
        packages=a_status(PackageState.FAILED, an_offer(), error="e"),
        uid=OTHER_UID,
        sequence=77,
        last_seen=None,
        description=description,
    )
    assert kind_of(among, one) is kind_of(among, other)


@pytest.mark.parametrize(
    "session",
    [
        known(labels={"ring": "b"}),
        known(labels={}),
        known(labels={"ring": "a", "site": "b"}),
        known(**RING, description=Description({}, {"os.type": "linux", "host.arch": "arm64"})),
        known(**RING, description=None),
        known(**RING, capabilities=Capability.REPORTS_STATUS),
        known(**RING, problem="no channel applies"),
        known(**RING, packages=HELD),
        known(**RING, packages=a_failure()),
        known(**RING, packages=a_status(PackageState.DOWNLOADING, an_offer())),
        known(**RING, connections=ConnectionStatus(ConnectionState.FAILED, b"h")),
        replace(known(**RING), connections=OFFERED),
        replace(known(**RING), earlier=Earlier(OFFERED)),
        replace(known(**RING), offered=OFFERED),
        replace(known(**RING), config=OFFERED),
    ],
)
def test_whatever_a_decision_depends_on_makes_another_kind(session: Session) -> None:
    """Of two agents that differ in it, neither is told what was decided for the other."""
    among = Kinds()
    assert kind_of(among, session) is not kind_of(among, known(**RING))


@pytest.mark.parametrize(
    "session",
    [
        replace(known(), standing=Standing.NEXT),
        replace(known(), greeted=False),
        a_session(Standing.ENROLLING),
    ],
)
def test_who_is_yet_to_be_greeted_is_of_no_kind(session: Session) -> None:
    """What is said to it is its own affair."""
    assert Kinds().of(session, None) is None


def test_after_an_offer_they_are_of_the_kind_that_was_offered_it() -> None:
    """It is found with the decision, and again by the state that comes of it."""
    among, session = Kinds(), known()
    kind = kind_of(among, session)
    assert (kind.found, kind.after, kind.decided_in, kind.until) == (None, None, None, NEVER)
    found, decided_in = Alike().push(session, None, PLAN, NOW), object()
    assert found is not None
    among.note(kind, found, NOW, decided_in)
    assert (kind.found, kind.decided_in, kind.until) == (found, decided_in, NOW)
    assert kind.after is not None
    assert kind.after is not kind
    assert kind.after is among.of(session, found)
    assert kind.after is among.of(
        found.over(replace(session, view=replace(session.view, uid=OTHER_UID))), None
    )


def test_what_is_each_ones_own_affair_leads_nowhere() -> None:
    """And is not taken for what was decided earlier."""
    among, session = Kinds(), known()
    kind = kind_of(among, session)
    among.note(kind, Alike().push(session, None, PLAN, NOW), NOW, object())
    among.note(kind, None, NEVER, object())
    assert (kind.found, kind.after) == (None, None)


def test_kinds_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents that are all different do not fill the memory; those of a kind find each other again later."""
    monkeypatch.setattr(kinds, "KINDS_MAX", 2)
    among = Kinds()
    first = kind_of(among, known(labels={"n": "0"}))
    assert kind_of(among, known(labels={"n": "0"})) is first
    for number in range(1, 4):
        kind_of(among, known(labels={"n": str(number)}))
    anew = kind_of(among, known(labels={"n": "0"}))
    assert anew is not first
    assert kind_of(among, known(labels={"n": "0"})) is anew


def test_where_an_offer_changes_nothing_they_stay_of_their_kind() -> None:
    """And the kind does not hold itself."""
    among, session = Kinds(), known(packages=HELD)
    kind = kind_of(among, session)
    found = Alike().push(session, None, PLAN, NOW)
    assert found is not None
    assert found.bare
    among.note(kind, found, NOW, object())
    assert kind.after is None
    assert among.of(session, found) is kind
