"""keys/policy.py."""

import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID

from keys.errors import RefusedError
from keys.identity import spiffe_uri
from keys.policy import approve
from tests.fakes.certificates import DOMAIN, agent, csr, new_key, pem, request_builder

KEY = new_key()
URI = spiffe_uri(DOMAIN, agent())


def _refused(request: bytes, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        approve(request, expected=agent(), trust_domain=DOMAIN)


def test_a_good_request_gives_a_key_and_an_agent() -> None:
    """Nothing else is taken from it; the key is named by the hash of its SubjectPublicKeyInfo."""
    approved = approve(csr(KEY, agent()), expected=agent(), trust_domain=DOMAIN)
    spki = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert approved.agent == agent()
    assert approved.public_key == KEY.public_key()
    assert approved.spki_sha256 == hashlib.sha256(spki).digest()


def test_nobody_may_be_expected() -> None:
    """Where nobody has said who he is, the request says it."""
    assert approve(csr(KEY, agent(7)), expected=None, trust_domain=DOMAIN).agent == agent(7)


@pytest.mark.parametrize("spelling", [str(agent()), str(agent()).upper()])
def test_a_common_name_may_be_the_uid(spelling: str) -> None:
    """A client that can only set a subject is understood."""
    request = pem(request_builder(common_names=[spelling]), KEY)
    assert approve(request, expected=agent(), trust_domain=DOMAIN).agent == agent()


def test_a_common_name_that_is_no_uid_does_not_matter_beside_a_uri() -> None:
    """Whatever a client calls itself is not copied anywhere."""
    request = pem(request_builder(uris=[URI], common_names=["OpAMP client"]), KEY)
    assert approve(request, expected=agent(), trust_domain=DOMAIN).agent == agent()


def test_a_subject_and_a_uri_that_agree_are_accepted() -> None:
    """Saying it twice is no fault."""
    request = pem(request_builder(uris=[URI], common_names=[str(agent())]), KEY)
    assert approve(request, expected=agent(), trust_domain=DOMAIN).agent == agent()


def test_longer_hashes_are_accepted() -> None:
    """SHA-384 proves possession as well."""
    request = pem(request_builder(uris=[URI]), KEY, hashes.SHA384())
    assert approve(request, expected=agent(), trust_domain=DOMAIN).agent == agent()


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ([], "names no agent"),
        (["somebody"], "names no agent"),
        ([f"{{{agent()}}}"], "names no agent"),
        ([str(agent()), "x"], "2 common names"),
        (["00000000-0000-0000-0000-000000000000"], "all zero"),
    ],
)
def test_a_subject_that_names_nobody_is_refused(names: list[str], why: str) -> None:
    """Without a URI the common name must be a uid, in its one spelling."""
    _refused(pem(request_builder(common_names=names), KEY), why)


def test_a_subject_that_contradicts_the_uri_is_refused() -> None:
    """Both agents are named."""
    request = pem(request_builder(uris=[URI], common_names=[str(agent(2))]), KEY)
    _refused(request, f"subject is agent {agent(2)}, its URI names agent {agent()}")


def test_another_agent_is_refused() -> None:
    """The agent that asks and the one it asks for are named."""
    _refused(csr(KEY, agent(2)), f"names agent {agent(2)}, it was sent by agent {agent()}")


@pytest.mark.parametrize(
    ("request_pem", "why"),
    [
        (b"", "0 PEM blocks"),
        (b"hello", "0 PEM blocks"),
        (csr(KEY, agent()) * 2, "2 PEM blocks"),
        (b"x" * 20_000, "at most 16384"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "not PKCS #10"),
    ],
)
def test_what_is_no_request_is_refused(request_pem: bytes, why: str) -> None:
    """Garbage, several requests, one that is too long."""
    _refused(request_pem, why)


def test_a_key_that_is_not_p256_is_refused() -> None:
    """RSA, another curve and Ed25519 are named by their kind."""
    request = request_builder(uris=[URI])
    _refused(pem(request, rsa.generate_private_key(65537, 2048)), "kind RSAPublicKey")
    _refused(pem(request, ec.generate_private_key(ec.SECP384R1())), "kind secp384r1, expected secp256r1")
    _refused(pem(request, ed25519.Ed25519PrivateKey.generate(), None), "kind Ed25519PublicKey")


def test_a_weak_hash_is_refused() -> None:
    """SHA-224 is shorter than the key."""
    _refused(pem(request_builder(uris=[URI]), KEY, hashes.SHA224()), "signed with sha224")


def test_a_key_of_an_unknown_kind_is_refused() -> None:
    """A key algorithm that nobody knows is a refusal, not a failure."""
    der = x509.load_pem_x509_csr(csr(KEY, agent())).public_bytes(Encoding.DER)
    prime256v1 = bytes.fromhex("2a8648ce3d030107")
    _refused(_pem_of(der.replace(prime256v1, prime256v1[:-1] + b"\x7f")), "of a kind we do not know")


def test_a_signature_of_an_unknown_kind_is_refused() -> None:
    """A signature algorithm that nobody knows is a refusal as well."""
    der = x509.load_pem_x509_csr(csr(KEY, agent())).public_bytes(Encoding.DER)
    ecdsa_sha256 = bytes.fromhex("2a8648ce3d040302")
    _refused(_pem_of(der.replace(ecdsa_sha256, ecdsa_sha256[:-1] + b"\x7f")), "of a kind we do not know")


def test_a_signature_that_is_not_the_keys_is_refused() -> None:
    """Proof of possession: a changed request is not signed by the key it brings."""
    der = x509.load_pem_x509_csr(csr(KEY, agent())).public_bytes(Encoding.DER)
    _refused(
        _pem_of(der.replace(str(agent()).encode(), str(agent(2)).encode())), "signature is not by the key"
    )


def test_a_signature_that_is_no_signature_is_refused() -> None:
    """A signature that does not even parse proves nothing."""
    der = bytearray(x509.load_pem_x509_csr(csr(KEY, agent())).public_bytes(Encoding.DER))
    signature = len(der) - len(x509.load_der_x509_csr(bytes(der)).signature)
    der[signature] ^= 0xFF
    _refused(_pem_of(bytes(der)), "signature is not by the key")


@pytest.mark.parametrize(
    ("extension", "why"),
    [
        (x509.BasicConstraints(ca=True, path_length=None), "asks to be a CA"),
        (x509.BasicConstraints(ca=False, path_length=None), r"extension 2\.5\.29\.19"),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), r"extension 2\.5\.29\.37"),
        (x509.OCSPNoCheck(), "extension 1.3.6.1.5.5.7.48.1.5"),
    ],
)
def test_any_other_extension_is_refused(extension: x509.ExtensionType, why: str) -> None:
    """A CA flag above all; the extension is named."""
    _refused(pem(request_builder(uris=[URI], extensions=[extension]), KEY), why)


def test_any_other_attribute_is_refused() -> None:
    """A challenge password has no business here."""
    request = request_builder(uris=[URI]).add_attribute(AttributeOID.CHALLENGE_PASSWORD, b"secret")
    _refused(pem(request, KEY), r"attribute 1\.2\.840\.113549\.1\.9\.7")


def test_two_lists_of_extensions_are_refused() -> None:
    """A second list could hide what the first does not show."""
    twice = request_builder(uris=[URI]).add_attribute(x509.ObjectIdentifier("1.2.840.113549.1.9.14"), b"0")
    _refused(pem(twice, KEY), "2 lists of extensions")


def test_names_that_cannot_be_read_are_refused() -> None:
    """An extension that does not parse is a refusal, not a failure."""
    broken = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), b"\xff\xff")
    _refused(pem(request_builder(extensions=[broken]), KEY), "cannot be read")


def _pem_of(der: bytes) -> bytes:
    return x509.load_der_x509_csr(der).public_bytes(Encoding.PEM)


def test_an_operator_vouches_for_a_request_that_names_nobody() -> None:
    """And for no other than the agent he named: a name in the request still counts."""
    unnamed = pem(request_builder(common_names=["host-7.example"]), KEY)
    given = approve(unnamed, expected=agent(), trust_domain=DOMAIN, may_be_unnamed=True)
    assert given.agent == agent()
    _refused(unnamed, "names no agent")
    with pytest.raises(RefusedError, match=r"names no agent.*; say its uid"):
        approve(unnamed, expected=None, trust_domain=DOMAIN, may_be_unnamed=True)
    with pytest.raises(RefusedError, match=f"names agent {agent(2)}, it was sent by agent {agent()}"):
        approve(csr(KEY, agent(2)), expected=agent(), trust_domain=DOMAIN, may_be_unnamed=True)


def test_a_token_is_taken_only_where_one_may_be_carried() -> None:
    """Elsewhere the attribute is refused, and everywhere any other one."""
    builder = request_builder(uris=[URI])
    carrying = pem(builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, b"t1.secret"), KEY)
    taken = approve(carrying, expected=agent(), trust_domain=DOMAIN, may_carry_token=True)
    assert taken.token == "t1.secret"
    assert "t1.secret" not in repr(taken)
    _refused(carrying, "has attribute")
    plain = approve(csr(KEY, agent()), expected=agent(), trust_domain=DOMAIN, may_carry_token=True)
    assert plain.token is None
    other = pem(builder.add_attribute(AttributeOID.UNSTRUCTURED_NAME, b"x"), KEY)
    with pytest.raises(RefusedError, match="has attribute"):
        approve(other, expected=agent(), trust_domain=DOMAIN, may_carry_token=True)
