"""Configurations from an operator's act to an agent that runs them, or does not, over a real listener."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import pytest
import urllib3
from opamp.v1 import opamp_pb2
from websockets.sync.client import ClientConnection

from distribution.domain.attempts import attempt_of
from distribution.domain.config_choice import Assignment
from distribution.domain.config_standing import ConfigStanding, Standing, standing_of
from distribution.domain.configuration import ConfigObject
from distribution.fleet import documents
from distribution.fleet.documents import Kind
from distribution.flows.configuration import versions
from distribution.flows.configuration.board import ConfigBoard
from distribution.flows.configuration.validator import NoValidator
from distribution.flows.configuration.versions import Parts
from distribution.protocol.pacing import RETRY_FIRST
from tests.fakes.certificates import new_key
from tests.fakes.listening import SEAL, Identity, Listening, listening
from tests.fakes.wire_client import answer, description, heard, http_client, post, said, tell, websocket

ABLE = (
    opamp_pb2.AgentCapabilities_ReportsStatus
    | opamp_pb2.AgentCapabilities_AcceptsRemoteConfig
    | opamp_pb2.AgentCapabilities_ReportsRemoteConfig
    | opamp_pb2.AgentCapabilities_ReportsEffectiveConfig
)
APPLIED = opamp_pb2.RemoteConfigStatuses_APPLIED
APPLYING = opamp_pb2.RemoteConfigStatuses_APPLYING
FAILED = opamp_pb2.RemoteConfigStatuses_FAILED
GOOD = "exporters:\n  debug:\n    site: ${qm:label.test}\n"

Offer = opamp_pb2.AgentRemoteConfig


class Host(Protocol):
    """One connection of an agent. `say` returns the configurations of the answer; `told` waits for one."""

    def say(self, **parts: object) -> list[Offer]: ...
    def told(self) -> Offer: ...


class OverWebSocket:
    def __init__(self, link: ClientConnection, identity: Identity, first: int) -> None:
        self._link, self._who, self._next = link, identity.agent, first

    def say(self, **parts: object) -> list[Offer]:
        message = said(self._who, self._next, **parts)
        message.capabilities = ABLE
        self._next += 1
        return offers(tell(self._link, message))

    def told(self) -> Offer:
        while True:
            if found := offers(heard(self._link)):
                return found[0]


class OverHttp:
    def __init__(self, pool: urllib3.HTTPSConnectionPool, identity: Identity, first: int) -> None:
        self._pool, self._who, self._next = pool, identity.agent, first

    def say(self, **parts: object) -> list[Offer]:
        message = said(self._who, self._next, **parts)
        message.capabilities = ABLE
        self._next += 1
        return offers(answer(post(self._pool, message)))

    def told(self) -> Offer:
        [found] = self.say()
        return found


def offers(message: opamp_pb2.ServerToAgent) -> list[Offer]:
    return [message.remote_config] if message.HasField("remote_config") else []


def status(state: int, offer: Offer, words: str = "") -> opamp_pb2.RemoteConfigStatus:
    return opamp_pb2.RemoteConfigStatus(
        last_remote_config_hash=offer.config_hash,
        status=state,  # type: ignore[arg-type] # a number of the enumeration
        error_message=words,
    )


def effective(text: str, key: str = "") -> opamp_pb2.EffectiveConfig:
    found = opamp_pb2.AgentConfigObject(body=text.encode(), content_type="text/yaml")
    return opamp_pb2.EffectiveConfig(config_map=opamp_pb2.AgentConfigMap(config_map={key: found}))


class Fleet:
    """One listener with a board, and one agent of a test's own label."""

    def __init__(self, at: Listening, label: str) -> None:
        self.at, self.label = at, label
        self.parts = Parts(at.work.database, at.hub, NoValidator(), SEAL)
        who, key = at.new_agent(), new_key()
        token = at.work.token(f"c-{label}", labels={"test": label})
        self.identity = at.keep(who, key, at.work.enroll(key, who, token))

    def create(self, *texts: str) -> None:
        for text in texts:
            objects = {"": ConfigObject(text.encode(), "text/yaml")}
            versions.create(
                self.parts, self.label, objects, secret=False, actor="operator:ann", now=self.at.work.clock()
            )

    def assign(self, number: int) -> None:
        wanted = Assignment(self.label, self.label, number, labels={"test": self.label})
        versions.assign(self.parts, wanted, actor="operator:ann", now=self.at.work.clock())

    def standing(self) -> ConfigStanding:
        view = self.at.registry.view(self.identity.agent)
        board = self.at.plans.configs
        return standing_of(view, None if board is None else board.config_for(view))

    def stands(self, wanted: Standing) -> ConfigStanding:
        """Wait until the agent stands so."""
        return until(self.standing, lambda found: found.standing is wanted)


def until(look: Callable[[], ConfigStanding], right: Callable[[ConfigStanding], bool]) -> ConfigStanding:
    """Look until it is right, for ten seconds."""
    end = time.monotonic() + 10
    while not right(found := look()):
        if time.monotonic() > end:
            raise TimeoutError(f"it is still {found}")
        threading.Event().wait(0.01)
    return found


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("listener")) as here:
        here.plans.configs = ConfigBoard(here.work.database, SEAL)
        yield here


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Listening]:
    """One whose clock a test sets forward: certificates that are issued later would begin too late."""
    with listening(tmp_path) as here:
        here.plans.configs = ConfigBoard(here.work.database, SEAL)
        yield here


@pytest.fixture(params=["websocket", "http"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def connected(fleet: Fleet, transport: str, first: int = 0) -> Iterator[Host]:
    """Connect; the first message has the number `first`."""
    if transport == "websocket":
        with websocket(fleet.at, fleet.identity) as link:
            yield OverWebSocket(link, fleet.identity, first)
    else:
        with http_client(fleet.at, fleet.identity) as pool:
            yield OverHttp(pool, fleet.identity, first)


def test_pushed_applied_and_shown(at: Listening, transport: str) -> None:
    """An assignment reaches the agent at once, its own label in it; applied is believed when it is shown."""
    fleet = Fleet(at, f"a-{transport}")
    fleet.create(GOOD)
    with connected(fleet, transport) as host:
        assert host.say(agent_description=description()) == []
        fleet.assign(1)
        offer = host.told()
        text = f'exporters:\n  debug:\n    site: "{fleet.label}"\n'
        assert offer.config.config_map[""].body.decode() == text
        assert (len(offer.config_hash), attempt_of(offer.config_hash)) == (34, 1)
        assert host.say(remote_config_status=status(APPLYING, offer)) == []
        assert fleet.standing().standing is Standing.APPLYING
        assert host.say(remote_config_status=status(APPLIED, offer)) == []
        assert fleet.standing().standing is Standing.CLAIMED
        assert host.say(effective_config=effective(f"{text}service: {{telemetry: {{}}}}\n")) == []
        fleet.stands(Standing.APPLIED)
        assert host.say() == []
        host.say(effective_config=effective("exporters: {debug: {site: elsewhere}}"))
        assert fleet.stands(Standing.DRIFTED).why == "exporters.debug.site has another value"


def test_a_failure_is_tried_again_under_another_hash(fresh: Listening, transport: str) -> None:
    """The agent's words are kept; the same content comes again later, never at once, numbered anew."""
    fleet = Fleet(fresh, "b")
    fleet.create(GOOD)
    fleet.assign(1)
    with connected(fleet, transport) as host:
        [offer] = host.say(agent_description=description())
        assert host.say(remote_config_status=status(FAILED, offer, "unknown exporter debug")) == []
        assert fleet.standing() == ConfigStanding(Standing.FAILED, "unknown exporter debug")
        assert [host.say() for _ in range(5)] == [[]] * 5
        fresh.work.clock.now += RETRY_FIRST + timedelta(minutes=1)
        [again] = host.say()
        assert again.config == offer.config
        assert (again.config_hash[:32], attempt_of(again.config_hash)) == (offer.config_hash[:32], 2)
        assert host.say() == []
        host.say(
            remote_config_status=status(APPLIED, again),
            effective_config=effective(GOOD.replace("${qm:label.test}", "b")),
        )
        fleet.stands(Standing.APPLIED)


@pytest.mark.parametrize("reports", ["anew", "nothing"])
def test_an_applied_that_is_not_so(fresh: Listening, transport: str, reports: str) -> None:
    """FAILED and then APPLIED for the same hash, as a known supervisor says it: the effective one tells.

    Also where it was reported before anything was intended, and is not reported again.
    """
    fleet = Fleet(fresh, "c")
    fleet.create(GOOD)
    old = effective("exporters: {debug: {site: old}}")
    with connected(fleet, transport) as host:
        host.say(agent_description=description(), effective_config=old)
        fleet.assign(1)
        offer = host.told()
        host.say(remote_config_status=status(FAILED, offer, "bad"))
        parts: dict[str, object] = {"effective_config": old} if reports == "anew" else {}
        host.say(remote_config_status=status(APPLIED, offer), **parts)
        assert fleet.stands(Standing.UNTRUE).why == "exporters.debug.site has another value"
        assert host.say() == []
        fresh.work.clock.now += RETRY_FIRST + timedelta(minutes=1)
        [again] = host.say()
        assert attempt_of(again.config_hash) == 2


def test_back_is_one_command(at: Listening, transport: str) -> None:
    """The version before comes back at once, and an agent that only changed its comment is believed."""
    fleet = Fleet(at, f"d-{transport}")
    text = f'exporters:\n  debug:\n    site: "{fleet.label}"\n'
    fleet.create(GOOD, f"# of a later day\n{GOOD}")
    fleet.assign(1)
    fleet.assign(2)
    with connected(fleet, transport) as host:
        [offer] = host.say(agent_description=description())
        assert b"of a later day" in offer.config.config_map[""].body
        host.say(remote_config_status=status(APPLIED, offer), effective_config=effective(text))
        fleet.stands(Standing.APPLIED)
        versions.back(fleet.parts, fleet.label, actor="operator:ann", now=at.work.clock())
        before = host.told()
        assert before.config.config_map[""].body.decode() == text
        host.say(remote_config_status=status(APPLIED, before))  # nothing changed, so nothing is reported
        fleet.stands(Standing.APPLIED)


def test_a_reconnect_offers_nothing_that_is_held(at: Listening, transport: str) -> None:
    """An agent that comes again with uid, number and capabilities alone is understood."""
    fleet = Fleet(at, f"e-{transport}")
    fleet.create(GOOD)
    fleet.assign(1)
    with connected(fleet, transport) as host:
        [offer] = host.say(agent_description=description())
        text = GOOD.replace("${qm:label.test}", fleet.label)
        host.say(remote_config_status=status(APPLIED, offer), effective_config=effective(text))
        fleet.stands(Standing.APPLIED)
    with connected(fleet, transport, first=2) as host:
        assert [host.say() for _ in range(3)] == [[]] * 3
    assert fleet.standing().standing is Standing.APPLIED


def test_no_secret_is_kept(at: Listening, transport: str) -> None:
    """What an agent reports is made safe before it is written anywhere."""
    fleet = Fleet(at, f"f-{transport}")
    fleet.create(GOOD)
    fleet.assign(1)
    with connected(fleet, transport) as host:
        host.say(
            agent_description=description(),
            effective_config=effective(
                "exporters: {debug: {site: x}, otlp: {headers: {Authorization: hunter2}, endpoint: 'https://u:hunter2@h'}}"
            ),
        )
        until(fleet.standing, lambda _found: kept(fleet) != "")
    at.registry.flush()
    assert "REDACTED" in kept(fleet)
    assert "hunter2" not in kept(fleet)
    with at.work.database.read() as connection:
        rows = connection.exec_driver_sql("select * from agents").all()
    assert "hunter2" not in str(rows)


def kept(fleet: Fleet) -> str:
    with fleet.at.work.database.read() as connection:
        found = documents.find(connection, fleet.identity.agent, Kind.EFFECTIVE)
    return "" if found is None else found.body
