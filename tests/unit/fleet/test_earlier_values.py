"""What variables were before: the last of each, each once, sealed; gone with a reset."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from distribution.fleet import config_assignments, earlier_values
from distribution.fleet.earlier_values import KEPT_MAX
from keys.identity import AgentId
from keys.sealing import Seal, new_seal_key
from storage.database import Database
from tests.fakes.certificates import agent
from tests.fakes.configured import NOW
from tests.fakes.databases import opened

WHO = agent(1)
SEAL = Seal([new_seal_key().strip()], "seal")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as found:
        yield found


def give(database: Database, who: AgentId = WHO, seal: Seal = SEAL, **given: str | None) -> None:
    with database.write() as connection:
        config_assignments.set_values(connection, who, given, seal=seal, actor="operator:ann", now=NOW)


def earlier(database: Database, who: AgentId = WHO) -> list[str | None]:
    """Return an agent's earlier values, sorted."""
    with database.read() as connection:
        found = [
            earlier_values.opened(one, SEAL)
            for one in connection.scalars(earlier_values.OF_AGENT, {"agent": str(who)})
        ]
    return sorted(found, key=str)


def test_what_is_replaced_or_taken_away_stays(database: Database) -> None:
    """And nothing else: not the present one, nor one that is set again as it is."""
    give(database, a="1", b="x")
    give(database, a="1", c=None)
    assert earlier(database) == []
    give(database, a="2")
    give(database, b=None)
    assert earlier(database) == ["1", "x"]
    with database.read() as connection:
        sealed = config_assignments.ever_set(connection, WHO)
    assert sorted(map(SEAL.open, sealed)) == ["1", "2", "x"]


def test_the_last_of_each_variable_stay(database: Database) -> None:
    """So many and no more, of each variable of each agent by itself."""
    for number in range(KEPT_MAX + 3):
        give(database, a=f"{number:03}")
    give(database, b="x")
    give(database, b="y")
    give(database, agent(2), a="z")
    give(database, agent(2), a=None)
    assert earlier(database) == [*(f"{number:03}" for number in range(2, KEPT_MAX + 2)), "x"]
    assert earlier(database, agent(2)) == ["z"]


def test_values_that_come_again_push_out_none(database: Database) -> None:
    """Each value is kept once, so that two that are set in turn leave the others their places."""
    give(database, a="first")
    for number in range(KEPT_MAX + 5):
        give(database, a=f"turn-{number % 2}")
    assert earlier(database) == ["first", "turn-0", "turn-1"]


def test_values_under_a_lost_seal_stay(database: Database) -> None:
    """What cannot be opened is not taken for the same as another."""
    for value in ("1", "2"):
        give(database, seal=Seal([new_seal_key().strip()], "lost"), a=value)
    give(database, a="3")
    assert earlier(database) == [None, None]


def test_a_reset_takes_them(database: Database) -> None:
    """The next holder of the uid is another one; others keep theirs."""
    for who in (WHO, agent(2)):
        for value in ("1", "2"):
            give(database, who, a=value)
    with database.write() as connection:
        assert config_assignments.take_values(connection, WHO, actor="operator:ann", now=NOW) == ("a",)
        assert config_assignments.ever_set(connection, WHO) == ()
    assert (earlier(database), earlier(database, agent(2))) == ([], ["1"])
