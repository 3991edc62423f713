"""keys/custody.py."""

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from keys.custody import (
    file_uri,
    new_private_key,
    open_private_key,
    open_seal,
    open_tuf_signer,
    write_once,
    write_private_key,
)
from keys.errors import CustodyError


def _private(path: Path, body: bytes) -> str:
    path.write_bytes(body)
    path.chmod(0o600)
    return file_uri(path)


def test_a_written_key_opens_again(tmp_path: Path) -> None:
    """What is written under a name is what its URI opens, and only its owner can read it."""
    key, path = new_private_key(), tmp_path / "a.key"
    write_private_key(path, key)
    assert open_private_key(file_uri(path)).private_numbers() == key.private_numbers()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["a.key"]


def test_uris_of_files_have_three_spellings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absolute with and without an empty host, and from the working directory; escapes are read."""
    write_private_key(tmp_path / "a b.key", new_private_key())
    monkeypatch.chdir(tmp_path)
    for uri in (
        file_uri(tmp_path / "a b.key"),
        f"file:{tmp_path}/a%20b.key",
        f"file://{tmp_path}/a%20b.key",
        "file:a%20b.key",
    ):
        assert open_private_key(uri).curve.name == "secp256r1"


def test_a_name_is_written_once(tmp_path: Path) -> None:
    """A second key under the same name is refused, the first is untouched, and no draft is left."""
    path = tmp_path / "a.key"
    write_private_key(path, new_private_key())
    before = path.read_bytes()
    with pytest.raises(CustodyError, match="exists already"):
        write_private_key(path, new_private_key())
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.key"]


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    """A key that cannot be written is an error of ours that names the file."""
    with pytest.raises(CustodyError, match=r"nowhere/a\.key' cannot be written: No such file"):
        write_once(tmp_path / "nowhere" / "a.key", b"", mode=0o600)


def test_a_tuf_signer_signs_with_the_key(tmp_path: Path) -> None:
    """A key opened as a TUF signer makes signatures that its public key verifies."""
    write_private_key(tmp_path / "a.key", new_private_key())
    signer = open_tuf_signer(file_uri(tmp_path / "a.key"))
    assert signer.public_key.scheme == "ecdsa-sha2-nistp256"
    signer.public_key.verify_signature(signer.sign(b"metadata"), b"metadata")


@pytest.mark.parametrize("uri", ["", "a.key", "pkcs11:token", "FILE:a"])
def test_an_unknown_scheme_is_refused(uri: str) -> None:
    """Only schemes of the table open keys."""
    with pytest.raises(CustodyError, match="no scheme that can be opened"):
        open_private_key(uri)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    """The mode that was found is in the message."""
    write_private_key(tmp_path / "a.key", new_private_key())
    (tmp_path / "a.key").chmod(mode)
    with pytest.raises(CustodyError, match=f"has mode {mode:04o}, expected 0600"):
        open_private_key(file_uri(tmp_path / "a.key"))


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    """A folder and a pipe are named, and nothing hangs."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in (".", "pipe"):
        with pytest.raises(CustodyError, match="not a plain file"):
            open_private_key(f"file:{tmp_path}/{name}")


@pytest.mark.parametrize(("name", "why"), [("none", "No such file"), ("a%00b", "embedded null")])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, why: str) -> None:
    """A missing file, and a name that cannot be one."""
    with pytest.raises(CustodyError, match=f"cannot be read: .*{why}"):
        open_private_key(f"file:{tmp_path}/{name}")


def test_bytes_that_are_no_key_are_refused_and_not_shown(tmp_path: Path) -> None:
    """The message names the URI and nothing of the content."""
    uri = _private(tmp_path / "a.key", b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
    with pytest.raises(CustodyError, match="not an unencrypted private key") as caught:
        open_private_key(uri)
    assert "c2VjcmV0" not in str(caught.value)


def test_an_encrypted_key_is_refused(tmp_path: Path) -> None:
    """There is nobody to ask for its passphrase."""
    body = new_private_key().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase")
    )
    with pytest.raises(CustodyError, match="not an unencrypted private key"):
        open_private_key(_private(tmp_path / "a.key", body))


@pytest.mark.parametrize("kind", ["secp384r1", "RSAPrivateKey"])
def test_a_key_of_another_kind_is_refused(tmp_path: Path, kind: str) -> None:
    """Both kinds are named."""
    other = (
        ec.generate_private_key(ec.SECP384R1())
        if kind == "secp384r1"
        else rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )
    body = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(CustodyError, match=f"kind {kind}, expected secp256r1"):
        open_private_key(_private(tmp_path / "a.key", body))


def test_a_seal_is_made_where_it_is_missing_and_opened_again(tmp_path: Path) -> None:
    """Only its owner can read the file; what was sealed before a restart opens after it."""
    path = tmp_path / "seal.key"
    sealed = open_seal(file_uri(path)).seal("text")
    assert path.stat().st_mode & 0o777 == 0o600
    assert open_seal(file_uri(path)).open(sealed) == "text"


def test_a_seal_that_is_gone_is_not_replaced_over_what_it_sealed(tmp_path: Path) -> None:
    """A new key would hide the loss until somebody needs what is sealed; with the file nobody is asked."""
    uri = file_uri(tmp_path / "seal.key")
    with pytest.raises(CustodyError) as caught:
        open_seal(uri, lambda: ("2 values of single agents", "1 secret"))
    assert str(caught.value) == (
        f"seal {uri!r} is missing, and no other key opens what is sealed: "
        "2 values of single agents, 1 secret; put the file back"
    )
    assert list(tmp_path.iterdir()) == []
    open_seal(uri)

    def asked() -> list[str]:
        raise AssertionError("the seal is there")

    open_seal(uri, asked)


def test_a_seal_that_others_may_read_is_not_opened(tmp_path: Path) -> None:
    """As with every secret file."""
    path = tmp_path / "seal.key"
    open_seal(file_uri(path))
    path.chmod(0o644)
    with pytest.raises(CustodyError, match="mode 0644, expected 0600"):
        open_seal(file_uri(path))


@pytest.mark.parametrize("uri", ["seal.key", "kms:seal"])
def test_a_seal_is_a_file(uri: str) -> None:
    """No other scheme can be opened, and none is made."""
    with pytest.raises(CustodyError, match="has no scheme that can be opened, expected file"):
        open_seal(uri)


def test_a_seal_that_cannot_be_made_is_said_by_name(tmp_path: Path) -> None:
    """A folder that is not there is not made."""
    with pytest.raises(CustodyError, match="cannot be written"):
        open_seal(file_uri(tmp_path / "missing" / "seal.key"))
