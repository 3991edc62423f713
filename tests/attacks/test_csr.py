"""A certificate request that asks for more than its agent may have.

Each case is sent with a good token, by an agent that is who it says it is; it ends in a refusal, and nothing
was consumed, intended or issued. The same requests are sent again as renewals by an agent that stands, which
keeps what it has.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID

from keys.errors import RefusedError
from keys.identity import spiffe_uri
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import DOMAIN, agent, csr, new_key, pem, request_builder

KEY = new_key()
ME, VICTIM = agent(1), agent(2)
MINE = spiffe_uri(DOMAIN, ME)


def _asking_for(*extensions: x509.ExtensionType) -> bytes:
    return pem(request_builder(uris=[MINE], extensions=extensions), KEY)


def _named(*names: x509.GeneralName) -> bytes:
    return pem(request_builder(extensions=[x509.SubjectAlternativeName(names)]), KEY)


def _with_foreign_key() -> bytes:
    """Return a good request in which another's public key stands: whoever sends it does not hold that key."""
    mine, theirs = (
        x509.load_pem_x509_csr(csr(key, ME)).public_bytes(Encoding.DER) for key in (KEY, new_key())
    )
    point = _point(mine)
    return x509.load_der_x509_csr(mine.replace(point, _point(theirs))).public_bytes(Encoding.PEM)


def _point(der: bytes) -> bytes:
    key = x509.load_der_x509_csr(der).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    numbers = key.public_numbers()
    return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def _renamed_after_signing() -> bytes:
    der = x509.load_pem_x509_csr(csr(KEY, VICTIM)).public_bytes(Encoding.DER)
    return x509.load_der_x509_csr(der.replace(str(VICTIM).encode(), str(ME).encode())).public_bytes(
        Encoding.PEM
    )


URI = x509.UniformResourceIdentifier
ATTACKS = {
    "another_agents_uri": (csr(KEY, VICTIM), f"names agent {VICTIM}, it was sent by agent {ME}"),
    "another_agents_common_name": (
        pem(request_builder(common_names=[str(VICTIM)]), KEY),
        f"names agent {VICTIM}",
    ),
    "my_uri_and_anothers_common_name": (
        pem(request_builder(uris=[MINE], common_names=[str(VICTIM)]), KEY),
        f"subject is agent {VICTIM}, its URI names agent {ME}",
    ),
    "two_agents": (_named(URI(MINE), URI(spiffe_uri(DOMAIN, VICTIM))), "2 names, expected exactly one URI"),
    "a_dns_name_beside_mine": (_named(URI(MINE), x509.DNSName("server.example")), "2 names"),
    "a_dns_name_alone": (_named(x509.DNSName("server.example")), "expected exactly one URI"),
    "another_trust_domain": (
        csr(KEY, ME, domain="other.example"),
        f"'other.example' is not ours, '{DOMAIN}'",
    ),
    "a_path_that_climbs": (_named(URI(f"spiffe://{DOMAIN}/agent/../server")), "not an agent's SPIFFE id"),
    "a_path_beside_agents": (_named(URI(f"spiffe://{DOMAIN}/server/{ME}")), "not an agent's SPIFFE id"),
    "the_uid_of_zeros": (
        _named(URI(f"spiffe://{DOMAIN}/agent/00000000-0000-0000-0000-000000000000")),
        "all zero",
    ),
    "a_nul_in_the_name": (_named(URI(f"{MINE}\0")), "not an agent's SPIFFE id"),
    "no_name": (pem(request_builder(), KEY), "names no agent"),
    "ca_true": (_asking_for(x509.BasicConstraints(ca=True, path_length=None)), "asks to be a CA"),
    "server_auth": (
        _asking_for(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])),
        r"asks for extension 2\.5\.29\.37",
    ),
    "sign_certificates": (
        _asking_for(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
            )
        ),
        r"asks for extension 2\.5\.29\.15",
    ),
    "a_challenge_password": (
        pem(request_builder(uris=[MINE]).add_attribute(AttributeOID.CHALLENGE_PASSWORD, b"x"), KEY),
        "has attribute",
    ),
    "a_key_of_somebody_else": (_with_foreign_key(), "signature is not by the key it brings"),
    "a_name_changed_after_signing": (_renamed_after_signing(), "signature is not by the key it brings"),
    "rsa": (pem(request_builder(uris=[MINE]), rsa.generate_private_key(65537, 2048)), "kind RSAPublicKey"),
    "another_curve": (
        pem(request_builder(uris=[MINE]), ec.generate_private_key(ec.SECP384R1())),
        "kind secp384r1, expected secp256r1",
    ),
    "a_weak_curve": (
        pem(request_builder(uris=[MINE]), ec.generate_private_key(ec.SECP192R1())),
        "kind secp192r1, expected secp256r1",
    ),
    "ed25519": (
        pem(request_builder(uris=[MINE]), ed25519.Ed25519PrivateKey.generate(), None),
        "kind Ed25519PublicKey",
    ),
    "a_short_hash": (pem(request_builder(uris=[MINE]), KEY, hashes.SHA224()), "signed with sha224"),
    "two_requests": (csr(KEY, ME) + csr(KEY, VICTIM), "2 PEM blocks"),
    "garbage": (b"\x00\xff" * 100, "0 PEM blocks"),
    "a_certificate": (csr(KEY, ME).replace(b" REQUEST", b""), "not PKCS #10"),
    "a_megabyte": (csr(KEY, ME) + b"\n" * 1_000_000, "at most 16384"),
}


@pytest.fixture
def work(tmp_path: Path) -> Iterator[AtWork]:
    with at_work(tmp_path) as work:
        yield work


@pytest.mark.parametrize("name", ATTACKS)
def test_enrolling_with(work: AtWork, name: str) -> None:
    """Refused, journalled, and the token is still worth what it was."""
    request, why = ATTACKS[name]
    token = work.token()
    with pytest.raises(RefusedError, match=why):
        work.authority.enroll(request, token, ME, work.clock())
    assert work.token_state().used == 0
    assert work.credentials(ME) == work.credentials(VICTIM) == []
    assert work.kinds() == ["token.created", "credential.refused"]


@pytest.mark.parametrize("name", ATTACKS)
def test_renewing_with(work: AtWork, name: str) -> None:
    """Refused, journalled, and the agent keeps the credential it has."""
    request, why = ATTACKS[name]
    mine = work.enroll(new_key(), ME, work.token())
    with pytest.raises(RefusedError, match=why):
        work.authority.renew(request, mine.serial, ME, work.clock())
    assert [held.serial for held in work.credentials(ME)] == [mine.serial]
    assert work.admission.admit(mine.serial, ME).credential == mine.serial
    assert work.kinds()[-1] == "credential.refused"


@pytest.mark.parametrize(
    ("request_pem", "why"), [each for name, each in ATTACKS.items() if name != "no_name"]
)
def test_ordering_with(work: AtWork, request_pem: bytes, why: str) -> None:
    """An operator who was handed such a file gets the refusal: the order changes no rule but who vouches."""
    with pytest.raises(RefusedError, match=why):
        work.authority.certify(request_pem, ME, {}, "operator:ann", work.clock())
    assert work.credentials(ME) == []
    assert work.kinds() == []
