"""Two operators at once, on every database: of two changes based on one state one is made, one refused."""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier
from typing import Protocol

import pytest

from distribution.domain.assignment import Channel
from distribution.domain.connection_choice import Kind, Setting
from distribution.domain.connections import Destination
from distribution.domain.package import PackageType, Release, Version
from distribution.domain.states import NEW
from distribution.errors import ConflictError
from distribution.fleet.registry import Registry
from distribution.flows import connections, deploy, grant
from distribution.flows.configuration import values
from distribution.flows.configuration.versions import Parts
from distribution.flows.grant import Granting
from keys.gateways import Admits
from keys.profile import AgentProfile
from keys.sealing import Seal, new_seal_key
from storage.database import Database, migrate
from tests.contract.database_places import PLACES, fresh
from tests.fakes.authority import AtWork
from tests.fakes.certificates import DOMAIN, NOW, agent, new_key, small_ca
from tests.fakes.configured import SpokenValidator
from tests.fakes.databases import journalled
from tests.fakes.live_connections import LiveConnections

WHO = agent(1)
ROUNDS = 5


class Act(Protocol):
    """Changes the thing, based on a state."""

    def __call__(self, state: str | None, word: str) -> object: ...


@dataclass
class Desk:
    """What operators change."""

    database: Database
    live: LiveConnections = field(default_factory=LiveConnections)
    seal: Seal = field(default_factory=lambda: Seal([new_seal_key().strip()], "test"))

    def __post_init__(self) -> None:
        self.work = AtWork(self.database, small_ca(), AgentProfile(DOMAIN))
        self.registry = Registry(self.database, self.work.admission.labels_of)
        self.granting = Granting(self.work.grants, self.work.authority, self.live, self.registry.introduce)
        self.work.enroll(new_key(), WHO, self.work.token())
        self.registry.introduce(WHO)

    def point(self, state: str | None, word: str) -> object:
        channel = Channel("stable", "acme", "otelcol", Version.parse("1.0.0"), selector={"ring": word})
        release = Release("acme", "otelcol", channel.version, PackageType.TOP_LEVEL, {})
        return deploy.set_channel(
            self.database, self.live, channel,
            find=lambda *_: release, floor=lambda *_: None, actor=word, now=NOW, at_state=state,
        )  # fmt: skip

    def unpoint(self, state: str | None, word: str) -> object:
        return deploy.remove_channel(self.database, self.live, "stable", actor=word, now=NOW, at_state=state)

    def connect(self, state: str | None, word: str) -> object:
        setting = Setting("m", Kind.METRICS, {}, Destination("https://otlp/v1/metrics", {"A": word}))
        return connections.set_setting(
            self.database, self.live, setting, seal=self.seal, actor=word, now=NOW, at_state=state
        )

    def disconnect(self, state: str | None, word: str) -> object:
        return connections.remove_setting(self.database, self.live, "m", actor=word, now=NOW, at_state=state)

    def label(self, state: str | None, word: str) -> object:
        deploy.label_agent(
            self.database, self.live, self.registry, WHO, {"ring": word}, actor=word, now=NOW, at_state=state
        )
        return None

    def bestow(self, state: str | None, word: str) -> object:
        return grant.grant_gateway(
            self.granting, WHO, Admits.NEW, {"ring": word}, actor=word, now=NOW, at_state=state
        )

    def demote(self, state: str | None, word: str) -> object:
        return grant.revoke_gateway(self.granting, WHO, actor=word, now=NOW, at_state=state)

    def value(self, state: str | None, word: str) -> object:
        parts = Parts(self.database, self.live, SpokenValidator(), self.seal)
        return values.set_values(parts, WHO, {"key": word}, actor=word, now=NOW, at_state=state)

    def channel_state(self) -> str:
        return next((one.state for one in deploy.all_channels(self.database)), NEW)

    def setting_state(self) -> str:
        return next((one.state for one in connections.all_settings(self.database)), NEW)

    def role_state(self) -> str:
        return next((grant.role_state(role) for role, _ in self.work.grants.roles()), NEW)

    def labels_state(self) -> str:
        return deploy.labels_state(self.registry.given(WHO))

    def values_state(self) -> str:
        with self.database.read() as connection:
            return values.valued(connection, WHO).state


@pytest.fixture(params=PLACES)
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    with fresh(request.param, tmp_path) as url:
        database = Database.open(url)
        migrate(database)
        yield Desk(database)
        database.close()


Things = dict[str, tuple[Callable[[Desk], Act], Callable[[Desk], Act] | None, Callable[[Desk], str]]]
THINGS: Things = {
    "channel": (lambda desk: desk.point, lambda desk: desk.unpoint, Desk.channel_state),
    "connection": (lambda desk: desk.connect, lambda desk: desk.disconnect, Desk.setting_state),
    "gateway": (lambda desk: desk.bestow, lambda desk: desk.demote, Desk.role_state),
    "labels": (lambda desk: desk.label, None, Desk.labels_state),
    "values": (lambda desk: desk.value, None, Desk.values_state),
}


def at_once(act: Act, state: str, words: tuple[str, str]) -> list[ConflictError | None]:
    """Let two operators make their change of one state at the same time; return what each was refused by."""
    ready = Barrier(len(words))

    def one(word: str) -> ConflictError | None:
        ready.wait()
        try:
            act(state, word)
        except ConflictError as exc:
            return exc
        return None

    with ThreadPoolExecutor(len(words)) as pool:
        return list(pool.map(one, words))


@pytest.mark.parametrize("thing", THINGS)
def test_of_two_changes_of_one_state_one_is_made(desk: Desk, thing: str) -> None:
    """The other is refused with what it expected and what it found, and nothing of it is written."""
    change, _, state = THINGS[thing]
    for number in range(ROUNDS):
        before, entries = state(desk), len(journalled(desk.database))
        told = at_once(change(desk), before, (f"ann-{number}", f"bob-{number}"))
        [refused] = [each for each in told if each is not None]
        after = state(desk)
        assert f"is at state {after}" in str(refused)
        assert ("expected to be new" if before == NEW else f"expected at state {before}") in str(refused)
        assert len(journalled(desk.database)) == entries + 1


@pytest.mark.parametrize("thing", [name for name, (_, end, _) in THINGS.items() if end is not None])
def test_what_was_changed_meanwhile_is_not_taken_away(desk: Desk, thing: str) -> None:
    """Nor does a change come after its end: it is not there, or is another one by now."""
    change, end, state = THINGS[thing]
    assert end is not None
    change(desk)(NEW, "ann")
    seen = state(desk)
    change(desk)(seen, "bob")
    with pytest.raises(ConflictError, match=f"expected at state {seen}"):
        end(desk)(seen, "ann")
    end(desk)(state(desk), "ann")
    assert state(desk) == NEW
    with pytest.raises(ConflictError, match="is not there"):
        change(desk)(seen, "ann")


@pytest.mark.parametrize("thing", THINGS)
def test_who_names_no_state_replaces_any(desk: Desk, thing: str) -> None:
    """As a pipeline does that alone decides; each change is a state of its own."""
    change, _, state = THINGS[thing]
    seen = [state(desk)]
    for word in ("ann", "bob"):
        change(desk)(None, word)
        seen.append(state(desk))
    assert len(set(seen)) == len(seen)
    assert all(one != other for one, other in itertools.pairwise(seen))
