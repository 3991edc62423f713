"""Connection settings from an operator's act to an agent, over a real listener, WebSocket and HTTP alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import pytest
import urllib3
from opamp.v1 import opamp_pb2
from websockets.sync.client import ClientConnection

from distribution.domain.attempts import attempt_of
from distribution.domain.connection_choice import Kind, Setting
from distribution.domain.connections import Destination
from distribution.flows.connections import set_setting
from keys.sealing import Seal, new_seal_key
from tests.fakes.boarded import boarded
from tests.fakes.certificates import csr, new_key
from tests.fakes.listening import Identity, Listening
from tests.fakes.wire_client import (
    ABLE,
    answer,
    description,
    heard,
    http_client,
    post,
    request_for,
    said,
    tell,
    websocket,
)

SEAL = Seal([new_seal_key().strip()], "test")
METRICS = Destination("https://otlp.example:4318/v1/metrics", {"Authorization": "Basic s3cret"})
MORE = (
    ABLE
    | opamp_pb2.AgentCapabilities_ReportsOwnMetrics
    | opamp_pb2.AgentCapabilities_ReportsOwnLogs
    | opamp_pb2.AgentCapabilities_ReportsOwnTraces
    | opamp_pb2.AgentCapabilities_ReportsConnectionSettingsStatus
)
APPLIED = opamp_pb2.ConnectionSettingsStatuses_APPLIED
FAILED = opamp_pb2.ConnectionSettingsStatuses_FAILED

Offers = opamp_pb2.ConnectionSettingsOffers


class Host(Protocol):
    """One connection of an agent. `say` returns the offers in the answer; `told` waits for the next one."""

    def say(self, **parts: object) -> list[Offers]: ...

    def told(self) -> Offers: ...


class OverWebSocket:
    def __init__(self, link: ClientConnection, identity: Identity, first: int, able: int) -> None:
        self._link, self._who, self._next, self._able = link, identity.agent, first, able

    def say(self, **parts: object) -> list[Offers]:
        message = said(self._who, self._next, **parts)
        message.capabilities = self._able
        self._next += 1
        found = tell(self._link, message)
        return [found.connection_settings] if found.HasField("connection_settings") else []

    def told(self) -> Offers:
        while True:
            found = heard(self._link)
            if found.HasField("connection_settings"):
                return found.connection_settings


class OverHttp:
    def __init__(self, pool: urllib3.HTTPSConnectionPool, identity: Identity, first: int, able: int) -> None:
        self._pool, self._who, self._next, self._able = pool, identity.agent, first, able

    def say(self, **parts: object) -> list[Offers]:
        message = said(self._who, self._next, **parts)
        message.capabilities = self._able
        self._next += 1
        found = answer(post(self._pool, message))
        return [found.connection_settings] if found.HasField("connection_settings") else []

    def told(self) -> Offers:
        [found] = self.say()
        return found


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    """One listener, with a board of its own."""
    with boarded(tmp_path_factory.mktemp("listener"), SEAL) as here:
        yield here


@pytest.fixture
def later(tmp_path: Path) -> Iterator[Listening]:
    """One whose clock a test may set forward: certificates that it issues then begin too late for TLS."""
    with boarded(tmp_path, SEAL) as here:
        yield here


@pytest.fixture(params=["websocket", "http"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def connected(
    at: Listening, transport: str, identity: Identity, first: int = 0, able: int = MORE
) -> Iterator[Host]:
    """Connect with these capabilities; the first message has the number `first`."""
    if transport == "websocket":
        with websocket(at, identity) as link:
            yield OverWebSocket(link, identity, first, able)
    else:
        with http_client(at, identity) as pool:
            yield OverHttp(pool, identity, first, able)


def enrolled(at: Listening, label: str) -> Identity:
    """Enroll an agent that carries a label of its own, so that tests do not meet."""
    who, key = at.new_agent(), new_key()
    token = at.work.token(f"s-{label}", labels={"test": label})
    return at.keep(who, key, at.work.enroll(key, who, token))


def put(at: Listening, label: str, target: Destination | None = METRICS, kind: Kind = Kind.METRICS) -> None:
    """Set a destination for the agents of one test, as an operator would."""
    setting = Setting(f"{label}-{kind.name.lower()}", kind, {"test": label}, target)
    set_setting(at.work.database, at.hub, setting, seal=SEAL, actor="operator:ann", now=at.work.clock())


def status(state: int, offer: Offers, words: str = "") -> opamp_pb2.ConnectionSettingsStatus:
    return opamp_pb2.ConnectionSettingsStatus(
        last_connection_settings_hash=offer.hash,
        status=state,  # type: ignore[arg-type] # an enumeration's number
        error_message=words,
    )


def test_a_destination_reaches_the_agents_it_is_for(at: Listening, transport: str) -> None:
    """At once and whole, other signals said to be off; an agent without the label hears nothing."""
    label = f"reach-{transport}"
    mine, other = enrolled(at, label), enrolled(at, f"other-{transport}")
    with connected(at, transport, mine) as host, connected(at, transport, other) as bystander:
        assert host.say(agent_description=description()) == []
        assert bystander.say(agent_description=description()) == []
        put(at, label)
        offer = host.told()
        assert offer.own_metrics.destination_endpoint == METRICS.endpoint
        assert [one.value for one in offer.own_metrics.headers.headers] == ["Basic s3cret"]
        assert offer.HasField("own_logs")
        assert (offer.own_logs.destination_endpoint, offer.own_traces.destination_endpoint) == ("", "")
        assert not offer.HasField("opamp")
        assert bystander.say() == []


def test_what_was_applied_is_not_offered_again(at: Listening, transport: str) -> None:
    """Neither on the connection nor after a reconnect, however little the agent says then."""
    label = f"once-{transport}"
    identity = enrolled(at, label)
    with connected(at, transport, identity) as host:
        host.say(agent_description=description())
        put(at, label)
        first = host.told()
        assert host.say(connection_settings_status=status(APPLIED, first)) == []
        assert [host.say() for _ in range(3)] == [[], [], []]
    with connected(at, transport, identity, first=5) as host:
        assert [host.say() for _ in range(3)] == [[], [], []]
    with connected(at, transport, identity) as host:
        full = {"agent_description": description(), "connection_settings_status": status(APPLIED, first)}
        assert host.say(**full) == []
        put(at, label, Destination("https://new.example:4318/v1/metrics"))
        second = host.told()  # had the first one been offered again, it would have come before this
        assert second.own_metrics.destination_endpoint == "https://new.example:4318/v1/metrics"
        assert second.hash != first.hash


def test_what_failed_is_tried_again_later_under_another_hash(later: Listening, transport: str) -> None:
    """Not at once, not by a reconnect; after the pause, with the same content."""
    label, at = f"fail-{transport}", later
    identity = enrolled(at, label)
    with connected(at, transport, identity) as host:
        host.say(agent_description=description())
        put(at, label)
        first = host.told()
        failed = status(FAILED, first, "no route to host")
        assert host.say(connection_settings_status=failed) == []
        assert [host.say() for _ in range(3)] == [[], [], []]
    with connected(at, transport, identity) as host:
        assert host.say(agent_description=description(), connection_settings_status=failed) == []
        at.work.clock.advance(timedelta(minutes=11))
        second = next_offer(host, transport)
        assert (attempt_of(first.hash), attempt_of(second.hash)) == (1, 2)
        assert first.hash[:32] == second.hash[:32]
        assert second.own_metrics == first.own_metrics
        assert at.registry.view(identity.agent).connections is not None


def next_offer(host: Host, transport: str) -> Offers:
    """Return the offer that the next message leads to."""
    found = host.say()
    return found[0] if found or transport == "http" else host.told()


def test_the_opamp_connection_is_told_whole(at: Listening, transport: str) -> None:
    """A new heartbeat comes with the certificate that the agent has, and with everything else it needs."""
    label = f"beat-{transport}"
    identity = enrolled(at, label)
    with connected(at, transport, identity) as host:
        host.say(agent_description=description())
        setting = Setting(f"{label}-beat", Kind.OPAMP, {"test": label}, heartbeat_seconds=7)
        set_setting(at.work.database, at.hub, setting, seal=SEAL, actor="operator:ann", now=at.work.clock())
        opamp = host.told().opamp
        scheme = "wss" if transport == "websocket" else "https"
        assert opamp.destination_endpoint == f"{scheme}://127.0.0.1:4320/v1/opamp"
        assert opamp.heartbeat_interval_seconds == 7
        assert opamp.certificate.cert == identity.issued.chain_pem
        assert opamp.certificate.ca_cert.decode() == opamp.tls.ca_pem_contents == at.work.ca.root_pem
        assert opamp.certificate.private_key == b""


def test_an_answer_to_a_certificate_request_states_telemetry_too(at: Listening, transport: str) -> None:
    """An agent that builds its settings from one message keeps its own telemetry through a renewal."""
    label = f"renew-{transport}"
    identity = enrolled(at, label)
    with connected(at, transport, identity) as host:
        host.say(agent_description=description())
        put(at, label)
        first = host.told()
        host.say(connection_settings_status=status(APPLIED, first))
        request = request_for(csr(new_key(), identity.agent))
        found = host.say(connection_settings_request=request)
        offer = found[0] if found else host.told()
        assert offer.opamp.certificate.cert != identity.issued.chain_pem
        assert offer.own_metrics == first.own_metrics
        assert offer.HasField("own_traces")
        assert (offer.hash[:34], offer.hash != first.hash) == (first.hash, True)
        assert host.say(connection_settings_status=status(APPLIED, offer)) == []


def test_no_secret_is_logged(at: Listening, transport: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is told to an agent, no line of the log has the value of a header."""
    caplog.set_level("DEBUG")
    label = f"log-{transport}"
    with connected(at, transport, enrolled(at, label)) as host:
        host.say(agent_description=description())
        put(at, label)
        host.told()
    ours = [one for one in caplog.records if not one.name.startswith("websockets")]  # the test's own client
    assert "s3cret" not in "".join(f"{record.getMessage()} {record.__dict__}" for record in ours)
    assert Path(at.folder, "quartermaster.db").read_bytes().find(b"s3cret") == -1


def test_an_agent_that_reports_no_status_is_not_made_to_reconnect_for_ever(
    at: Listening, transport: str
) -> None:
    """One known client connects anew for each offer and says nothing of it: it is told once."""
    label = f"mute-{transport}"
    identity = enrolled(at, label)
    mute = MORE & ~opamp_pb2.AgentCapabilities_ReportsConnectionSettingsStatus
    with connected(at, transport, identity, able=mute) as host:
        host.say(agent_description=description())
        put(at, label)
        host.told()
    for _ in range(3):
        with connected(at, transport, identity, able=mute) as host:
            assert host.say(agent_description=description()) == []
            assert host.say() == []
    with connected(at, transport, identity, able=mute) as host:
        host.say(agent_description=description())
        put(at, label, None)
        assert host.told().own_metrics.destination_endpoint == ""  # nothing else came before it
