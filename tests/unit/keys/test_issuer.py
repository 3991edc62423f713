"""keys/issuer.py."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from keys.errors import IssuerError, LintError
from keys.issuer import Draft, Issuer
from keys.profile import AgentProfile, Window
from tests.fakes.certificates import DOMAIN, NOW, Serials, agent, new_key, small_ca

CA = small_ca()
ISSUER = CA.issuer
PROFILE = AgentProfile(DOMAIN)
KEY = new_key()


class UnwillingKey(ec.EllipticCurvePrivateKey):
    """A handle on a key elsewhere that does not answer."""

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return CA.issuing_key.public_key()

    @property
    def curve(self) -> ec.EllipticCurve:
        return ec.SECP256R1()

    key_size = 256

    def sign(self, data: object, signature_algorithm: object) -> bytes:
        raise ValueError("no answer")

    exchange = private_numbers = private_bytes = __copy__ = __deepcopy__ = None


def _draft() -> Draft:
    return ISSUER.draft(
        PROFILE,
        agent=agent(),
        public_key=KEY.public_key(),
        serial=Serials()(),
        holds=ISSUER.holds(PROFILE, NOW),
    )


def _other_ca(*extensions: x509.ExtensionType) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(CA.issuing.subject)
        .issuer_name(CA.root.subject)
        .public_key(CA.issuing_key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(CA.root_key, hashes.SHA256())


def test_a_signed_draft_is_a_chain() -> None:
    """The new certificate comes first, then the CA's; it has the draft's key, serial and times."""
    draft = _draft()
    chain = x509.load_pem_x509_certificates(ISSUER.sign(draft))
    assert chain[1] == CA.issuing
    assert chain[0].public_key() == KEY.public_key()
    assert chain[0].serial_number == draft.serial.number
    assert (chain[0].not_valid_before_utc, chain[0].not_valid_after_utc) == (
        draft.holds.not_before,
        draft.holds.not_after,
    )


def test_the_same_draft_gives_the_same_certificate() -> None:
    """RFC 6979: signing again after a crash gives the same bytes."""
    assert _draft().sha256 == _draft().sha256
    assert ISSUER.sign(_draft()) == ISSUER.sign(_draft())


def test_another_draft_has_another_name() -> None:
    """Its hash covers what would be signed."""
    later = ISSUER.holds(PROFILE, NOW + timedelta(seconds=1))
    other = ISSUER.draft(PROFILE, agent=agent(), public_key=KEY.public_key(), serial=Serials()(), holds=later)
    assert other.sha256 != _draft().sha256


def test_a_draft_that_the_lint_refuses_is_not_made() -> None:
    """A window that the profile does not know never reaches the key."""
    with pytest.raises(LintError):
        ISSUER.draft(
            PROFILE,
            agent=agent(),
            public_key=KEY.public_key(),
            serial=Serials()(),
            holds=Window(NOW, NOW + timedelta(days=30)),
        )


def test_a_certificate_that_does_not_verify_is_not_handed_out() -> None:
    """Whatever was signed is looked at once more."""
    not_yet = replace(_draft(), holds=Window(NOW - timedelta(days=1), NOW))
    with pytest.raises(LintError, match="does not verify"):
        ISSUER.sign(not_yet)


def test_a_key_that_does_not_answer_is_an_error_of_ours() -> None:
    """The CA is named."""
    with pytest.raises(IssuerError, match=r"agents CA .* could not sign"):
        Issuer(UnwillingKey(), CA.issuing).sign(_draft())


def test_a_key_of_another_ca_is_refused() -> None:
    """Key and certificate belong together."""
    with pytest.raises(IssuerError, match="another key"):
        Issuer(new_key(), CA.issuing)


def test_a_root_is_no_issuing_ca() -> None:
    """It has no EKU: it could certify anything."""
    with pytest.raises(IssuerError, match="lacks extension"):
        Issuer(CA.root_key, CA.root)


@pytest.mark.parametrize(("ca", "path_length"), [(True, 1), (True, None), (False, None)])
def test_a_ca_that_could_make_cas_is_refused(*, ca: bool, path_length: int | None) -> None:
    """Path length 0, and a CA."""
    certificate = _other_ca(
        x509.BasicConstraints(ca=ca, path_length=path_length),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]),
        x509.SubjectKeyIdentifier(bytes(20)),
    )
    with pytest.raises(IssuerError, match=f"ca={ca} and path length {path_length}"):
        Issuer(CA.issuing_key, certificate)


def test_a_ca_that_could_make_servers_is_refused() -> None:
    """Clients alone."""
    certificate = _other_ca(
        x509.BasicConstraints(ca=True, path_length=0),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
        x509.SubjectKeyIdentifier(bytes(20)),
    )
    with pytest.raises(IssuerError, match="expected clients alone"):
        Issuer(CA.issuing_key, certificate)


def test_neither_key_nor_builder_is_shown() -> None:
    """A repr names the CA and nothing secret."""
    assert "key=" not in repr(ISSUER)
    assert "builder" not in repr(_draft())
