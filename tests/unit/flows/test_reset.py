"""A reset: nothing that was meant for the former holder of a uid waits for its next one."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from distribution.domain.agent import AgentView, Capability
from distribution.fleet import agreements, config_assignments, documents
from distribution.fleet.documents import Document, Kind
from distribution.fleet.registry import Registry
from distribution.flows import revoke
from distribution.flows.deploy import label_agent
from distribution.flows.reset import Reset, reset
from keys.certificate import Reason
from keys.errors import RefusedError
from keys.sealing import Seal, new_seal_key
from storage.errors import UnavailableError
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import agent, new_key
from tests.fakes.databases import journalled
from tests.fakes.live_connections import LiveConnections

ANN = "operator:ann"
WHO = agent(1)
SEAL = Seal([new_seal_key().strip()], "test")


@dataclass
class Scene:
    """One enrolled agent with all that is kept of it."""

    work: AtWork
    registry: Registry
    connections: LiveConnections

    def reset(self, *, lift_ban: bool = False, leave: bool = False) -> Reset:
        return reset(
            self.work.authority,
            self.connections,
            self.work.database,
            self.registry,
            WHO,
            lift_ban=lift_ban,
            leave_given_to_next_holder=leave,
            actor=ANN,
            clock=self.work.clock,
            stopwatch=lambda: 1.0,
        )

    def given(self) -> tuple[list[str], dict[str, str]]:
        """Return the names of its values and the labels that operators gave it, from the database."""
        with self.work.database.read() as connection:
            names = [one.name for one in config_assignments.names_of(connection, WHO)]
        return names, dict(Registry(self.work.database, lambda _: {}).labels(WHO))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with at_work(tmp_path) as work:
        issued = work.enroll(new_key(), WHO, work.token(labels={"ring": "a"}))
        made = Scene(
            work, Registry(work.database, work.admission.labels_of), LiveConnections({issued.serial: 1})
        )
        made.registry.introduce(WHO)
        made.registry.keep(
            AgentView(WHO.uuid, capabilities=Capability.REPORTS_STATUS, last_seen=work.clock())
        )
        label_agent(
            work.database, made.connections, made.registry, WHO, {"env": "prod"}, actor=ANN, now=work.clock()
        )
        with work.database.write() as connection:
            config_assignments.set_values(
                connection, WHO, {"key": "s3cret"}, seal=SEAL, actor=ANN, now=work.clock()
            )
            documents.keep(connection, WHO, Kind.EFFECTIVE, Document("d", "[]", work.clock()))
            agreements.keep(connection, WHO, "d", work.clock())
        made.connections.woken.clear()
        yield made


def test_what_operators_gave_it_is_taken_away(scene: Scene) -> None:
    """Labels and values, before the uid is free; the journal tells what, and no value of a variable."""
    found = scene.reset()
    assert (found.labels, found.values) == (("env",), ("key",))
    assert scene.given() == ([], {})
    assert dict(scene.registry.labels(WHO)) == {"ring": "a"}
    assert scene.connections.prepared == 1  # all is read again
    assert scene.connections.woken == []  # and its former holder is told nothing else
    entries = journalled(scene.work.database)
    kinds = [entry.kind for entry in entries]
    assert kinds[-3:] == ["agent.stripped", "agent.reset", "connection.cut"]
    assert entries[-3].detail == {"labels": {"env": "prod"}, "values": ["key"]}
    assert found.notes == (
        "what operators gave it was taken away, its next holder may be another one: label env, value key",
    )


def test_what_it_said_is_forgotten(scene: Scene) -> None:
    """By that it would be decided what the next one holds already."""
    scene.registry.flush()
    scene.reset()
    scene.registry.flush()
    for registry in (scene.registry, Registry(scene.work.database, lambda _: {})):
        view = registry.find(WHO)
        assert (view.capabilities, view.last_seen, view.connected) == (Capability.NONE, None, False)
    with scene.work.database.read() as connection:
        assert documents.find(connection, WHO, Kind.EFFECTIVE) is None
        assert agreements.find(connection, WHO) == ""


def test_its_connections_are_cut(scene: Scene) -> None:
    """The receipt is the one of a revocation."""
    [serial] = scene.work.admission.serials_of(WHO)
    found = scene.reset()
    assert found.cut == revoke.Cut(WHO, (serial,), 1, 0.0)
    assert scene.connections.cuts == [((serial,), f"agent {WHO} was reset")]
    assert scene.reset().cut.serials == (serial,)


def test_what_was_given_is_left_where_an_operator_says_so(scene: Scene) -> None:
    """By the plain name of what it means; what the agent said is forgotten all the same."""
    found = scene.reset(leave=True)
    assert scene.given() == (["key"], {"env": "prod"})
    assert found.notes == (
        "what operators gave it is left to whoever enrolls under its uid next: label env, value key",
    )
    assert scene.registry.find(WHO).last_seen is None
    assert "agent.stripped" not in scene.work.kinds()


def test_one_that_may_not_be_reset_keeps_everything(scene: Scene) -> None:
    """Nothing is taken before it is known that the reset is allowed."""
    scene.work.authority.revoke(WHO, Reason.UNSPECIFIED, ANN, scene.work.clock(), ban=True)
    with pytest.raises(RefusedError, match="is banned since"):
        scene.reset()
    assert scene.given() == (["key"], {"env": "prod"})
    assert scene.reset(lift_ban=True).values == ("key",)


def test_a_gateway_is_said_to_need_its_role_anew(scene: Scene) -> None:
    """In words, also when the command is repeated; of others nothing of the kind is said."""
    scene.work.gateway(WHO)
    for _ in range(2):
        found = scene.reset()
        assert "it was a gateway, and the role ended" in found.notes[0]
        assert "grant it anew and admit its agents again" in found.notes[0]
    assert scene.work.grants.roles() == []


def test_a_role_that_was_taken_away_on_purpose_is_not_asked_for_again(scene: Scene) -> None:
    """Whoever took it away before the reset does not want it back; it is not named."""
    scene.work.clock.advance(timedelta(minutes=1))
    scene.work.gateway(WHO)
    scene.work.grants.revoke_gateway(WHO, ANN, scene.work.clock())
    scene.work.clock.advance(timedelta(minutes=1))
    assert [note for note in scene.reset().notes if "gateway" in note] == []


def test_a_role_that_went_with_the_credentials_is_said_to_be_needed_anew(scene: Scene) -> None:
    """A revocation ended it, nobody took it away by name."""
    scene.work.gateway(WHO)
    scene.work.clock.advance(timedelta(minutes=1))
    scene.work.authority.revoke(WHO, Reason.UNSPECIFIED, ANN, scene.work.clock())
    scene.work.clock.advance(timedelta(minutes=1))
    assert "it was a gateway" in scene.reset().notes[0]


def test_a_reset_that_came_no_further_is_done_whole_the_next_time(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was given is taken, and then the database does not answer: plans still hold it at the next try."""

    def away() -> None:
        raise UnavailableError("away")

    with monkeypatch.context() as patch:
        patch.setattr(scene.connections, "prepare", away)
        with pytest.raises(UnavailableError):
            scene.reset()
    assert scene.given() == ([], {})
    assert scene.work.admission.serials_of(WHO), "the uid is free, and plans are of before"
    assert (scene.reset().values, scene.connections.prepared) == ((), 1)


@pytest.mark.parametrize("leave", [False, True])
def test_earlier_values_of_the_former_holder(scene: Scene, leave: bool) -> None:  # noqa: FBT001 - a case
    """Also where he has no value any more, unless all is left to the next one."""
    with scene.work.database.write() as connection:
        config_assignments.set_values(
            connection, WHO, {"key": None}, seal=SEAL, actor=ANN, now=scene.work.clock()
        )
    scene.reset(leave=leave)
    with scene.work.database.read() as connection:
        assert len(config_assignments.ever_set(connection, WHO)) == leave
