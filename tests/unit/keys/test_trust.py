"""keys/trust.py."""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from keys.errors import TrustError
from keys.profile import EMPTY_NAME
from keys.trust import Trust, ca_fingerprint, decode_token, encode_token, normal_ca, require_same
from tests.fakes.certificates import DOMAIN, NOW, new_key, small_ca

CA = small_ca()
SECRET = "a-secret_" + "x" * 34
TRUST = Trust(
    trust_domain=DOMAIN,
    ca_pem=CA.root_pem,
    tuf_root_version=1,
    tuf_root_sha256="ab" * 32,
    agents_url="wss://server.example:4320/v1/opamp",
    downloads_url="https://server.example:4321",
    operators_url="https://127.0.0.1:4322",
)


def _token(body: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(body).encode()).rstrip(b"=").decode()
    return f"qm1.{payload}.{hashlib.sha256(payload.encode()).hexdigest()[:8]}"


def _fields(**changes: object) -> dict[str, object]:
    text = encode_token(TRUST, "t1", SECRET).split(".")[1]
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return {**found, **changes}


def _self_signed(key: Any, *, ca: bool) -> bytes:
    return (
        x509.CertificateBuilder()
        .subject_name(EMPTY_NAME)
        .issuer_name(EMPTY_NAME)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


def test_a_trust_file_reads_back() -> None:
    """What is written is what is read."""
    assert Trust.from_toml(TRUST.to_toml()) == TRUST


def test_a_token_string_carries_all_that_a_host_needs() -> None:
    """Endpoints, the CA itself, the pin of the TUF root and the token come out as they went in."""
    token = decode_token(f"  {encode_token(TRUST, 't1', SECRET)}\n")
    assert token.presented == f"t1.{SECRET}"
    for name in (
        "trust_domain",
        "ca_pem",
        "tuf_root_version",
        "tuf_root_sha256",
        "agents_url",
        "downloads_url",
    ):
        assert getattr(token, name) == getattr(TRUST, name)


def test_a_token_string_does_not_show_its_secret() -> None:
    """Neither its repr nor a repr of what holds it has the secret in it."""
    assert SECRET not in repr([decode_token(encode_token(TRUST, "t1", SECRET))])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not of the form"),
        ("qm2.a.b", "not of the form"),
        ("qm1.a", "not of the form"),
        ("qm1." + "a" * 20_000 + ".b", "at most 16384"),
        ("qm1.e30.00000000", "damaged"),
        (f"qm1.***.{hashlib.sha256(b'***').hexdigest()[:8]}", "cannot be read"),
        (_token([1]), "not a table"),
        (_token({}), "lacks the field 'trust_domain'"),
        (_token(_fields(more=1)), "unknown field 'more'"),
        (_token(_fields(tuf_root_version=True)), "tuf_root_version is a bool, expected int"),
        (_token(_fields(ca_pem="???")), "cannot be read"),
        (_token(_fields(ca_pem="aGVsbG8=")), "CA certificate cannot be read"),
        (_token(_fields(token_id="NO")), "token_id 'NO'"),
        (_token(_fields(secret="short")), "secret of token 't1' is not"),
        (_token(_fields(agents_url="ws://server.example")), "over wss or https"),
    ],
)
def test_a_bad_token_string_is_refused(text: str, why: str) -> None:
    """Each defect is named."""
    with pytest.raises(TrustError, match=why):
        decode_token(text)


def test_a_truncated_token_string_is_damaged() -> None:
    """The checksum finds a lost character."""
    text = encode_token(TRUST, "t1", SECRET)
    with pytest.raises(TrustError, match="damaged"):
        decode_token(text[:100] + text[101:])


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("trust_domain", "UPPER", "trust domain 'UPPER'"),
        ("ca_pem", "hello", "cannot be read"),
        ("ca_pem", "-----BEGIN nothing", "cannot be read"),
        ("ca_pem", " " * 20_000, "at most 16384"),
        ("ca_pem", CA.root_pem + "\nmore", "text beside"),
        ("ca_pem", CA.root_pem * 2, "2 certificates, expected exactly one"),
        ("ca_pem", CA.issuing.public_bytes(Encoding.PEM).decode(), "not a self-signed CA"),
        ("tuf_root_version", 0, "is 0, expected at least 1"),
        ("tuf_root_sha256", "AB" * 32, "64 lower-case"),
        ("agents_url", "https://", "host"),
        ("agents_url", "wss://host:99999", "is not a URL"),
        ("agents_url", "wss://host:0", "host"),
        ("downloads_url", "http://host", "over https"),
        ("downloads_url", "wss://host", "over https"),
        ("operators_url", "https://user@host", "more than scheme"),
        ("operators_url", "https://host/?a", "more than scheme"),
        ("operators_url", "https://host/#a", "more than scheme"),
        ("operators_url", "https://host/a b", "more than scheme"),
        ("operators_url", "https://[host", "is not a URL"),
    ],
)
def test_a_trust_that_cannot_be_is_refused(field: str, value: Any, why: str) -> None:
    """Each field is checked when it is read, and named."""
    with pytest.raises(TrustError, match=why):
        replace(TRUST, **{field: value})


@pytest.mark.parametrize(
    ("text", "why"),
    [("= 1", "is not TOML"), ("a = 1", "unknown field 'a'"), ("#" * 70_000, "at most 65536")],
)
def test_a_bad_trust_file_is_refused(text: str, why: str) -> None:
    """A file that is none, one with a field too many, one that is too long."""
    with pytest.raises(TrustError, match=why):
        Trust.from_toml(text)


def test_a_certificate_that_is_no_ca_is_no_anchor() -> None:
    """A self-signed certificate without the CA flag is refused."""
    with pytest.raises(TrustError, match="is not a CA"):
        normal_ca(_self_signed(new_key(), ca=False))


def test_an_anchor_has_a_p256_key() -> None:
    """Another curve is refused."""
    with pytest.raises(TrustError, match="no P-256 key"):
        normal_ca(_self_signed(ec.generate_private_key(ec.SECP384R1()), ca=True))


def test_the_same_trust_is_the_same() -> None:
    """Where an operator reaches the server is not part of what is compared."""
    require_same(TRUST, replace(TRUST, operators_url="https://elsewhere.example:9"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("trust_domain", "other.example"),
        ("tuf_root_version", 2),
        ("tuf_root_sha256", "cd" * 32),
        ("agents_url", "wss://other.example/v1/opamp"),
        ("downloads_url", "https://other.example"),
    ],
)
def test_another_trust_is_refused_with_both_values(field: str, value: Any) -> None:
    """The first field that differs is named, with the server's value and one's own."""
    with pytest.raises(TrustError) as caught:
        require_same(TRUST, replace(TRUST, **{field: value}))
    own = getattr(TRUST, field)
    assert str(caught.value) == f"{field} of the server is {value!r}, your trust file says {own!r}"


def test_another_ca_is_refused_by_fingerprints() -> None:
    """CAs are compared whole and shown as people compare them."""
    other = small_ca().root_pem
    with pytest.raises(TrustError, match="ca_pem") as caught:
        require_same(TRUST, replace(TRUST, ca_pem=other))
    assert ca_fingerprint(other) in str(caught.value)
    assert ca_fingerprint(TRUST.ca_pem) in str(caught.value)
