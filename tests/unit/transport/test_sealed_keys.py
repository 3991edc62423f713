"""A peer that asks for new keys and takes our answer late: it is waited for, and not ended later for it."""

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import pytest
import uvloop

from distribution.transport import sealed
from distribution.transport.sealed import SealedTransport
from tests.fakes.raw_records import RawRecords, raw_of, telling
from tests.fakes.sealed_pair import HeardInBuffer, both_ends, turns
from tests.fakes.server_tls import server_tls

STUCK = 1.0


def drained(client: ssl.SSLSocket) -> None:
    """Take what the other side said, sealed as it is, until nothing comes for a while."""
    client.settimeout(0.2)
    with contextlib.suppress(TimeoutError):
        while socket.socket.recv(client, 65_536):
            pass


def asked(client: ssl.SSLSocket, raw: RawRecords) -> None:
    client.settimeout(10)
    socket.socket.sendall(client, b"".join(raw.change_keys(ask=True) for _ in range(5)))


def test_answered_while_the_protocol_pauses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer went out while nothing was to be heard: the connection lasts."""
    monkeypatch.setattr(sealed, "STUCK_SECONDS", STUCK)
    context, ca_file = server_tls(tmp_path)

    async def tale() -> None:
        trusting = ssl.create_default_context(cafile=str(ca_file))
        secrets = telling(trusting)
        here, client = await both_ends(context, ca_file, trusting, SO_SNDBUF=4000, SO_RCVBUF=4000)
        protocol, watching = HeardInBuffer(), turns()
        SealedTransport(here, protocol, watching)
        raw = raw_of(client, secrets)
        secrets.unlink()
        while here.fileno() not in watching._writers:
            await asyncio.to_thread(asked, client, raw)
            await asyncio.sleep(0.01)
        protocol.transport.pause_reading()
        await asyncio.to_thread(drained, client)
        protocol.transport.resume_reading()
        await asyncio.to_thread(drained, client)
        await asyncio.sleep(2 * STUCK)
        await asyncio.to_thread(socket.socket.sendall, client, raw.seal(b"still here"))
        await protocol.until(lambda: protocol.data)
        assert (bytes(protocol.data), protocol.notes) == (b"still here", ["made"])
        client.close()
        protocol.transport.abort()
        await protocol.lost

    uvloop.run(tale())


def test_a_long_answer_that_is_taken_slowly_is_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it was written by one call, and the end has begun: as long as some of it goes nobody is left."""
    monkeypatch.setattr(sealed, "STUCK_SECONDS", 0.4)
    context, ca_file = server_tls(tmp_path)
    much = bytes(6 << 20)

    async def tale() -> None:
        here, client = await both_ends(context, ca_file, SO_SNDBUF=20_000, SO_RCVBUF=20_000)
        protocol = HeardInBuffer()
        SealedTransport(here, protocol, turns())
        protocol.transport.write(much)
        protocol.transport.close()
        taken = 0
        while taken < len(much):
            part = await asyncio.to_thread(client.recv, 16_384)
            assert part, f"ended after {taken} of {len(much)} bytes"
            taken += len(part)
            if taken % (512 << 10) < len(part):
                await asyncio.sleep(0.1)
        client.close()
        await protocol.lost

    uvloop.run(tale())
