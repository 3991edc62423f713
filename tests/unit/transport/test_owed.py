"""Agents that are owed a wake-up."""

from collections.abc import Set as AbstractSet

import pytest

from distribution.transport.owed import Owed
from keys.identity import AgentId
from storage.errors import UnavailableError
from tests.fakes.certificates import agent

ONE, TWO = agent(1), agent(2)
Woken = list[AbstractSet[AgentId] | None]


def test_nobody_is_owed_anything_at_first() -> None:
    """Nobody is woken for nothing."""
    owed, woken = Owed(), Woken()
    owed.note(())
    assert not owed
    owed.pay(woken.append)
    assert woken == []


def test_what_is_owed_is_paid_once() -> None:
    """All that were noted, together."""
    owed, woken = Owed(), Woken()
    owed.note([ONE])
    owed.note([TWO])
    assert owed
    owed.pay(woken.append)
    owed.pay(woken.append)
    assert woken == [{ONE, TWO}]


def test_everybody_is_more_than_some() -> None:
    """Whoever was noted before or after."""
    owed, woken = Owed(), Woken()
    owed.note([ONE])
    owed.note(None)
    owed.note([TWO])
    owed.pay(woken.append)
    assert woken == [None]


@pytest.mark.parametrize("who", [frozenset([ONE]), None])
def test_what_could_not_be_paid_is_owed_still(who: AbstractSet[AgentId] | None) -> None:
    """The database went away again."""
    owed, woken = Owed(), Woken()

    def fails(_: AbstractSet[AgentId] | None) -> None:
        raise UnavailableError("away")

    owed.note(who)
    with pytest.raises(UnavailableError):
        owed.pay(fails)
    owed.pay(woken.append)
    assert woken == [who]
