"""Private keys never pass a gateway: every byte that it carries, both ways, is looked through for them."""

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import AttributeOID
from opamp.v1 import opamp_pb2

from distribution.demo.processes import wait_for
from distribution.domain.agent import Plan
from distribution.protocol import wire
from keys.identity import AgentId, spiffe_uri
from tests.fakes.certificates import DOMAIN, csr, key_of, leaf_of, new_key, pem, request_builder
from tests.fakes.listening import PATH, Identity, Listening, listening
from tests.fakes.offers import an_offer
from tests.fakes.speaking import TRANSPORTS
from tests.fakes.wire_client import WAIT_SECONDS, description, http_client, request_for, said, websocket

OPERATOR = "operator:ann"
Key = ec.EllipticCurvePrivateKey


@pytest.fixture
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("listener")) as here:
        here.plans.plan = Plan(an_offer(), 30)
        yield here


def shapes(key: Key) -> list[bytes]:
    """Return the forms in which a key could travel: its number, and what its usual files have in them."""
    number = key.private_numbers().private_value.to_bytes(32, "big")
    texts = [number, number.hex().encode(), base64.b64encode(number)]
    for form, lines in ((PrivateFormat.PKCS8, 2), (PrivateFormat.TraditionalOpenSSL, 1)):
        texts.append(key.private_bytes(Encoding.DER, form, NoEncryption()))
        # The number is in the first lines; what follows is the public key, which may pass.
        texts += key.private_bytes(Encoding.PEM, form, NoEncryption()).splitlines()[1 : 1 + lines]
    return [*texts, b"PRIVATE KEY"]


def passed(carried: bytes, keys: Mapping[str, Key]) -> list[str]:
    """Return whose keys are in what was carried, in any form."""
    return [name for name, key in keys.items() if any(form in carried for form in shapes(key))]


@dataclass
class Carried:
    """A gateway's connection to the server, and every byte that went over it."""

    send: Callable[[bytes], None]
    receive: Callable[[], bytes]
    bytes: bytearray = field(default_factory=bytearray)

    def say(self, message: opamp_pb2.AgentToServer, part: str = "") -> opamp_pb2.ServerToAgent:
        """Say a message; return the answer, or the first message after it that has a part."""
        sent = wire.encode_ws(message)
        self.bytes += sent
        self.send(sent)
        while True:
            payload = self.receive()
            self.bytes += payload
            found = wire.decode_ws(payload, opamp_pb2.ServerToAgent)
            if not part or found.HasField(part):  # type: ignore[arg-type] # a field's name
                return found


@contextmanager
def carrying(at: Listening, gateway: Identity, transport: str) -> Iterator[Carried]:
    """Connect a gateway."""
    if transport == "ws":
        with websocket(at, gateway) as link:
            yield Carried(link.send, lambda: bytes(link.recv(timeout=WAIT_SECONDS, decode=False)))
        return
    with http_client(at, gateway) as pool:
        answers: list[bytes] = []

        def send(payload: bytes) -> None:
            headers = {"Content-Type": wire.CONTENT_TYPE}
            answers.append(pool.request("POST", PATH, body=payload[1:], headers=headers).data)

        yield Carried(send, lambda: b"\x00" + answers.pop())


def enrolls(at: Listening, link: Carried, who: AgentId, key: Key) -> bytes:
    """Have an agent ask for a certificate by a token of its own; return the chain."""
    token = at.work.token("own", labels={"ring": "b"})
    builder = request_builder(uris=[spiffe_uri(DOMAIN, who)])
    request = pem(builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, token.encode()), key)
    link.say(said(who, 0, agent_description=description()))
    given = link.say(said(who, 1, connection_settings_request=request_for(request)), "connection_settings")
    return given.connection_settings.opamp.certificate.cert


def is_approved(at: Listening, link: Carried, who: AgentId, key: Key) -> bytes:
    """Have an agent ask for a certificate until an operator approves its key; return the chain."""
    asking = request_for(csr(key, who))
    link.say(said(who, 0, agent_description=description(), connection_settings_request=asking))
    [waits] = wait_for("the request", lambda: at.work.grants.requests() or None, WAIT_SECONDS)
    at.work.grants.approve(who, waits.key, OPERATOR, at.work.clock())
    given = link.say(said(who, 1, connection_settings_request=asking), "connection_settings")
    return given.connection_settings.opamp.certificate.cert


def renews(link: Carried, gateway: Identity, key: Key) -> bytes:
    """Have the gateway ask for its own next certificate; return the chain."""
    asking = request_for(csr(key, gateway.agent))
    first = said(gateway.agent, 0, agent_description=description())
    link.say(first)
    given = link.say(said(gateway.agent, 1, connection_settings_request=asking), "connection_settings")
    return given.connection_settings.opamp.certificate.cert


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_no_byte_of_a_private_key_passes(at: Listening, transport: str) -> None:
    """Not an agent's, nor the gateway's, the authority's or the server's; certificates do."""
    gateway = at.enrolled()
    at.work.gateway(gateway.agent)
    agents = [at.new_agent() for _ in range(2)]
    for who in agents:
        at.work.grants.admit(gateway.agent, who, {"site": "north"}, OPERATOR, at.work.clock())
    server = load_pem_private_key((at.folder / "server.key").read_bytes(), None)
    assert isinstance(server, ec.EllipticCurvePrivateKey)
    asked = {"by token": new_key(), "by approval": new_key(), "gateway's next": new_key()}
    held = {
        "gateway": gateway.key,
        "server": server,
        "root": at.work.ca.root_key,
        "issuing": at.work.ca.issuing_key,
    }
    with carrying(at, gateway, transport) as link:
        chains = {
            "by token": enrolls(at, link, agents[0], asked["by token"]),
            "by approval": is_approved(at, link, agents[1], asked["by approval"]),
            "gateway's next": renews(link, gateway, asked["gateway's next"]),
        }
    carried = bytes(link.bytes)
    assert passed(carried, asked | held) == []
    for name, key in asked.items():
        assert key_of(leaf_of(chains[name])) == key.public_key()
        assert chains[name] in carried


@pytest.mark.parametrize("number", range(len(shapes(new_key()))))
def test_a_key_that_passed_would_be_found(number: int) -> None:
    """In each form, and whatever stands around it."""
    key = new_key()
    carried = b"before" + shapes(key)[number] + b"after"
    assert "one" in passed(carried, {"one": key})
    if number < len(shapes(key)) - 1:
        assert passed(carried, {"one": key, "other": new_key()}) == ["one"]
