"""keys/ca_setup.py."""

from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509 import verification

from keys.ca_setup import Hierarchy, Lifetimes, create_hierarchy
from keys.custody import file_uri, open_private_key
from keys.errors import IssuerError, KeysError
from keys.issuer import Issuer
from keys.trust import normal_ca
from tests.fakes.certificates import DOMAIN, NOW, Serials
from tests.fakes.linted import findings


def _create(folder: Path, **changes: Any) -> Hierarchy:
    values: dict[str, Any] = {
        "trust_domain": DOMAIN,
        "hosts": ["server.example", "127.0.0.1"],
        "offline": folder / "offline",
        "online": folder / "server",
        "new_serial": Serials(),
        "now": NOW,
    }
    for name in ("offline", "server"):
        (folder / name).mkdir(exist_ok=True)
    return create_hierarchy(**{**values, **changes})


def _certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_the_hierarchy_is_of_one_piece(tmp_path: Path) -> None:
    """Each key belongs to its certificate, and the root's key is the only thing offline."""
    places = _create(tmp_path)
    for key, certificate in (
        (places.root_key, places.root_certificate),
        (places.issuing_key, places.issuing_certificate),
        (places.server_key, places.server_certificate),
    ):
        assert open_private_key(file_uri(key)).public_key() == _certificate(certificate).public_key()
        assert findings(_certificate(certificate)) == []
    assert [file.name for file in (tmp_path / "offline").iterdir()] == ["ca-root.key.pem"]
    assert "ca-root.key.pem" not in {file.name for file in (tmp_path / "server").iterdir()}


def test_the_issuing_ca_opens_as_an_issuer(tmp_path: Path) -> None:
    """It is the root's, and the authority accepts it."""
    places = _create(tmp_path)
    issuing = _certificate(places.issuing_certificate)
    issuing.verify_directly_issued_by(_certificate(places.root_certificate))
    assert Issuer(open_private_key(file_uri(places.issuing_key)), issuing).certificate == issuing


def test_agents_verify_the_server_from_the_root_alone(tmp_path: Path) -> None:
    """The root is a good anchor for a trust file, and the server's certificate leads to it."""
    places = _create(tmp_path)
    root = _certificate(places.root_certificate)
    assert normal_ca(places.root_certificate.read_bytes()) == places.root_certificate.read_text()
    verifier = verification.PolicyBuilder().store(verification.Store([root])).time(NOW)
    server = verifier.build_server_verifier(x509.DNSName("server.example"))
    assert server.verify(_certificate(places.server_certificate), [])[-1] == root


def test_certificates_are_public_and_keys_are_not(tmp_path: Path) -> None:
    """By the modes of their files."""
    places = _create(tmp_path)
    for field in fields(places):
        mode = getattr(places, field.name).stat().st_mode & 0o777
        assert mode == (0o600 if field.name.endswith("key") else 0o644)


@pytest.mark.parametrize(("offline", "online"), [("a", "a"), ("a", "a/b"), ("a/b", "a"), ("a/../b", "b")])
def test_folders_that_are_not_apart_are_refused(tmp_path: Path, offline: str, online: str) -> None:
    """The root's key does not lie in, above or beside what the server holds."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(KeysError, match="is not apart from"):
        _create(tmp_path, offline=tmp_path / offline, online=tmp_path / online)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A second run is refused before it writes anything."""
    _create(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.pem")}
    with pytest.raises(KeysError, match=r"ca-root\.key\.pem' exists already"):
        _create(tmp_path)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*.pem")} == before


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    """It counts as a file that exists."""
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "server.pem").symlink_to("nowhere")
    with pytest.raises(KeysError, match=r"server\.pem' exists already"):
        _create(tmp_path)
    assert not (tmp_path / "server" / "nowhere").exists()


def test_a_certificate_that_would_outlive_the_root_is_refused(tmp_path: Path) -> None:
    """Nothing is written then."""
    short = Lifetimes(root=timedelta(days=100))
    with pytest.raises(IssuerError, match="after its issuer"):
        _create(tmp_path, lifetimes=short)
    assert list(tmp_path.rglob("*.pem")) == []
