"""Threat: a peer whose handshake is over says in TLS what no library would, to hold the loop or break it."""

import asyncio
import contextlib
import fcntl
import socket
import ssl
import struct
import termios
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from distribution.transport import sealed
from distribution.transport.sealed import SealedTransport
from distribution.transport.turns import Turns
from tests.fakes.raw_records import ALERT, CLOSE_NOTIFY, DATA, HANDSHAKE, RawRecords, raw_of, telling
from tests.fakes.sealed_pair import HeardInBuffer, both_ends, turns
from tests.fakes.server_tls import server_tls

IDLE_SECONDS = 0.3
HELD_SECONDS = 0.8
"""Of the thread's own CPU, in one call; all that is sent there takes some 2.5."""

BUSY_SHARE = 0.5
"""Of a core: less is idle, with room for a busy machine; a loop that spins takes all of it."""


class Attack:
    """One connection, and what its peer does with it."""

    def __init__(self, protocol: HeardInBuffer, client: ssl.SSLSocket, raw: RawRecords, here: Turns) -> None:
        self.protocol = protocol
        self.raw = raw
        self.turns = here
        self._client = client

    async def send(self, data: bytes) -> None:
        """Send bytes as they are; it is no error if the other side ends meanwhile."""

        def sent() -> None:
            with contextlib.suppress(OSError):
                socket.socket.sendall(self._client, data)

        await asyncio.to_thread(sent)

    def reset(self) -> None:
        """Leave without a word."""
        self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self._client.close()

    async def is_idle(self) -> bool:
        """Whether the loop has nothing to do for a while."""
        before = time.thread_time()
        await asyncio.sleep(IDLE_SECONDS)
        return time.thread_time() - before < BUSY_SHARE * IDLE_SECONDS

    async def lost(self) -> Exception | None:
        """Wait for the end."""
        return await asyncio.wait_for(asyncio.shield(self.protocol.lost), 10)


Story = Callable[[Attack], Coroutine[Any, Any, None]]


def told(folder: Path, story: Story, **options: int) -> None:
    """Tell a story of an attack; the loop MUST be told of no fault, and nothing may be left."""
    context, ca_file = server_tls(folder)
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF  # as the product's
    faults: list[object] = []

    async def tale() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, fault: faults.append(fault))
        trusting = ssl.create_default_context(cafile=str(ca_file))
        secrets = telling(trusting)
        here, client = await both_ends(context, ca_file, trusting, **options)
        protocol, watching = HeardInBuffer(), turns()
        SealedTransport(here, protocol, watching)
        try:
            await story(Attack(protocol, client, raw_of(client, secrets), watching))
        finally:
            client.close()
            secrets.unlink()
            protocol.transport.abort()
            await protocol.lost
        assert here.fileno() == -1
        assert protocol.notes.count("lost") == 1

    uvloop.run(tale())
    assert faults == []


@pytest.mark.parametrize("ask", [True, False])
def test_keys_that_change_without_end(tmp_path: Path, *, ask: bool) -> None:
    """OpenSSL works them out inside one call as long as they come; the peer is cut off after some."""

    async def story(attack: Attack) -> None:
        flood = b"".join(attack.raw.change_keys(ask=ask) for _ in range(60_000))
        await attack.send(flood)
        await attack.lost()
        assert attack.turns.runaway.cut == 1
        assert attack.protocol.data == b""

    told(tmp_path, story)


def test_keys_that_change_now_and_then_are_honest(tmp_path: Path) -> None:
    """A hundred times, with something said between: all of it is heard, and nobody is cut off."""

    async def story(attack: Attack) -> None:
        said = b""
        for number in range(100):
            said += b"%d " % number
            await attack.send(attack.raw.change_keys() + attack.raw.seal(b"%d " % number))
        await attack.protocol.until(lambda: attack.protocol.data == said)
        assert attack.turns.runaway.cut == 0

    told(tmp_path, story)


def test_new_keys_asked_for_by_who_does_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our answers do not go: he is not heard until they do, the loop rests, and he is left in the end."""
    monkeypatch.setattr(sealed, "STUCK_SECONDS", 3 * IDLE_SECONDS)

    async def story(attack: Attack) -> None:
        flood = b"".join(attack.raw.change_keys(ask=True) for _ in range(20_000))
        sending = asyncio.create_task(attack.send(flood))
        await asyncio.sleep(IDLE_SECONDS)  # both sides' buffers are full
        assert await attack.is_idle()
        assert attack.turns.runaway.cut == 0
        await attack.lost()
        attack.reset()
        await sending

    told(tmp_path, story, SO_SNDBUF=2000, SO_RCVBUF=2000)


def test_records_of_a_byte_in_pieces_of_a_byte(tmp_path: Path) -> None:
    """All of it is heard, in order; a record that has begun costs nothing while it is not whole."""

    async def story(attack: Attack) -> None:
        said = bytes(range(50))
        for number in said:
            for byte in attack.raw.seal(bytes((number,)), padding=number):
                await attack.send(bytes((byte,)))
        await attack.protocol.until(lambda: attack.protocol.data == said)
        await attack.send(attack.raw.seal(b"never whole")[:-1])
        assert await attack.is_idle()
        assert attack.protocol.notes == ["made"]
        attack.reset()
        await attack.lost()

    told(tmp_path, story)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        pytest.param(HANDSHAKE, b"\x01\x00\x00\x04abcd", id="another hello"),
        pytest.param(HANDSHAKE, b"\x00\x00\x00\x00", id="a request to begin again"),
        pytest.param(HANDSHAKE, b"\x18\x00\x00\x01\x07", id="new keys of no known kind"),
        pytest.param(HANDSHAKE, b"\x0b\xff\xff\xff", id="a certificate of sixteen megabytes"),
        pytest.param(ALERT, b"\x02\x28", id="an alert"),
        pytest.param(ALERT, b"\x02", id="half an alert"),
        pytest.param(20, b"\x01", id="a change of cipher"),
        pytest.param(99, b"x", id="no known kind"),
        pytest.param(DATA, b"x" * 16_385, id="too long"),
    ],
)
def test_what_has_no_place_there(tmp_path: Path, kind: int, content: bytes) -> None:
    """The connection ends, nothing of it is heard, and no fault is ours."""

    async def story(attack: Attack) -> None:
        await attack.send(attack.raw.seal(content, kind))
        await attack.lost()
        assert attack.protocol.data == b""

    told(tmp_path, story)


def test_empty_records_without_end(tmp_path: Path) -> None:
    """Some are allowed; many in a row are the end."""

    async def story(attack: Attack) -> None:
        await attack.send(b"".join(attack.raw.seal(b"") for _ in range(20)) + attack.raw.seal(b"x"))
        await attack.protocol.until(lambda: attack.protocol.data == b"x")
        await attack.send(b"".join(attack.raw.seal(b"") for _ in range(1000)))
        await attack.lost()

    told(tmp_path, story)


def test_what_follows_a_goodbye(tmp_path: Path) -> None:
    """It is not heard, however it is sealed."""

    async def story(attack: Attack) -> None:
        raw = attack.raw
        said = raw.seal(b"last"), raw.seal(CLOSE_NOTIFY, ALERT), raw.seal(b"more"), raw.change_keys()
        await attack.send(b"".join(said))
        await attack.lost()
        assert attack.protocol.data == b"last"
        assert attack.protocol.notes == ["made", "end", "lost"]

    told(tmp_path, story)


def test_an_altered_record(tmp_path: Path) -> None:
    """A bit of it is another one: the end."""

    async def story(attack: Attack) -> None:
        record = bytearray(attack.raw.seal(b"hello"))
        record[-1] ^= 1
        await attack.send(bytes(record))
        assert isinstance(await attack.lost(), ssl.SSLError)
        assert attack.protocol.data == b""

    told(tmp_path, story)


def test_keys_that_change_while_we_say_goodbye(tmp_path: Path) -> None:
    """To close reads what waits, and goes on while it comes; also where nobody else is connected."""

    async def story(attack: Attack) -> None:
        attack.protocol.transport.pause_reading()  # so that it waits when we close
        flood = b"".join(attack.raw.change_keys() for _ in range(120_000))
        sending = asyncio.create_task(attack.send(flood))
        await attack.protocol.until(lambda: waiting(attack.protocol) > 100_000)
        began = time.thread_time()
        attack.protocol.transport.close()
        assert time.thread_time() - began < HELD_SECONDS
        attack.reset()  # where the machine is so busy that nothing waited any more, he was not cut off
        await attack.lost()
        await sending

    told(tmp_path, story)


def waiting(protocol: HeardInBuffer) -> int:
    """Return how many bytes wait to be read."""
    number = protocol.transport.get_extra_info("socket").fileno()
    [size] = struct.unpack("i", fcntl.ioctl(number, termios.FIONREAD, bytes(4)))
    return int(size)
