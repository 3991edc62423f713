"""The threat: a certificate that was revoked goes on being used.

On a new connection, on one that is open, between two requests, over a resumed session, for a renewal.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from opamp.v1 import opamp_pb2
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import CloseCode
from websockets.sync.client import ClientConnection

from distribution.domain.agent import Plan
from distribution.protocol import wire
from distribution.transport.errors import answer_for
from keys.certificate import Reason
from keys.errors import NotAdmittedError
from tests.fakes.certificates import csr, new_key
from tests.fakes.databases import journalled
from tests.fakes.frames import frame
from tests.fakes.listening import PATH, Identity, Listening, listening
from tests.fakes.offers import an_offer
from tests.fakes.wire_client import (
    WAIT_SECONDS,
    close_of,
    description,
    heard,
    http_client,
    post,
    request_for,
    said,
    tell,
    websocket,
)

UPGRADE = (
    f"GET {PATH} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
).encode()


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("listener")) as here:
        yield here


def revoke(at: Listening, identity: Identity) -> int:
    """Revoke as an operator does; return how many connections were cut."""
    revoked = at.work.authority.revoke(identity.agent, Reason.KEY_COMPROMISE, "operator:ann", at.work.clock())
    return at.hub.cut(revoked.serials, f"agent {identity.agent} was revoked")


def to_the_end(connection: ClientConnection) -> list[opamp_pb2.ServerToAgent]:
    """Return all that is said until the server closes."""
    found = []
    try:
        while True:
            found.append(heard(connection))
    except ConnectionClosed:
        return found


def test_revoked_on_a_new_websocket(at: Listening) -> None:
    """The handshake is answered with 401, which names the serial; the journal has it once, however often."""
    identity = at.enrolled()
    revoke(at, identity)
    for _ in range(3):
        with pytest.raises(InvalidStatus) as refused, websocket(at, identity):
            pass
        response = refused.value.response
        assert response.status_code == 401 == answer_for(NotAdmittedError("x")).status
        assert str(identity.issued.serial) in response.body.decode()
        assert str(identity.agent) in response.body.decode()
    subject = f"serial:{identity.issued.serial}"

    def noted() -> list[str]:
        return [
            e.actor
            for e in journalled(at.work.database)
            if e.subject == subject and e.kind == "connection.refused"
        ]

    wait_until(lambda: bool(noted()))
    assert noted() == [f"agent:{identity.agent}"]


def test_revoked_on_a_new_request(at: Listening) -> None:
    """A POST is answered with 401."""
    identity = at.enrolled()
    revoke(at, identity)
    with http_client(at, identity) as pool:
        response = post(pool, said(identity.agent))
    assert response.status == 401
    assert str(identity.issued.serial) in response.data.decode()


def test_revoked_on_a_live_websocket(at: Listening, record_property: Callable[[str, object], None]) -> None:
    """The open connection is told why and closed, without waiting for a message."""
    identity = at.enrolled()
    with websocket(at, identity) as connection:
        tell(connection, said(identity.agent, agent_description=description()))
        began = time.perf_counter()
        assert revoke(at, identity) == 1
        error = heard(connection).error_response
        code, reason = close_of(connection)
        record_property("ms_to_closed_socket", round((time.perf_counter() - began) * 1000, 1))
    assert "was revoked" in error.error_message
    assert (code, reason) == (CloseCode.POLICY_VIOLATION, f"agent {identity.agent} was revoked")
    with pytest.raises(InvalidStatus), websocket(at, identity):
        pass


def test_revoked_among_agents_of_its_kind(at: Listening) -> None:
    """What its kind is offered is not sent to it, nor decided by it; the others are told as before."""
    identities = [at.enrolled() for _ in range(3)]
    with ExitStack() as stack:
        gone, *others = [stack.enter_context(websocket(at, one)) for one in identities]
        for connection, one in zip((gone, *others), identities, strict=True):
            tell(connection, said(one.agent, agent_description=description()))
        for version in ("1.0.0", "1.1.0", "1.2.0"):
            at.plans.plan = Plan(an_offer(version), 30)
            at.plans.asked.clear()
            at.hub.wake()
            told = [heard(connection).packages_available for connection in others]
            assert [found.packages["otelcol"].version for found in told] == [version] * 2
            if version == "1.1.0":
                assert revoke(at, identities[0]) == 1
        assert identities[0].agent.uuid not in {view.uid for view in at.plans.asked}
        assert len(at.plans.asked) == 1
        *replies, last = to_the_end(gone)
    offered = [reply.packages_available.packages["otelcol"].version for reply in replies]
    assert offered == ["1.0.0", "1.1.0"]
    assert last.HasField("error_response")


def test_revoked_on_an_idle_http_connection(at: Listening) -> None:
    """A connection kept alive between two requests is closed too; the next request meets 401."""
    identity = at.enrolled()
    context = at.client_tls(identity)
    with (
        socket.create_connection(("127.0.0.1", at.port), WAIT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall(b"GET /v1/opamp HTTP/1.1\r\nHost: x\r\n\r\n")
        assert tls.recv(65_536).startswith(b"HTTP/1.1 426 ")
        assert revoke(at, identity) == 1
        assert ended(tls)


def ended(tls: ssl.SSLSocket) -> bool:
    """Read to the end of the connection, tidy or not."""
    try:
        while tls.recv(65_536):
            pass
    except (ConnectionResetError, ssl.SSLEOFError):
        pass
    return True


def test_peer_that_reads_nothing_is_cut_as_well(at: Listening) -> None:
    """Whoever does not take the last words loses the socket all the same, and counts as gone."""
    identity = at.enrolled()
    context = at.client_tls(identity)
    body = wire.encode_ws(said(identity.agent, agent_description=description()))
    with (
        socket.create_connection(("127.0.0.1", at.port), WAIT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall(UPGRADE)
        tls.recv(65_536)
        tls.sendall(frame(body))
        wait_until(lambda: at.registry.view(identity.agent).connected)
        assert revoke(at, identity) == 1
        wait_until(lambda: not at.registry.view(identity.agent).connected)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_revoked_before_the_cut_reaches_it(at: Listening) -> None:
    """Without any cut, the next message alone is refused: admission is asked for every message."""
    identity = at.enrolled()
    with websocket(at, identity) as connection, http_client(at, identity) as pool:
        tell(connection, said(identity.agent))
        assert post(pool, said(identity.agent, 1)).status == 200
        at.work.authority.revoke(identity.agent, Reason.UNSPECIFIED, "operator:ann", at.work.clock())
        error = tell(connection, said(identity.agent, 2)).error_response
        assert close_of(connection)[0] == CloseCode.POLICY_VIOLATION
        assert post(pool, said(identity.agent, 3)).status == 401
    assert error.type == opamp_pb2.ServerErrorResponseType_BadRequest
    assert str(identity.issued.serial) in error.error_message


def test_revoked_asks_for_a_new_certificate(at: Listening) -> None:
    """A renewal is a message like any other: refused, and no certificate is made."""
    identity = at.enrolled()
    with websocket(at, identity) as connection:
        tell(connection, said(identity.agent))
        at.work.authority.revoke(identity.agent, Reason.UNSPECIFIED, "operator:ann", at.work.clock())
        request = request_for(csr(new_key(), identity.agent))
        reply = tell(connection, said(identity.agent, 1, connection_settings_request=request))
        assert reply.HasField("error_response")
        close_of(connection)
    assert len(at.work.credentials(identity.agent)) == 1


def test_revoked_over_a_resumed_session(at: Listening) -> None:
    """No session can be resumed: no ticket is given, and a session that is shown again is not taken up."""
    identity = at.enrolled()
    context = at.client_tls(identity)

    def connect(session: ssl.SSLSession | None = None) -> tuple[bool, ssl.SSLSession | None, bytes]:
        with (
            socket.create_connection(("127.0.0.1", at.port), WAIT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as tls,
        ):
            body = said(identity.agent).SerializeToString()
            tls.sendall(
                b"POST /v1/opamp HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body) + body
            )
            first = tls.recv(65_536)
            return bool(tls.session_reused), tls.session, first

    reused, session, response = connect()
    assert (reused, response[:13]) == (False, b"HTTP/1.1 200 ")
    assert session is not None
    assert not session.has_ticket
    revoke(at, identity)
    reused, _, response = connect(session)
    assert (reused, response[:13]) == (False, b"HTTP/1.1 401 ")


def test_older_tls_is_turned_away(at: Listening) -> None:
    """TLS 1.2 could resume sessions behind our back; it is refused in the handshake."""
    context = at.client_tls(at.enrolled())
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", at.port), WAIT_SECONDS) as plain,
        pytest.raises(ssl.SSLError, match=r"(?i)protocol"),
    ):
        context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_superseded_certificate_is_as_good_as_revoked(at: Listening) -> None:
    """After its successor was used, the old certificate opens nothing."""
    identity, key = at.enrolled(), new_key()
    who = identity.agent
    issued = at.work.authority.renew(csr(key, who), identity.issued.serial, who, at.work.clock())
    with websocket(at, at.keep(who, key, issued)) as connection:
        tell(connection, said(who))
        wait_until(lambda: at.work.admission.serials_of(who) == (issued.serial,))
        with pytest.raises(InvalidStatus) as refused, websocket(at, identity):
            pass
    assert refused.value.response.status_code == 401


def test_reset_agent_enrolls_anew_and_its_old_certificate_stays_out(at: Listening) -> None:
    """A reset takes away what there was; only a new enrollment lets the agent in again."""
    identity = at.enrolled()
    revoked = at.work.authority.reset(identity.agent, "operator:ann", at.work.clock())
    assert revoked.serials == (identity.issued.serial,)
    with http_client(at, identity) as pool:
        assert post(pool, said(identity.agent)).status == 401
    key, token = new_key(), at.work.token("again")
    fresh = at.keep(identity.agent, key, at.work.enroll(key, identity.agent, token))
    with http_client(at, fresh) as pool:
        assert post(pool, said(identity.agent)).status == 200
    with http_client(at, identity) as pool:
        assert post(pool, said(identity.agent)).status == 401
