"""A TLS 1.3 client that may send what no library would: any record, in any pieces, new keys without end.

The handshake is OpenSSL's, which tells its secrets (SSLKEYLOGFILE); what follows is sealed here
(RFC 8446 5.2 and 7).
"""

import hmac
import socket
import ssl
import tempfile
from hashlib import sha384
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ALERT, HANDSHAKE, DATA = 21, 22, 23
CLOSE_NOTIFY = b"\x01\x00"

_KEY_UPDATE = 24
_SUITE = "TLS_AES_256_GCM_SHA384"


class RawRecords:
    """Seals records of a client whose handshake is over, and which has sent nothing since."""

    def __init__(self, secret: bytes) -> None:
        self._use(secret)

    def seal(self, content: bytes, kind: int = DATA, padding: int = 0) -> bytes:
        """Return the next record."""
        inner = content + bytes((kind,)) + bytes(padding)
        head = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2)
        nonce = (int.from_bytes(self._iv) ^ self._number).to_bytes(12)
        self._number += 1
        return head + self._cipher.encrypt(nonce, inner, head)

    def change_keys(self, *, ask: bool = False) -> bytes:
        """Return the record that says so, and seal the next ones with new keys; `ask` for new ones there."""
        record = self.seal(bytes((_KEY_UPDATE, 0, 0, 1, ask)), HANDSHAKE)
        self._use(_expanded(self._secret, b"traffic upd", 48))
        return record

    def _use(self, secret: bytes) -> None:
        self._secret = secret
        self._cipher = AESGCM(_expanded(secret, b"key", 32))
        self._iv = _expanded(secret, b"iv", 12)
        self._number = 0


def telling(context: ssl.SSLContext) -> Path:
    """Have a client's context tell its secrets; return the file. To be removed by the caller."""
    with tempfile.NamedTemporaryFile(delete=False) as file:
        context.keylog_filename = file.name
    return Path(file.name)


def raw_in_handshake(client: socket.socket, context: ssl.SSLContext, secrets: Path) -> RawRecords:
    """Say hello, hear the server's answer, and return what seals what is said instead of ours to it.

    `context` MUST be `telling` its secrets to the file; `client` is connected, and blocks.
    """
    came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
    hands = context.wrap_bio(came, goes, server_hostname="127.0.0.1")
    while True:
        try:
            hands.do_handshake()
        except ssl.SSLWantReadError:
            client.sendall(goes.read())
            came.write(client.recv(65_536))
        else:
            return RawRecords(_told(secrets, "CLIENT_HANDSHAKE_TRAFFIC_SECRET"))


def raw_of(client: ssl.SSLSocket, secrets: Path) -> RawRecords:
    """Return what seals for this client from now on; the library MUST NOT write to it any more."""
    cipher = client.cipher()
    assert cipher is not None
    assert cipher[0] == _SUITE
    return RawRecords(_told(secrets, "CLIENT_TRAFFIC_SECRET_0"))


def _told(secrets: Path, name: str) -> bytes:
    words = [line.split() for line in secrets.read_text().splitlines()]
    [secret] = [bytes.fromhex(found[2]) for found in words if found[0] == name]
    return secret


def _expanded(secret: bytes, label: bytes, length: int) -> bytes:
    """Return HKDF-Expand-Label with an empty context (RFC 8446 7.1); one block is enough."""
    named = b"tls13 " + label
    info = length.to_bytes(2) + bytes((len(named),)) + named + b"\x00"
    return hmac.digest(secret, info + b"\x01", sha384)[:length]
