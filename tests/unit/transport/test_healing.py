"""What happens when the database is there again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import pytest

from distribution.flows.pulse import Pulse
from distribution.transport.healing import Healing
from distribution.transport.hub import Hub
from storage.database import Database
from storage.errors import UnavailableError
from tests.fakes.certificates import agent


class Moody:
    """A database that is there or away, with so many commits that nobody knows of."""

    def __init__(self) -> None:
        self.away = False
        self.doubts = 3

    @contextmanager
    def read(self) -> Iterator[None]:
        if self.away:
            raise UnavailableError("away")
        yield

    write_relaxed = read


class Bed:
    """Healing, and what comes of it in order."""

    def __init__(self) -> None:
        self.database = Moody()
        self.done: list[object] = []
        self.hub = Hub(before_wake=self._decide)
        database = cast("Database", self.database)
        pulse = Pulse(database, lambda: 0.0)
        self.healing = Healing(
            pulse,
            database,
            self.hub,
            readmit=lambda: self.done.append("readmitted"),
            relabel=lambda: self.done.append("relabelled"),
        )

    def _decide(self, agents: object) -> None:
        if self.database.away:
            raise UnavailableError("away")
        self.done.append(agents)

    def beat(self) -> list[object]:
        """Beat once; return what was done."""
        self.done = []
        self.healing.beat()
        return self.done


@pytest.fixture
def bed() -> Bed:
    return Bed()


def test_while_it_is_there_nothing_is_done(bed: Bed) -> None:
    """Nobody is woken each second."""
    assert [bed.beat(), bed.beat()] == [[], []]


def test_everybody_is_woken_when_it_comes_back(bed: Bed) -> None:
    """With the labels that it has then; once."""
    bed.database.away = True
    assert bed.beat() == []
    bed.database.away = False
    assert bed.beat() == ["relabelled", None]
    assert bed.beat() == []


def test_a_doubt_wakes_everybody(bed: Bed) -> None:
    """The database was never seen to be away. Who is let in is read again: it may be one fewer."""
    bed.database.doubts += 1
    assert bed.beat() == ["readmitted", "relabelled", None]
    assert bed.beat() == []


def test_who_could_not_be_woken_is_woken_later(bed: Bed) -> None:
    """The commit went through, and the database was gone right after it; its operator is told no error."""
    bed.database.away = True
    bed.hub.wake([agent(1)])
    with pytest.raises(UnavailableError):
        bed.hub.prepare()
    bed.database.away = False
    assert bed.beat() == ["relabelled", {agent(1)}]
    bed.hub.prepare()
    assert bed.done[-1] == ()
