"""The agents in memory."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Connection, event

from distribution.domain.agent import AgentView, Capability, Description, Health
from distribution.domain.liveness import Liveness
from distribution.errors import UnknownError
from distribution.fleet import agents
from distribution.fleet.registry import SEEN_EVERY, SWEEP_STEPS, Registry
from distribution.fleet.rows import view_of
from keys.identity import AgentId
from storage.database import Database
from storage.errors import SchemaError
from tests.fakes.databases import opened

AGENT = AgentId(UUID("0192f2a1-7c3e-7abc-8def-0123456789ab"))
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
SEEN = AgentView(AGENT.uuid, connected=True, last_seen=NOW)
TOKEN = {"ring": "token", "site": "here"}


def _token_labels(agent: AgentId) -> Mapping[str, str]:
    return TOKEN if agent == AGENT else {}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as found:
        yield found


def test_stranger_has_a_view_but_is_not_found(database: Database) -> None:
    """A first message needs a view to start from; an operator's question does not."""
    registry = Registry(database, _token_labels)
    assert registry.view(AGENT) == AgentView(AGENT.uuid, labels=TOKEN)
    with pytest.raises(UnknownError, match=str(AGENT)):
        registry.find(AGENT)


def test_what_was_kept_survives_a_restart(database: Database) -> None:
    """After a flush another registry knows the agent, and that it is not connected now."""
    registry = Registry(database, _token_labels)
    registry.keep(SEEN)
    assert registry.flush() == 1
    assert Registry(database, _token_labels).find(AGENT) == replace(SEEN, connected=False, labels=TOKEN)


def test_operator_labels_lie_over_the_tokens(database: Database) -> None:
    """After `relabel` an operator's label wins, and the token's others stay."""
    registry = Registry(database, _token_labels)
    registry.introduce(AGENT)
    with database.write() as connection:
        registry.set_labels(connection, AGENT, {"ring": "operator"})
    assert registry.find(AGENT).labels == TOKEN
    registry.relabel([AGENT])
    assert registry.find(AGENT).labels == {"ring": "operator", "site": "here"}
    assert Registry(database, _token_labels).find(AGENT).labels == {"ring": "operator", "site": "here"}


def test_labels_can_be_taken_back(database: Database) -> None:
    """An empty set of an operator's labels leaves the token's."""
    registry = Registry(database, _token_labels)
    registry.introduce(AGENT)
    for labels in ({"ring": "operator"}, {}):
        with database.write() as connection:
            agents.set_labels(connection, AGENT, labels)
        registry.relabel()
    assert registry.labels(AGENT) == TOKEN


def test_heartbeat_is_written_rarely(database: Database) -> None:
    """A message that changes nothing but its time is not written until the stored time is stale."""
    registry = Registry(database, _token_labels)
    registry.keep(SEEN)
    registry.flush()
    registry.keep(replace(SEEN, last_seen=NOW + timedelta(seconds=30), sequence=4))
    assert registry.flush() == 0
    registry.keep(replace(SEEN, last_seen=NOW + SEEN_EVERY))
    assert registry.flush() == 1
    registry.keep(replace(SEEN, last_seen=NOW))  # the clock was set back
    assert registry.flush() == 1


@pytest.mark.parametrize(
    "news", [{"connected": False}, {"health": Health(healthy=True)}, {"problem": "x"}], ids=str
)
def test_news_is_written(database: Database, news: dict[str, object]) -> None:
    """Anything else that changed is written by the next flush."""
    registry = Registry(database, _token_labels)
    registry.keep(SEEN)
    registry.flush()
    registry.keep(replace(SEEN, **news))  # type: ignore[arg-type] # any part
    assert registry.flush() == 1


def test_failed_flush_keeps_what_it_had(database: Database) -> None:
    """What could not be written is written the next time, without overwriting what is newer."""
    registry = Registry(database, _token_labels)
    registry.keep(SEEN)
    with database.write() as connection:
        agents.agents.drop(connection)
    with pytest.raises(SchemaError):
        registry.flush()
    with database.write() as connection:
        agents.agents.create(connection)
    newer = replace(SEEN, problem="newer")
    registry.keep(newer)
    assert registry.flush() == 1
    with database.read() as connection:
        assert [view_of(row) for row in agents.every(connection)] == [newer]


def test_slow_reader_does_not_bring_old_labels_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wake-up of all that read before a label was changed must not overwrite it afterwards."""
    registry = Registry(database, _token_labels)
    registry.introduce(AGENT)
    real, has_read, go_on = agents.labels_of, threading.Event(), threading.Event()

    def slow(connection: Connection, among: Iterable[AgentId] | None = None) -> dict[UUID, dict[str, str]]:
        found = real(connection, among)
        if among is None:
            has_read.set()
            go_on.wait(1)
        return found

    monkeypatch.setattr(agents, "labels_of", slow)
    waker = threading.Thread(target=registry.relabel)
    waker.start()
    has_read.wait()
    with database.write() as connection:
        agents.set_labels(connection, AGENT, {"ring": "operator"})
    operator = threading.Thread(target=registry.relabel, args=([AGENT],))
    operator.start()
    operator.join(0.2)
    go_on.set()
    waker.join()
    operator.join()
    assert registry.labels(AGENT)["ring"] == "operator"


@pytest.mark.parametrize("said_again", [False, True], ids=["heartbeat", "all of it again"])
def test_no_message_that_brings_no_news_is_written(database: Database, *, said_again: bool) -> None:
    """Neither a heartbeat nor a description that is as before costs a row, on an old or a new connection."""
    registry = Registry(database, _token_labels)
    words = {"description": Description({"a": "b"}, {}), "health": Health(healthy=True)}
    registry.keep(replace(SEEN, **words))  # type: ignore[arg-type] # any part
    registry.flush()
    anew = {"description": Description({"a": "b"}, {}), "health": Health(healthy=True)}
    for number in range(1, 9):
        later = replace(SEEN, last_seen=NOW + timedelta(seconds=30 * number), sequence=number)
        registry.keep(replace(later, **(anew if said_again else words)))  # type: ignore[arg-type] # any part
    assert registry.flush() == 0


def test_a_thousand_changes_are_one_transaction(database: Database) -> None:
    """However many agents changed, a flush commits once, and one without news not at all."""
    registry = Registry(database, _token_labels)
    commits: list[object] = []
    event.listen(database._engine, "commit", commits.append)
    for number in range(1000):
        registry.keep(AgentView(UUID(int=number + 1), connected=True, last_seen=NOW))
    assert (registry.flush(), len(commits)) == (1000, 1)
    assert (registry.flush(), len(commits)) == (0, 1)


def test_more_than_a_flush_takes_waits_for_the_next(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction stays bounded, and nobody is left out."""
    monkeypatch.setattr("distribution.fleet.registry.FLUSH_MAX", 3)
    registry = Registry(database, _token_labels)
    for number in range(7):
        registry.keep(AgentView(UUID(int=number + 1), last_seen=NOW))
    assert [registry.flush() for _ in range(4)] == [3, 3, 1, 0]


def test_only_what_changed_is_written(database: Database) -> None:
    """What an agent did not say again is not in the statement; its row keeps it."""
    registry = Registry(database, _token_labels)
    registry.keep(replace(SEEN, description=Description({"a": "b"}, {})))
    registry.flush()
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        statements.append(statement)

    event.listen(database._engine, "before_cursor_execute", note)
    view = registry.find(AGENT)
    registry.keep(replace(view, health=Health(healthy=True)))
    registry.flush()
    assert not [text for text in statements if text.startswith("UPDATE agents")]
    [written] = [text for text in statements if text.startswith("INSERT INTO agent_status")]
    assert "health" in written
    registry.keep(replace(view, health=Health(healthy=True), last_seen=NOW + SEEN_EVERY))
    registry.flush()
    assert "health" not in statements[-1]
    again = Registry(database, _token_labels)
    assert again.find(AGENT).description == Description({"a": "b"}, {})


def test_who_has_a_heartbeat_of_its_own_is_not_stale_before_it_is_due(database: Database) -> None:
    """It is asked for by the agent's labels as they are now, and only of an agent that is late."""
    asked: list[AgentView] = []

    def own_beat(view: AgentView) -> timedelta | None:
        asked.append(view)
        return timedelta(minutes=5)

    registry = Registry(database, _token_labels, own_beat=own_beat)
    able = Capability.REPORTS_HEARTBEAT | Capability.ACCEPTS_CONNECTION_SETTINGS
    registry.keep(replace(SEEN, capabilities=able, connected=True))
    for seconds, expected in ((90, Liveness.CONNECTED), (900, Liveness.CONNECTED), (901, Liveness.STALE)):
        for _ in range(SWEEP_STEPS + 2):
            registry.sweep(NOW + timedelta(seconds=seconds))
        assert registry.live(AGENT) is expected, seconds
        assert bool(asked) is (seconds > 90)
    assert asked[0].labels == TOKEN
