"""Threat: a stranger says his part of a handshake in a way that keeps OpenSSL, and with it the loop, busy."""

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import pytest
import uvloop

from tests.fakes.greeted import shake_hands
from tests.fakes.raw_records import HANDSHAKE, raw_in_handshake, telling
from tests.fakes.sealed_pair import SECONDS, turns
from tests.fakes.server_tls import server_tls

CHANGE_OF_CIPHER = b"\x14\x03\x03\x00\x01\x01"
"""A record without meaning (RFC 8446 5): it may come within a handshake, and is passed over."""

CERTIFICATE = b"\x0b"
BYTES = 30_000


def slowly(context: ssl.SSLContext, there: socket.socket, secrets: Path, between: int) -> None:
    """Say a certificate in records of a byte, with so many records without meaning before each."""
    raw = raw_in_handshake(there, context, secrets)
    said = CERTIFICATE + (100_000).to_bytes(3) + bytes(BYTES)
    records = (CHANGE_OF_CIPHER * between + raw.seal(bytes((byte,)), HANDSHAKE) for byte in said)
    with contextlib.suppress(OSError):  # it is cut off
        there.sendall(b"".join(records))


@pytest.mark.parametrize("between", [0, 10])
def test_a_certificate_byte_by_byte(tmp_path: Path, between: int) -> None:
    """It comes faster than it is worked out, and one call would take seconds: he is cut off after some."""
    context, ca_file = server_tls(tmp_path)
    context.verify_mode = ssl.CERT_OPTIONAL  # as on the agents' listener
    context.load_verify_locations(str(ca_file))
    trusting = ssl.create_default_context(cafile=str(ca_file))
    secrets = telling(trusting)

    async def tale() -> int:
        with socket.socket() as listening, socket.socket() as there:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            there.settimeout(SECONDS)
            there.connect(listening.getsockname())
            here, _ = listening.accept()
            here.setblocking(False)
            watching = turns()
            sending = asyncio.create_task(asyncio.to_thread(slowly, trusting, there, secrets, between))
            with pytest.raises(OSError):  # noqa: PT011 - whichever of them says that it ended
                await shake_hands(here, context, SECONDS, watching)
            assert here.fileno() == -1
            await sending
            return watching.runaway.cut

    try:
        assert uvloop.run(tale()) == 1
    finally:
        secrets.unlink()
