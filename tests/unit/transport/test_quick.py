"""Polls that are known by their bytes, beside what the parser would have made of them."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from opamp.v1 import opamp_pb2

from distribution.domain.agent import Plan
from distribution.protocol import wire
from distribution.transport.quick import QuickPoll, head_of
from keys.certificate import Reason
from tests.fakes.listening import PATH, Identity, Listening
from tests.fakes.offers import an_offer
from tests.fakes.wire_client import WAIT_SECONDS, description, said

HEAD = b"POST /v1/opamp HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"


class Line:
    """A connection to the listener that sends each request in one piece."""

    def __init__(self, tls: ssl.SSLSocket, identity: Identity) -> None:
        self._tls, self._identity = tls, identity

    def ask(self, sequence: int, more: str = "", **parts: object) -> tuple[bytes, opamp_pb2.ServerToAgent]:
        """Send one message; return the head of the response and what it holds."""
        self.send(self.request(sequence, more, **parts))
        return self.answer()

    def request(self, sequence: int, more: str = "", **parts: object) -> bytes:
        body = wire.encode_http(said(self._identity.agent, sequence, **parts), compress=False)
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {wire.CONTENT_TYPE}\r\n{more}"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def send(self, data: bytes) -> None:
        self._tls.sendall(data)

    def answer(self) -> tuple[bytes, opamp_pb2.ServerToAgent]:
        came = b""
        while b"\r\n\r\n" not in came:
            came += self._some()
        head, _, body = came.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length")
        )
        while len(body) < length:
            body += self._some()
        return head, wire.decode(body, opamp_pb2.ServerToAgent) if head.startswith(
            b"HTTP/1.1 200"
        ) else opamp_pb2.ServerToAgent()

    def _some(self) -> bytes:
        came = self._tls.recv(65536)
        if not came:
            raise ConnectionError("closed by the server")
        return came


@contextmanager
def line(at: Listening, identity: Identity) -> Iterator[Line]:
    with (
        socket.create_connection(("127.0.0.1", at.port), WAIT_SECONDS) as plain,
        at.client_tls(identity).wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        yield Line(tls, identity)


@pytest.fixture
def beaten(at: Listening, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What became of each message that might have been a known heartbeat."""
    found: list[bool] = []
    beat: Callable[..., bool] = at.exchange.beat

    def noting(*parts: object) -> bool:
        found.append(beat(*parts))
        return found[-1]

    monkeypatch.setattr(at.exchange, "beat", noting)
    return found


pytestmark = pytest.mark.usefixtures("quiet_plan")


def _names(head: bytes) -> list[bytes]:
    return [line.partition(b":")[0] for line in head.split(b"\r\n")]


def test_known_heartbeat_is_answered_as_any_other(at: Listening, beaten: list[bool]) -> None:
    """The quick answer is the one that the parser's way gives, in every header; the fleet sees the agent."""
    identity = at.enrolled()
    with line(at, identity) as agent:
        agent.ask(1, agent_description=description())
        read = agent.ask(2)
        at.work.clock.advance(timedelta(seconds=5))
        known = [agent.ask(sequence) for sequence in range(3, 200)]
    assert beaten.count(True) > 190
    for head, message in known:
        assert (_names(head), message) == (_names(read[0]), read[1])
    assert at.registry.find(identity.agent).last_seen == at.work.clock()


def test_other_requests_go_to_the_parser(at: Listening, beaten: list[bool]) -> None:
    """A new head, a request in pieces, two at once and a message that says something are answered as ever."""
    identity = at.enrolled()
    bare = opamp_pb2.ServerToAgent(instance_uid=identity.agent.raw)
    with line(at, identity) as agent:
        for sequence in range(1, 5):
            agent.ask(sequence, agent_description=description() if sequence == 1 else None)
        assert beaten[-1]
        assert agent.ask(5, "X-Trace: 1\r\n")[1] == bare
        piece = agent.request(6)
        agent.send(piece[:40])
        agent.send(piece[40:])
        assert agent.answer()[1] == bare
        agent.send(agent.request(7) + agent.request(8))
        assert [agent.answer()[1], agent.answer()[1]] == [bare, bare]
        assert agent.ask(9, health=opamp_pb2.ComponentHealth(healthy=True, status="up"))[1] == bare
        assert agent.ask(10)[1] == bare
    health = at.registry.find(identity.agent).health
    assert health is not None
    assert health.status == "up"


def test_an_offer_reaches_who_sends_heartbeats_alone(at: Listening, beaten: list[bool]) -> None:
    """A wake-up ends the quick way: the next poll is read, and answered with the offer."""
    identity = at.enrolled()
    with line(at, identity) as agent:
        agent.ask(1, agent_description=description())
        for sequence in range(2, 6):
            agent.ask(sequence)
        assert beaten[-1]
        at.plans.plan = Plan(an_offer(), 30)
        at.hub.wake([identity.agent])
        at.check_now()  # comes after the wake-up on the loop
        assert agent.ask(6)[1].HasField("packages_available")


def test_a_revoked_agents_poll_is_not_taken(at: Listening, beaten: list[bool]) -> None:
    """From the moment of the revocation, also on a connection that nobody has cut yet."""
    identity = at.enrolled()
    with line(at, identity) as agent:
        agent.ask(1, agent_description=description())
        for sequence in range(2, 6):
            agent.ask(sequence)
        assert beaten[-1]
        at.work.authority.revoke(identity.agent, Reason.KEY_COMPROMISE, "test", at.work.clock())
        head, _ = agent.ask(6)
    assert head.startswith(b"HTTP/1.1 401")


def test_a_conversation_that_was_replaced_is_over(at: Listening, beaten: list[bool]) -> None:
    """Once the agent's conversation ended, the old connection's polls are read again, and greeted."""
    identity = at.enrolled()
    with line(at, identity) as agent:
        agent.ask(1, agent_description=description())
        for sequence in range(2, 6):
            agent.ask(sequence)
        assert beaten[-1]
        agent.ask(6, agent_disconnect=opamp_pb2.AgentDisconnect())
        assert not at.registry.find(identity.agent).connected
        assert agent.ask(7)[1].capabilities
    assert at.registry.find(identity.agent).connected


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        (HEAD + b"body", b""),
        (HEAD + b"body", b"other"),
        (b"PUT" + HEAD[4:] + b"body", b"body"),
        (HEAD + HEAD + b"body", b"body"),
        (HEAD[:-2] + b"body", b"body"),
        (HEAD.replace(b"Host", b"Expect") + b"body", b"body"),
        (b"", b"body"),
    ],
)
def test_head_that_is_not_plain_is_not_kept(request_: bytes, body: bytes) -> None:
    """Only one head, of a POST, whole, with the body right behind it."""
    assert head_of(request_, body) is None


def test_head_is_what_stands_before_the_body() -> None:
    """The next request is known by it."""
    head = head_of(HEAD + b"body", b"body")
    assert head == HEAD
    quick = QuickPoll(head, b"answer", lambda _: True)
    assert quick.beat_in(HEAD + b"bod2") == b"bod2"
    assert quick.beat_in(HEAD[:-1]) is None


def test_answer_has_the_servers_headers_of_the_moment() -> None:
    """A date is a new list of headers; until then the answer is the same bytes."""
    quick, headers = QuickPoll(HEAD, b"answer", lambda _: True), [(b"date", b"today")]
    first = quick.answer(headers)
    assert first is quick.answer(headers)
    assert first == (
        b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 6\r\n"
        b"content-type: application/x-protobuf\r\n\r\nanswer"
    )
    assert b"tomorrow" in quick.answer([(b"date", b"tomorrow")])
