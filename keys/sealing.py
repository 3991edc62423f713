"""Seals secrets that must be said again, such as headers of connection settings, where they are kept.

Rules:

1. What is sealed opens only with the server's seal file; a copy of the database alone gives nothing away.
2. The file has a key a line. The first one seals, every one opens, so a new first line is a rotation.
3. No error shows what was sealed, or a key. Authenticated encryption of the cryptographic library (Fernet).
"""

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from keys.errors import CustodyError

KEYS_MAX = 16


def new_seal_key() -> bytes:
    """Make one line of a seal file; its randomness is the cryptographic library's own."""
    return Fernet.generate_key() + b"\n"


class Seal:
    """Seals and opens texts. Thread-safe. Made by `keys.custody.open_seal`."""

    def __init__(self, lines: Sequence[bytes], place: str) -> None:
        """Take the keys. Raises CustodyError naming `place`, and nothing of the keys."""
        if not 1 <= len(lines) <= KEYS_MAX:
            raise CustodyError(f"seal {place!r} has {len(lines)} keys, expected 1 to {KEYS_MAX}")
        try:
            self._keys = MultiFernet([Fernet(line) for line in lines])
        except ValueError:
            # Without the cause: its words may show a part of the key.
            raise CustodyError(f"seal {place!r} has a line that is no key of 32 bytes in base64") from None
        self._place = place

    def seal(self, text: str) -> str:
        """Return the text sealed."""
        return self._keys.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """Return what was sealed. Raises CustodyError if none of the keys opens it."""
        try:
            return self._keys.decrypt(sealed.encode()).decode()
        except InvalidToken as exc:
            raise CustodyError(f"seal {self._place!r} does not open what another key sealed") from exc
