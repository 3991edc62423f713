"""OpAMP over plain HTTP, over real TLS on loopback."""

import gzip
import socket
import time
from collections.abc import Callable

import pytest
from opamp.v1 import opamp_pb2

from distribution.domain.agent import Plan
from distribution.errors import BusyError
from distribution.fleet import agents
from distribution.protocol import wire
from distribution.protocol.offers import SERVER_CAPABILITIES
from distribution.transport.worker import Worker
from keys.certificate import Issued
from storage.errors import UnavailableError
from tests.fakes.certificates import csr, new_key
from tests.fakes.databases import journalled
from tests.fakes.listening import MAX_BYTES, PATH, Listening
from tests.fakes.offers import an_offer
from tests.fakes.wire_client import (
    WAIT_SECONDS,
    answer,
    description,
    http_client,
    post,
    request_for,
    said,
    tell,
    websocket,
)

pytestmark = pytest.mark.usefixtures("quiet_plan")


def until(condition: Callable[[], object]) -> None:
    """Wait for what another thread is about to do."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not happen")
        time.sleep(0.005)


def test_poll_is_answered(at: Listening) -> None:
    """A POST over mTLS is answered in its response; only the first poll is greeted."""
    identity = at.enrolled()
    with http_client(at, identity) as pool:
        first = post(pool, said(identity.agent, agent_description=description()))
        second = post(pool, said(identity.agent, 1))
    assert (first.status, first.headers["content-type"]) == (200, wire.CONTENT_TYPE)
    assert answer(first).capabilities == SERVER_CAPABILITIES
    assert answer(second) == opamp_pb2.ServerToAgent(instance_uid=identity.agent.raw)
    assert at.registry.find(identity.agent).connected
    assert at.registry.find(identity.agent).polls


def test_offer_is_made_once_and_anew_after_a_wake_up(at: Listening) -> None:
    """A conversation outlives a request: an offer comes once, a changed one with the next poll."""
    identity = at.enrolled()
    at.plans.plan = Plan(an_offer("1.0.0"), 30)
    with http_client(at, identity) as pool:
        first = answer(post(pool, said(identity.agent, agent_description=description())))
        second = answer(post(pool, said(identity.agent, 1)))
        at.plans.plan = Plan(an_offer("1.1.0"), 30)
        third = answer(post(pool, said(identity.agent, 2)))
        at.hub.wake([identity.agent])
        at.check_now()  # comes after the wake-up on the loop
        fourth = answer(post(pool, said(identity.agent, 3)))
    versions = [
        {name: package.version for name, package in reply.packages_available.packages.items()}
        for reply in (first, second, third, fourth)
    ]
    assert versions == [{"otelcol": "1.0.0"}, {}, {}, {"otelcol": "1.1.0"}]


def test_gzip_is_read_and_written(at: Listening) -> None:
    """A packed request is read; a long answer is packed for a client that reads it, a short one is not."""
    identity = at.enrolled()
    with http_client(at, identity) as pool:
        short = post(pool, said(identity.agent, agent_description=description()), gzipped=True)
        request = request_for(csr(new_key(), identity.agent))
        long = post(pool, said(identity.agent, 1, connection_settings_request=request), gzipped=True)
    assert (short.status, short.headers.get("content-encoding")) == (200, None)
    assert (long.status, long.headers.get("content-encoding")) == (200, "gzip")
    assert answer(long).HasField("connection_settings")


def test_stranger_enrolls_in_one_request(at: Listening) -> None:
    """The answer to a request for a certificate is in the response, for an HTTP endpoint."""
    who, key, token = at.new_agent(), new_key(), at.work.token("poller")
    with http_client(at) as pool:
        response = post(pool, said(who, connection_settings_request=request_for(csr(key, who))), token=token)
    settings = answer(response).connection_settings.opamp
    assert settings.certificate.cert == at.work.credentials(who)[0].chain_pem
    assert settings.destination_endpoint == "https://127.0.0.1:4320/v1/opamp"


def test_refused_request_is_said_in_a_good_response(at: Listening) -> None:
    """Real clients read only a 200, so the refusal of a request stands in the message."""
    who = at.new_agent()
    with http_client(at) as pool:
        request = request_for(csr(new_key(), who))
        response = post(pool, said(who, connection_settings_request=request), token="nobody.secret")
    assert response.status == 200
    assert answer(response).error_response.type == opamp_pb2.ServerErrorResponseType_BadRequest


def test_renewed_credential_is_promoted_by_its_first_poll(at: Listening) -> None:
    """With the next certificate the conversation begins anew, and the old one's sockets are cut."""
    identity, key = at.enrolled(), new_key()
    who = identity.agent
    with http_client(at, identity) as old:
        request = request_for(csr(key, who))
        post(old, said(who, agent_description=description()))
        chain = answer(
            post(old, said(who, 1, connection_settings_request=request))
        ).connection_settings.opamp.certificate.cert
        held = next(held for held in at.work.credentials(who) if held.chain_pem == chain)
        issued = Issued(held.serial, who, held.slot, chain, held.not_before, held.not_after)
        with http_client(at, at.keep(who, key, issued)) as new:
            assert answer(post(new, said(who, 2))).capabilities == SERVER_CAPABILITIES
            assert answer(post(new, said(who, 3))).capabilities == 0
        assert at.work.admission.serials_of(who) == (held.serial,)
        assert post(old, said(who, 4)).status == 401
    assert at.registry.find(who).connected


def test_goodbye_ends_the_conversation(at: Listening) -> None:
    """After `agent_disconnect` the agent is not connected; its next poll begins anew."""
    identity = at.enrolled()
    with http_client(at, identity) as pool:
        post(pool, said(identity.agent, agent_description=description()))
        post(pool, said(identity.agent, 1, agent_disconnect=opamp_pb2.AgentDisconnect()))
        assert not at.registry.find(identity.agent).connected
        assert answer(post(pool, said(identity.agent, 2))).capabilities == SERVER_CAPABILITIES


def test_agent_that_also_has_a_socket_stays_connected(at: Listening) -> None:
    """The end of one way of talking is not the end of the other."""
    identity = at.enrolled()
    with websocket(at, identity) as connection, http_client(at, identity) as pool:
        tell(connection, said(identity.agent, agent_description=description()))
        post(pool, said(identity.agent, 1))
        at.hub.cut([], "nobody")
        connection.close()
        until(lambda: sum(link.talks and link.agent == identity.agent for link in at.hub._links) == 1)
        assert at.registry.find(identity.agent).connected


def test_goodbye_over_http_is_not_that_of_a_socket(at: Listening) -> None:
    """An agent that goes over to a socket and then says goodbye over HTTP is connected all the while."""
    identity = at.enrolled()
    with http_client(at, identity) as pool, websocket(at, identity) as connection:
        for say in (lambda message: post(pool, message), lambda message: tell(connection, message)):
            say(said(identity.agent, agent_description=description()))
        post(pool, said(identity.agent, 1, agent_disconnect=opamp_pb2.AgentDisconnect()))
        assert at.registry.find(identity.agent).connected


@pytest.mark.parametrize("content_type", ["application/json", ""])
def test_other_content_is_not_taken(at: Listening, content_type: str) -> None:
    """What does not say that it is protobuf is refused by its type."""
    with http_client(at, at.enrolled()) as pool:
        response = pool.request("POST", PATH, body=b"{}", headers={"Content-Type": content_type})
    assert response.status == 415


def test_get_says_what_is_spoken_here(at: Listening) -> None:
    """A browser that wanders in is told to upgrade."""
    with http_client(at) as pool:
        response = pool.request("GET", PATH)
    assert (response.status, response.headers["upgrade"]) == (426, "websocket")


def test_peer_that_shows_nothing_is_refused(at: Listening) -> None:
    """Without a certificate and a token there is 401, and the journal has it."""
    with http_client(at) as pool:
        response = post(pool, said(at.new_agent()))
    assert (response.status, response.headers["www-authenticate"]) == (401, "Enrollment")
    until(
        lambda: any(entry.subject == "peer without a certificate" for entry in journalled(at.work.database))
    )


def test_strangers_may_send_little(at: Listening) -> None:
    """A peer with a mere token is cut off at a size that no request for a certificate has."""
    body = said(at.new_agent(), custom_message=opamp_pb2.CustomMessage(data=bytes(100_000)))
    with http_client(at) as pool:
        assert post(pool, body, token="any.token").status == 413
    with http_client(at, at.enrolled()) as pool:
        headers = {"Content-Type": wire.CONTENT_TYPE}
        assert pool.request("POST", PATH, body=bytes(MAX_BYTES + 1), headers=headers).status == 413


def test_bomb_is_refused_by_its_size(at: Listening) -> None:
    """A body that unpacks to more than the cap is refused as too large."""
    headers = {"Content-Type": wire.CONTENT_TYPE, "Content-Encoding": "gzip"}
    with http_client(at, at.enrolled()) as pool:
        body = gzip.compress(bytes(MAX_BYTES * 4))
        assert pool.request("POST", PATH, body=body, headers=headers).status == 413


def test_slow_body_is_not_waited_for(at: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that does not arrive in time is answered with 503, and nothing of it is kept."""
    monkeypatch.setattr("distribution.transport.polling.BODY_SECONDS", 0.05)
    context = at.client_tls(at.enrolled())
    with (
        socket.create_connection(("127.0.0.1", at.port), WAIT_SECONDS) as bare,
        context.wrap_socket(bare, server_hostname="127.0.0.1") as tls,
    ):
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {wire.CONTENT_TYPE}\r\n"
        tls.sendall(f"{head}Content-Length: 10\r\n\r\nabc".encode())
        assert tls.recv(65_536).startswith(b"HTTP/1.1 503 ")


def test_database_that_does_not_answer_is_told_as_such(
    at: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent may come again later."""

    def unavailable(*_args: object) -> Issued:
        raise UnavailableError("no turn")

    identity = at.enrolled()
    monkeypatch.setattr(at.work.authority, "renew", unavailable)
    with http_client(at, identity) as pool:
        request = request_for(csr(new_key(), identity.agent))
        error = answer(post(pool, said(identity.agent, connection_settings_request=request))).error_response
    assert error.type == opamp_pb2.ServerErrorResponseType_Unavailable


def test_full_queue_is_told_as_such(at: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be taken now is refused at once."""

    def full(*_args: object) -> None:
        raise BusyError("10000 orders wait, no more are taken")

    identity = at.enrolled()
    monkeypatch.setattr(Worker, "submit", full)
    with http_client(at, identity) as pool:
        request = request_for(csr(new_key(), identity.agent))
        error = answer(post(pool, said(identity.agent, connection_settings_request=request))).error_response
    assert error.error_message == "10000 orders wait, no more are taken"


def test_certificate_that_takes_too_long_is_not_waited_for(
    at: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request is answered in bounded time, whatever the worker does."""

    def silent(*_args: object) -> None:
        return None

    identity = at.enrolled()
    monkeypatch.setattr(Worker, "submit", silent)
    monkeypatch.setattr("distribution.transport.polling.CERTIFY_SECONDS", 0.05)
    with http_client(at, identity) as pool:
        request = request_for(csr(new_key(), identity.agent))
        error = answer(post(pool, said(identity.agent, connection_settings_request=request))).error_response
    assert error.type == opamp_pb2.ServerErrorResponseType_Unavailable


def test_wake_up_while_the_first_body_comes_is_not_missed(at: Listening) -> None:
    """Labels that are changed in the middle of a request are the ones that its plan is decided by."""
    identity = at.enrolled()
    at.registry.introduce(identity.agent)
    body = said(identity.agent, agent_description=description()).SerializeToString()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {wire.CONTENT_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with (
        socket.create_connection(("127.0.0.1", at.port), WAIT_SECONDS) as plain,
        at.client_tls(identity).wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall(head.encode() + body[:1])
        time.sleep(0.1)
        with at.work.database.write() as connection:
            agents.set_labels(connection, identity.agent, {"ring": "changed"})
        at.hub.wake([identity.agent])
        time.sleep(0.1)
        at.plans.asked.clear()
        tls.sendall(body[1:])
        tls.recv(1)
    assert [dict(view.labels).get("ring") for view in at.plans.asked] == ["changed"]
