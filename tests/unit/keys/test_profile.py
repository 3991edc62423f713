"""keys/profile.py."""

from datetime import timedelta, timezone
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from keys.certificate import Serial
from keys.errors import IssuerError, KeysError, RefusedError
from keys.identity import spiffe_uri
from keys.profile import (
    EMPTY_NAME,
    AgentProfile,
    Window,
    agent_leaf,
    root_ca,
    serial_from,
    server,
    window,
)
from tests.fakes.certificates import DOMAIN, NOW, Serials, agent, new_key, small_ca
from tests.fakes.linted import findings

CA = small_ca()
DAY = timedelta(days=1)


def _leaf() -> x509.Certificate:
    builder = agent_leaf(
        AgentProfile(DOMAIN),
        agent=agent(),
        public_key=new_key().public_key(),
        issuer=CA.issuing,
        serial=Serials()(),
        holds=window(NOW, DAY, timedelta(0), CA.issuing),
    )
    return builder.sign(CA.issuing_key, hashes.SHA256())


def _server(*hosts: str) -> x509.Certificate:
    builder = server(
        hosts,
        public_key=new_key().public_key(),
        issuer=CA.root,
        serial=Serials()(),
        holds=window(NOW, DAY, timedelta(0), CA.root),
    )
    return builder.sign(CA.root_key, hashes.SHA256())


@pytest.mark.parametrize(
    "certificate",
    [CA.root, CA.issuing, _leaf(), _server("server.example", "127.0.0.1")],
    ids=["root", "issuing", "agent", "server"],
)
def test_an_independent_linter_finds_nothing(certificate: x509.Certificate) -> None:
    """Its name is pkilint; it has no finding of warning or worse on any certificate of ours."""
    assert findings(certificate) == []


def test_an_agent_is_named_in_one_place() -> None:
    """One critical URI name; the subject is empty."""
    leaf = _leaf()
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert list(names.value) == [x509.UniformResourceIdentifier(spiffe_uri(DOMAIN, agent()))]
    assert names.critical
    assert leaf.subject == EMPTY_NAME


def test_the_issuing_ca_makes_clients_and_nothing_else() -> None:
    """Path length 0, EKU clientAuth alone, and certificates of agents say the same."""
    limits = CA.issuing.extensions.get_extension_for_class(x509.BasicConstraints)
    assert limits.critical
    assert limits.value == x509.BasicConstraints(ca=True, path_length=0)
    for certificate in (CA.issuing, _leaf()):
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(purposes) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_a_leaf_signs_handshakes_and_no_certificates() -> None:
    """Key usage is digitalSignature, and it is no CA."""
    extensions = _leaf().extensions
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert not usage.key_cert_sign
    assert extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False


def test_a_server_has_names_and_addresses() -> None:
    """DNS names and IP addresses each in their form; the first is the subject."""
    certificate = _server("server.example", "127.0.0.1", "::1")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [
        x509.DNSName("server.example"),
        x509.IPAddress(ip_address("127.0.0.1")),
        x509.IPAddress(ip_address("::1")),
    ]
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "server.example"


@pytest.mark.parametrize("host", ["", "*.example", "a..b", "a b", "ü.example", "a" * 300])
def test_a_host_that_is_none_is_refused(host: str) -> None:
    """Wildcards, spaces and empty labels are named."""
    with pytest.raises(KeysError, match="neither an IP address nor a DNS name"):
        _server(host)


def test_a_server_without_a_host_is_refused() -> None:
    """A certificate for nobody is not made."""
    with pytest.raises(KeysError, match="no host"):
        _server()


def test_a_long_trust_domain_fits_into_a_ca_name() -> None:
    """A common name has at most 64 characters; the domain's own length has no such limit."""
    builder = root_ca(
        "d" * 200,
        public_key=new_key().public_key(),
        serial=Serial(1 << 100),
        holds=Window(NOW, NOW + DAY),
    )
    assert isinstance(builder, x509.CertificateBuilder)


def test_a_window_is_in_whole_seconds_of_utc() -> None:
    """Fractions are cut, other zones converted."""
    local = NOW.astimezone(timezone(timedelta(hours=2))).replace(microsecond=999_999)
    assert window(local, DAY, timedelta(minutes=1), None) == Window(NOW - timedelta(minutes=1), NOW + DAY)


def test_a_certificate_begins_no_earlier_than_its_issuer() -> None:
    """The backdate is cut at the issuer's beginning."""
    begins = CA.issuing.not_valid_before_utc
    assert window(begins, DAY, timedelta(minutes=5), CA.issuing).not_before == begins


def test_a_certificate_that_would_outlive_its_issuer_is_refused() -> None:
    """Both ends are named; nothing is shortened in silence."""
    late = CA.issuing.not_valid_after_utc - DAY + timedelta(seconds=1)
    with pytest.raises(IssuerError) as caught:
        window(late, DAY, timedelta(0), CA.issuing)
    assert (late + DAY).isoformat() in str(caught.value)
    assert CA.issuing.not_valid_after_utc.isoformat() in str(caught.value)
    last = window(late - timedelta(seconds=1), DAY, timedelta(0), CA.issuing)
    assert last.not_after == CA.issuing.not_valid_after_utc


def test_an_issuer_that_has_not_begun_is_refused() -> None:
    """Both times are named."""
    with pytest.raises(IssuerError, match=r"begins at 2026-06-01T11:55:00.*now is 2026-06-01T11:54:59"):
        window(CA.issuing.not_valid_before_utc - timedelta(seconds=1), DAY, timedelta(0), CA.issuing)


@pytest.mark.parametrize("length", [15, 20])
def test_a_serial_has_sixteen_to_nineteen_random_bytes(length: int) -> None:
    """Fewer could be guessed, more do not fit."""
    with pytest.raises(RefusedError, match=f"{length} random bytes"):
        serial_from(bytes([1]) * length)


@pytest.mark.parametrize("length", [16, 19])
def test_a_serial_is_its_bytes(length: int) -> None:
    """The most significant byte comes first."""
    assert serial_from(b"\xff" * length) == Serial((1 << 8 * length) - 1)


@pytest.mark.parametrize("validity", [timedelta(seconds=9), timedelta(days=91)])
def test_a_validity_has_limits(validity: timedelta) -> None:
    """Both limits are in the message."""
    with pytest.raises(IssuerError, match="is not between 0:00:10 and 90 days"):
        AgentProfile(DOMAIN, validity=validity)


@pytest.mark.parametrize("backdate", [timedelta(seconds=-1), timedelta(minutes=6)])
def test_a_backdate_has_limits(backdate: timedelta) -> None:
    """A certificate begins at most five minutes before it was made."""
    with pytest.raises(IssuerError, match="backdate"):
        AgentProfile(DOMAIN, backdate=backdate)


def test_a_profile_has_a_trust_domain() -> None:
    """One that cannot be in a name is refused."""
    with pytest.raises(RefusedError, match="trust domain"):
        AgentProfile("NO")


def test_an_issuer_of_another_curve_is_refused() -> None:
    """P-256 everywhere."""
    key = ec.generate_private_key(ec.SECP384R1())
    other = (
        x509.CertificateBuilder()
        .subject_name(CA.root.subject)
        .issuer_name(CA.root.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + DAY)
        .sign(key, hashes.SHA384())
    )
    with pytest.raises(IssuerError, match="no P-256 key"):
        agent_leaf(
            AgentProfile(DOMAIN),
            agent=agent(),
            public_key=new_key().public_key(),
            issuer=other,
            serial=Serials()(),
            holds=Window(NOW, NOW + DAY),
        )
