"""keys/lint.py."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from keys.certificate import Serial
from keys.errors import LintError
from keys.identity import spiffe_uri
from keys.lint import lint, second_opinion
from keys.profile import AgentProfile, Window, agent_leaf, key_usage
from tests.fakes.certificates import DOMAIN, NOW, Serials, agent, new_key, small_ca

CA = small_ca()
KEY = new_key().public_key()
SERIAL = Serials()()
PROFILE = AgentProfile(DOMAIN, validity=timedelta(days=1))
HOLDS = Window(NOW, NOW + timedelta(days=1))
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])

Change = Callable[[x509.CertificateBuilder], x509.CertificateBuilder]


def _builder(serial: Serial = SERIAL, holds: Window = HOLDS) -> x509.CertificateBuilder:
    return agent_leaf(PROFILE, agent=agent(), public_key=KEY, issuer=CA.issuing, serial=serial, holds=holds)


def _lint(certificate: x509.Certificate, serial: Serial = SERIAL) -> None:
    lint(certificate, PROFILE, issuer=CA.issuing, agent=agent(), public_key=KEY, serial=serial)


def _with(extension: x509.ExtensionType, *, critical: bool) -> x509.CertificateBuilder:
    """Return the good certificate with one extension in another's place, or added."""
    good = _builder()
    kept = [held for held in good._extensions if held.oid != extension.oid]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(CA.issuing.subject)
        .public_key(KEY)
        .serial_number(SERIAL.number)
        .not_valid_before(HOLDS.not_before)
        .not_valid_after(HOLDS.not_after)
    )
    for held in kept:
        builder = builder.add_extension(held.value, held.critical)
    return builder.add_extension(extension, critical)


def _without(oid: x509.ObjectIdentifier) -> x509.CertificateBuilder:
    builder = _with(x509.OCSPNoCheck(), critical=False)
    builder._extensions = [
        held for held in builder._extensions if held.oid not in {oid, x509.ExtensionOID.OCSP_NO_CHECK}
    ]
    return builder


def test_a_certificate_as_the_profile_says_passes() -> None:
    """Unsigned and signed alike."""
    _lint(_builder().create_unsigned())
    _lint(_builder().sign(CA.issuing_key, hashes.SHA256()))


@pytest.mark.parametrize(
    ("builder", "field"),
    [
        (_builder(serial=Serial(SERIAL.number + 1)), "serial"),
        (_with(x509.OCSPNoCheck(), critical=False), "extensions"),
        (_without(x509.ExtensionOID.EXTENDED_KEY_USAGE), "extensions"),
        (
            _with(x509.BasicConstraints(ca=False, path_length=None), critical=False),
            "criticality of 2.5.29.19",
        ),
        (_with(x509.BasicConstraints(ca=True, path_length=0), critical=True), "extension 2.5.29.19"),
        (_with(key_usage(ca=True), critical=True), "extension 2.5.29.15"),
        (
            _with(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False),
            "extension 2.5.29.37",
        ),
        (_with(x509.SubjectKeyIdentifier(bytes(20)), critical=False), "extension 2.5.29.14"),
        (
            _with(x509.AuthorityKeyIdentifier(bytes(20), None, None), critical=False),
            "extension 2.5.29.35",
        ),
        (
            _with(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(spiffe_uri(DOMAIN, agent(2)))]),
                critical=True,
            ),
            "extension 2.5.29.17",
        ),
    ],
)
def test_each_field_is_compared(builder: x509.CertificateBuilder, field: str) -> None:
    """One field that is not as approved is enough, and it is named."""
    with pytest.raises(LintError, match=f"certificate's {field} is "):
        _lint(builder.create_unsigned())


@pytest.mark.parametrize(
    ("field", "change"),
    [("_subject_name", NAME), ("_issuer_name", NAME), ("_public_key", new_key().public_key())],
)
def test_names_and_key_are_compared(field: str, change: object) -> None:
    """A subject, another issuer, another key."""
    builder = _builder()
    setattr(builder, field, change)
    with pytest.raises(LintError, match=r"certificate's (subject|issuer|key) is "):
        _lint(builder.create_unsigned())


@pytest.mark.parametrize("number", [1 << 62, 1 << 155])
def test_a_serial_of_another_length_is_found(number: int) -> None:
    """Too short to be random, or too long."""
    serial = Serial(number)
    with pytest.raises(LintError, match="bits, expected 64 to 152"):
        _lint(_builder(serial=serial).create_unsigned(), serial)


def test_a_life_longer_than_the_profiles_is_found() -> None:
    """What the profile allows, and the backdate, is all."""
    long = Window(NOW, NOW + PROFILE.validity + timedelta(minutes=5, seconds=1))
    with pytest.raises(LintError, match="expected at most 1 day"):
        _lint(_builder(holds=long).create_unsigned())


@pytest.mark.parametrize(
    "holds",
    [
        Window(CA.issuing.not_valid_before_utc - timedelta(seconds=1), NOW),
        Window(CA.issuing.not_valid_after_utc, CA.issuing.not_valid_after_utc + timedelta(seconds=1)),
    ],
)
def test_a_life_beyond_the_issuers_is_found(holds: Window) -> None:
    """Beginning before it or ending after it."""
    with pytest.raises(LintError, match="beyond its issuer's"):
        _lint(_builder(holds=holds).create_unsigned())


def test_another_opinion_on_a_good_certificate_is_silent() -> None:
    """The library lets the client in."""
    second_opinion(_builder().sign(CA.issuing_key, hashes.SHA256()), CA.issuing, NOW)


@pytest.mark.parametrize("defect", ["other key", "server", "late"])
def test_another_opinion_finds_what_would_not_be_let_in(defect: str) -> None:
    """A signature by another key, a certificate for servers, a time after its end."""
    builder = _builder()
    if defect == "server":
        builder = _with(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    certificate = builder.sign(new_key() if defect == "other key" else CA.issuing_key, hashes.SHA256())
    moment = HOLDS.not_after + timedelta(seconds=1) if defect == "late" else NOW
    with pytest.raises(LintError, match="does not verify as a client's"):
        second_opinion(certificate, CA.issuing, moment)
