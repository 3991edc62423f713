"""The threat: one agent speaks as another.

With its own certificate and another's instance uid, by a token, by a request, by a certificate of another
make.
"""

import socket
import ssl
from collections.abc import Iterator
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from opamp.v1 import opamp_pb2
from websockets.exceptions import InvalidStatus
from websockets.frames import CloseCode

from keys.certificate import Issued, Slot
from keys.identity import AgentId, spiffe_uri
from keys.profile import AgentProfile, agent_leaf, window
from tests.fakes.certificates import DOMAIN, SmallCa, csr, new_key, small_ca
from tests.fakes.databases import journalled_once
from tests.fakes.listening import Identity, Listening, listening
from tests.fakes.wire_client import (
    WAIT_SECONDS,
    answer,
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


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("listener")) as here:
        yield here


def refusals(at: Listening, serial: object) -> list[str]:
    """Return who was refused with this serial, once the journal has it."""
    return [
        entry.actor for entry in journalled_once(at.work.database, "connection.refused", f"serial:{serial}")
    ]


def test_first_message_of_another_agent(at: Listening) -> None:
    """One agent's certificate with another's uid: refused by both names, closed, and journalled."""
    mine, other = at.enrolled(), at.enrolled()
    with websocket(at, mine) as connection:
        error = tell(connection, said(other.agent, agent_description=description())).error_response
        code, _ = close_of(connection)
    assert error.type == opamp_pb2.ServerErrorResponseType_BadRequest
    assert str(mine.agent) in error.error_message
    assert str(other.agent) in error.error_message
    assert code == CloseCode.POLICY_VIOLATION
    assert at.registry.view(other.agent).description is None
    assert refusals(at, mine.issued.serial) == [f"agent:{mine.agent}"]


def test_later_message_of_another_agent(at: Listening) -> None:
    """A connection that began honestly may not change whom it speaks for."""
    mine, other = at.enrolled(), at.enrolled()
    with websocket(at, mine) as connection:
        tell(connection, said(mine.agent))
        assert tell(connection, said(other.agent, 1)).HasField("error_response")
        assert close_of(connection)[0] == CloseCode.POLICY_VIOLATION


def test_post_of_another_agent(at: Listening) -> None:
    """Over plain HTTP it is 401, and what the other's conversation holds is untouched."""
    mine, other = at.enrolled(), at.enrolled()
    with http_client(at, other) as pool:
        post(pool, said(other.agent, agent_description=description()))
    before = at.registry.find(other.agent)
    with http_client(at, mine) as pool:
        response = post(pool, said(other.agent, 1, agent_disconnect=opamp_pb2.AgentDisconnect()))
    assert response.status == 401
    assert str(mine.agent) in response.data.decode()
    assert str(other.agent) in response.data.decode()
    assert at.registry.find(other.agent) == before


def test_request_for_another_agents_certificate(at: Listening) -> None:
    """An admitted agent cannot renew into another's name."""
    mine, other = at.enrolled(), at.enrolled()
    with websocket(at, mine) as connection:
        request = request_for(csr(new_key(), other.agent))
        tell(connection, said(mine.agent, connection_settings_request=request))
        error = heard(connection).error_response
    assert error.type == opamp_pb2.ServerErrorResponseType_BadRequest
    assert str(other.agent) in error.error_message
    assert len(at.work.credentials(other.agent)) == 1


def test_token_for_a_name_that_is_taken(at: Listening) -> None:
    """A token does not let a stranger take over an enrolled agent's name: it is told another."""
    victim, token = at.enrolled(), at.work.token("thief")
    with http_client(at) as pool:
        request = request_for(csr(new_key(), victim.agent))
        reply = answer(post(pool, said(victim.agent, connection_settings_request=request), token=token))
    told = AgentId.from_bytes(reply.agent_identification.new_instance_uid)
    assert (told != victim.agent, reply.HasField("connection_settings")) == (True, False)
    assert at.work.admission.serials_of(victim.agent) == (victim.issued.serial,)
    assert at.work.token_state("thief").used == 0


def test_stranger_that_changes_its_name(at: Listening) -> None:
    """A connection with a token speaks for one agent, too."""
    with websocket(at, token="any.token") as connection:
        tell(connection, said(at.new_agent()))
        assert tell(connection, said(at.new_agent(), 1)).HasField("error_response")
        assert close_of(connection)[0] == CloseCode.POLICY_VIOLATION


def forged(at: Listening, ca: SmallCa, who: AgentId, serial_of: Identity) -> Identity:
    """Make a certificate for `who` with the serial of a live one, by the given issuing CA."""
    key, now = new_key(), at.work.clock()
    holds = window(now, timedelta(hours=1), timedelta(minutes=1), ca.issuing)
    leaf = agent_leaf(
        AgentProfile(DOMAIN),
        agent=who,
        public_key=key.public_key(),
        issuer=ca.issuing,
        serial=serial_of.issued.serial,
        holds=holds,
    ).sign(ca.issuing_key, hashes.SHA256())
    chain = leaf.public_bytes(Encoding.PEM) + ca.issuing.public_bytes(Encoding.PEM)
    issued = Issued(serial_of.issued.serial, who, Slot.CURRENT, chain, holds.not_before, holds.not_after)
    return at.keep(who, key, issued)


def answer_to(at: Listening, identity: Identity) -> bytes:
    """Send a request over bare TLS; return the first of the answer, nothing if the handshake was refused.

    In TLS 1.3 a client believes that it succeeded until it reads.
    """
    with socket.create_connection(("127.0.0.1", at.port), WAIT_SECONDS) as plain:
        try:
            with at.client_tls(identity).wrap_socket(plain, server_hostname="127.0.0.1") as tls:
                tls.sendall(b"GET /v1/opamp HTTP/1.1\r\nHost: x\r\n\r\n")
                return tls.recv(65_536)
        except (ssl.SSLError, ConnectionError):
            return b""


def test_certificate_of_another_authority(at: Listening) -> None:
    """A certificate with the right names and serial by a CA that is not ours fails in the handshake."""
    victim = at.enrolled()
    identity = forged(at, small_ca(now=at.work.clock()), victim.agent, victim)
    assert answer_to(at, victim).startswith(b"HTTP/1.1 426 ")
    assert answer_to(at, identity) == b""


def test_certificate_with_anothers_serial(at: Listening) -> None:
    """Even by our own CA: a serial that the ledger knows as another agent's does not admit this one."""
    victim = at.enrolled()
    identity = forged(at, at.work.ca, at.new_agent(), victim)
    with pytest.raises(InvalidStatus) as refused, websocket(at, identity):
        pass
    assert refused.value.response.status_code == 401


def test_server_certificate_as_a_client(at: Listening) -> None:
    """The server's own kind of certificate is for servers: the handshake refuses it as a client's."""
    server = at.keep(at.new_agent(), new_key(), at.enrolled().issued)
    server.certificate_file.write_bytes((at.folder / "server.crt").read_bytes())
    server.key_file.write_bytes((at.folder / "server.key").read_bytes())
    assert answer_to(at, server) == b""


def test_certificate_that_names_no_agent(at: Listening) -> None:
    """A client certificate of our CA without an agent's name counts as none."""
    ca, key, now = at.work.ca, new_key(), at.work.clock()
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(ca.issuing.subject)
        .public_key(key.public_key())
        .serial_number(4711)
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.issuing_key.public_key()), critical=False
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.UniformResourceIdentifier(spiffe_uri("other.example", at.new_agent()))]
            ),
            critical=True,
        )
        .sign(ca.issuing_key, hashes.SHA256())
    )
    chain = leaf.public_bytes(Encoding.PEM) + ca.issuing.public_bytes(Encoding.PEM)
    issued = at.enrolled().issued
    stranger = at.keep(at.new_agent(), key, Issued(issued.serial, issued.agent, issued.slot, chain, now, now))
    with http_client(at, stranger) as pool:
        assert post(pool, said(stranger.agent)).status == 401
