"""Opens private keys by URI and writes new ones: the one file of server and pipelines that reads secrets.

Rules:

1. Everybody else names a key by its URI. Where keys live is a table here: `file:` today; a token's or a
   cloud's scheme is one more row, and no caller changes.
2. A key file that others can read is not opened. A key that is not ECDSA on P-256 is not opened.
3. A new key is on disk, whole and readable by its owner alone, before its name exists; a name that exists is
   never written again.
4. No error shows a key, or a part of one.
"""

import os
import stat
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

# The library does not mark what it re-exports, so a strict checker takes public names for private ones.
from securesystemslib.signer import CryptoSigner, Signer  # type: ignore[attr-defined]

from keys.errors import CustodyError
from keys.sealing import Seal, new_seal_key

CURVE: Final = ec.SECP256R1()
_FILE_MAX_BYTES: Final = 16_384
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def new_private_key() -> ec.EllipticCurvePrivateKey:
    """Make a key in memory; its randomness is the cryptographic library's own."""
    return ec.generate_private_key(CURVE)


def file_uri(path: Path) -> str:
    """Return the URI that opens the key at `path`, made absolute."""
    return f"file:{quote(str(path.absolute()))}"


def open_private_key(uri: str) -> ec.EllipticCurvePrivateKey:
    """Return the key that `uri` names.

    Args:
        uri: `file:<path>`, absolute or from the working directory; `%` escapes are read.

    Raises:
        CustodyError: no such scheme, no such file, others may read it, or it is not an unencrypted P-256 key.
    """
    scheme, colon, rest = uri.partition(":")
    opener = _SCHEMES.get(scheme)
    if not colon or opener is None:
        raise CustodyError(
            f"key {uri!r} has no scheme that can be opened, expected one of {sorted(_SCHEMES)}"
        )
    return opener(uri, rest)


def open_tuf_signer(uri: str) -> Signer:
    """Return the key that `uri` names as a signer of TUF metadata (ecdsa-sha2-nistp256).

    Raises:
        CustodyError: as `open_private_key`.
    """
    return CryptoSigner(open_private_key(uri))


def open_seal(uri: str, sealed: Callable[[], Sequence[str]] = tuple) -> Seal:
    """Return the server's seal that `uri` names; the file is made where it is missing.

    Args:
        uri: `file:<path>`.
        sealed: asked only where the file is missing: what was sealed already, in words. A new key would open
            none of it, and hide that the old one is gone.

    Raises:
        CustodyError: no such scheme, others may read it, it cannot be made, it holds no seal, or it is
            missing and something is sealed.
    """
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme != "file":
        raise CustodyError(f"seal {uri!r} has no scheme that can be opened, expected file")
    path = _path(rest)
    if not os.path.lexists(path):
        if lost := sealed():
            raise CustodyError(
                f"seal {uri!r} is missing, and no other key opens what is sealed: {', '.join(lost)}; "
                "put the file back"
            )
        write_once(Path(path), new_seal_key(), mode=0o600)
    return Seal(_read_private(uri, path).split(), uri)


def write_private_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Write a new key, mode 0600, durable before it is visible; the folder must exist.

    Raises:
        CustodyError: the name is taken (its file is as it was), or the folder cannot be written.
    """
    write_once(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), mode=0o600)


def write_once(path: Path, body: bytes, *, mode: int) -> None:
    """Write a new file whole: on disk with its final mode before its name exists.

    Raises:
        CustodyError: the name is taken (its file is as it was), or the folder cannot be written.
    """
    try:
        descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(body)
                file.flush()
                os.fchmod(descriptor, mode)
                os.fsync(descriptor)
            os.link(draft, path)
        finally:
            Path(draft).unlink()
        _sync_folder(path.parent)
    except FileExistsError as exc:
        raise CustodyError(f"file {str(path)!r} exists already and is not written again") from exc
    except OSError as exc:
        raise CustodyError(f"file {str(path)!r} cannot be written: {exc.strerror}") from exc


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_file(uri: str, rest: str) -> ec.EllipticCurvePrivateKey:
    return _parse(uri, _read_private(uri, _path(rest)))


def _path(rest: str) -> str:
    return unquote(rest.removeprefix("//") if rest.startswith("///") else rest)


def _read_private(uri: str, path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise CustodyError(f"key {uri!r} is not a plain file")
            if status.st_mode & _OTHERS:
                mode = stat.S_IMODE(status.st_mode)
                raise CustodyError(f"key {uri!r} has mode {mode:04o}, expected 0600: others may use it")
            return os.read(descriptor, _FILE_MAX_BYTES)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else exc
        raise CustodyError(f"key {uri!r} cannot be read: {why}") from exc


def _parse(uri: str, pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise CustodyError(f"key {uri!r} is not an unencrypted private key in PEM") from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != CURVE.name:
        kind = key.curve.name if isinstance(key, ec.EllipticCurvePrivateKey) else type(key).__name__
        raise CustodyError(f"key {uri!r} is of the kind {kind}, expected {CURVE.name}")
    return key


_SCHEMES: Final[dict[str, Callable[[str, str], ec.EllipticCurvePrivateKey]]] = {"file": _open_file}
