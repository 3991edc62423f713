"""From a TLS connection to a caller; what it does on the wire is in the tests of both transports."""

import _ssl
import asyncio
import socket
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from distribution.flows.enrol import Caller
from distribution.transport import peer as module
from distribution.transport.peer import PEER, SEALED, caller_of, caller_of_transport
from keys.certificate import Serial
from tests.fakes.certificates import DOMAIN, NOW, SmallCa, agent, new_key, small_ca
from tests.fakes.listening import listening
from tests.fakes.wire_client import WAIT_SECONDS


class Tls:
    """What TLS knows of its peer."""

    def __init__(self, shown: dict[str, Any] | None) -> None:
        self.shown = shown

    def getpeercert(self) -> dict[str, Any] | None:
        return self.shown


class Transport(asyncio.BaseTransport):
    """A transport that only has what is asked for."""

    def __init__(self, **known: Any) -> None:
        super().__init__(known)


@pytest.fixture(scope="module")
def ca() -> SmallCa:
    return small_ca()


def as_tls_shows_it(der: bytes, folder: Path) -> Tls:
    """Read a certificate as OpenSSL does for `getpeercert`."""
    file = folder / "leaf.pem"
    file.write_text(ssl.DER_cert_to_PEM_cert(der))
    return Tls(_ssl._test_decode_cert(str(file)))  # type: ignore[attr-defined] # what tests have for this


def certificate(ca: SmallCa, uri: str | None, serial: int = 7, *more: str) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(ca.issuing.subject)
        .public_key(new_key().public_key())
        .serial_number(serial)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
    )
    if uri is not None:
        names = x509.SubjectAlternativeName(
            [x509.UniformResourceIdentifier(uri), *(x509.DNSName(name) for name in more)]
        )
        builder = builder.add_extension(names, critical=True)
    return builder.sign(ca.issuing_key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_certificate_says_who_it_is(ca: SmallCa, tmp_path: Path) -> None:
    """Serial and agent come from the verified certificate, the address from the socket."""
    tls = as_tls_shows_it(certificate(ca, f"spiffe://{DOMAIN}/agent/{agent(1)}"), tmp_path)
    caller = caller_of_transport(Transport(peername=("192.0.2.1", 5), ssl_object=tls), DOMAIN)
    assert caller == Caller(serial=Serial(7), claimed=agent(1), remote="192.0.2.1:5")


def test_certificate_with_a_second_name_is_none(ca: SmallCa, tmp_path: Path) -> None:
    """One URI and nothing beside it names an agent."""
    der = certificate(ca, f"spiffe://{DOMAIN}/agent/{agent(1)}", 7, "localhost")
    transport = Transport(ssl_object=as_tls_shows_it(der, tmp_path))
    assert caller_of_transport(transport, DOMAIN) == Caller(remote="unknown")


@pytest.mark.parametrize("uri", [None, "spiffe://other.example/agent/x", "https://x"])
def test_certificate_of_no_agent_is_none(ca: SmallCa, uri: str | None, tmp_path: Path) -> None:
    """A name that is not an agent's, or of another trust domain, counts as no certificate."""
    tls = as_tls_shows_it(certificate(ca, uri), tmp_path)
    transport = Transport(peername=("::1", 5, 0, 0), ssl_object=tls)
    assert caller_of_transport(transport, DOMAIN) == Caller(remote="::1:5")


@pytest.mark.parametrize("tls", [None, Tls(None), Tls({})])
def test_peer_without_a_certificate(tls: Tls | None) -> None:
    """No TLS, no certificate, and one that was not verified: the caller is a stranger."""
    known = {} if tls is None else {"ssl_object": tls}
    assert caller_of_transport(Transport(**known), DOMAIN) == Caller(remote="unknown")


@pytest.mark.parametrize(
    ("authorization", "token", "presented"),
    [
        (["Enrollment t1.secret"], "t1.secret", None),
        (["  enrollment   t1.secret "], "t1.secret", None),
        (["Bearer b1.secret"], None, "b1.secret"),
        (["bearer  b1.secret "], None, "b1.secret"),
        (["Enrollment"], None, None),
        (["Bearer "], None, None),
        (["Bearer " + "x" * 257], None, None),
        (["Enrollment " + "x" * 257], None, None),
        (["Basic t1.secret"], None, None),
        (["Bearer b1.secret", "Bearer b2.secret"], None, None),
        (["Enrollment t1.secret", "Bearer b1.secret"], None, None),
        ([], None, None),
    ],
)
def test_token_is_read_from_its_one_header(
    authorization: list[str], token: str | None, presented: str | None
) -> None:
    """Only the two schemes, no token beyond reason, and none where there are two headers."""
    caller = caller_of({PEER: Caller(remote="here"), SEALED: True}, authorization)
    assert (caller.token, caller.presented, caller.remote) == (token, presented, "here")


@pytest.mark.parametrize("state", [{}, {SEALED: False}])
@pytest.mark.parametrize("scheme", ["Bearer", "Enrollment"])
def test_no_token_counts_without_tls(state: dict[str, bool], scheme: str) -> None:
    """Whoever reads the wire would have it."""
    caller = caller_of({PEER: Caller(remote="here"), **state}, [f"{scheme} b1.secret"])
    assert caller == Caller(remote="here")


def test_certificate_counts_before_a_token() -> None:
    """Who has a certificate is known by it, whatever else he shows."""
    known = Caller(serial=Serial(1), claimed=agent(1))
    for scheme in ("Enrollment", "Bearer"):
        assert caller_of({PEER: known, SEALED: True}, [f"{scheme} t1.secret"]) is known


def test_token_is_not_shown() -> None:
    """A caller in a log has no secret."""
    assert "secret" not in repr(Caller(token="t1.secret", presented="b1.secret"))


def test_too_many_strangers_are_turned_away(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger above the limit is not heard; agents with a certificate are."""
    with listening(tmp_path_factory.mktemp("listener")) as at:
        identity = at.enrolled()
        monkeypatch.setattr(module, "STRANGERS_MAX", 0)

        def knock(context: Any) -> bytes:
            with (
                socket.create_connection(("127.0.0.1", at.port), WAIT_SECONDS) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
            ):
                try:
                    tls.sendall(b"GET /v1/opamp HTTP/1.1\r\nHost: x\r\n\r\n")
                    return bytes(tls.recv(13))
                except OSError:
                    return b""

        assert knock(at.client_tls()) == b""
        assert knock(at.client_tls(identity)) == b"HTTP/1.1 426 "
