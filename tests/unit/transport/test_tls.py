"""The listeners' TLS contexts; what they do on the wire is in tests/attacks/test_revoked.py."""

import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from distribution.errors import SettingsError
from distribution.transport.tls import agents_context, server_context
from keys.ca_setup import server_certificate
from tests.fakes.certificates import NOW, Serials, SmallCa, new_key, small_ca


@pytest.fixture(scope="module")
def ca() -> SmallCa:
    return small_ca()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, ca: SmallCa) -> tuple[Path, Path]:
    folder, key = tmp_path_factory.mktemp("tls"), new_key()
    leaf = server_certificate(
        ["localhost"],
        key.public_key(),
        ca.root,
        ca.root_key,
        serial=Serials()(),
        now=NOW,
        validity=timedelta(days=1),
    )
    certificate_file, key_file = folder / "server.crt", folder / "server.key"
    certificate_file.write_bytes(leaf.public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate_file, key_file


def test_nothing_older_and_nothing_resumed(files: tuple[Path, Path]) -> None:
    """TLS 1.3 at least, no tickets, and no certificate is asked for where none is needed."""
    context = server_context(certificate=files[0], key=files[1])
    assert (context.minimum_version, context.num_tickets) == (ssl.TLSVersion.TLSv1_3, 0)
    assert context.verify_mode is ssl.CERT_NONE


def test_agents_certificate_is_verified_when_given(files: tuple[Path, Path], ca: SmallCa) -> None:
    """Optional, strict, and only by the CA that issues to agents, whose own issuer need not be there."""
    context = agents_context(certificate=files[0], key=files[1], issuing_pem=ca.issuing_pem)
    assert context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN
    assert (context.verify_mode, context.num_tickets) == (ssl.CERT_OPTIONAL, 0)
    assert context.verify_flags & ssl.VERIFY_X509_STRICT
    assert context.cert_store_stats()["x509_ca"] == 1


def test_files_that_cannot_be_used_are_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    """A missing file and a key of another certificate stop the start, by name."""
    with pytest.raises(SettingsError, match=r"missing\.crt"):
        server_context(certificate=tmp_path / "missing.crt", key=files[1])
    other = tmp_path / "other.key"
    other.write_bytes(new_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(SettingsError, match=r"other\.key"):
        server_context(certificate=files[0], key=other)


def test_authority_that_is_none_is_refused(files: tuple[Path, Path]) -> None:
    """Without a usable CA nobody could be verified, so the listener does not start."""
    with pytest.raises(SettingsError, match="no certificate"):
        agents_context(certificate=files[0], key=files[1], issuing_pem="nothing")
