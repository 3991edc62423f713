"""transport/gate.py and transport/handshakes.py, over real sockets on loopback."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Protocol

import pytest
import uvloop

from distribution.transport import gate as module
from distribution.transport import handshakes
from distribution.transport.arrivals import FRUITLESS
from distribution.transport.gate import Bounds, Counts, Gate
from tests.fakes.gate_host import WAIT_SECONDS, Host, Taken
from tests.fakes.server_tls import server_tls

Story = Callable[[Gate, Host], Coroutine[object, object, None]]


class Teller(Protocol):
    """Tells a story at an open gate."""

    def __call__(self, story: Story, bounds: Bounds = ...) -> None: ...


async def until(holds: Callable[[], object]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not holds():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.005)


def use_up(gate: Gate) -> None:
    """Have so many handshakes for nothing that the next one waits."""
    for _ in range(int(FRUITLESS.burst)):
        ticket = gate.arrivals.enter("127.0.0.1")
        ticket.greeted = True
        ticket.give_back()


async def hung_up(sock: socket.socket) -> bool:
    """Whether the other side closes the connection."""
    try:
        return await asyncio.to_thread(sock.recv, 1) == b""
    except ConnectionError:
        return True


@pytest.fixture
def tell(tmp_path: Path) -> Teller:
    """Tells a story at an open gate."""
    context, ca_file = server_tls(tmp_path)

    def told(story: Story, bounds: Bounds = Bounds()) -> None:  # noqa: B008 - a value
        uvloop.run(_tell(context, ca_file, story, bounds))

    return told


async def _tell(context: ssl.SSLContext, ca_file: Path, story: Story, bounds: Bounds) -> None:
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    host = Host(bound.getsockname()[1], ca_file)
    gate = Gate("test", bound, context, lambda ticket: Taken(ticket, host.taken), bounds)
    gate.open()
    try:
        await story(gate, host)
    finally:
        gate.close()
        gate.close()
        host.close()
        await until(lambda: gate.arrivals.held == 0)


def test_a_handshake_lets_through(tell: Teller) -> None:
    """A connection counts from the accept until it is gone, and its protocol has the ticket."""

    async def story(gate: Gate, host: Host) -> None:
        writer = await host.tls()
        await until(lambda: host.taken)
        assert (gate.arrivals.held, host.taken[0].ticket.greeted) == (1, True)
        writer.write(b"x")
        await until(lambda: host.taken[0].ticket.fruitful)
        writer.close()
        await until(lambda: gate.arrivals.held == 0)
        assert gate.counts == Counts()

    tell(story)


def test_who_says_nothing_is_never_greeted(tell: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever leaves without a word, or stays silent, costs no handshake."""
    monkeypatch.setattr(module, "SILENT_SECONDS", 0.0)

    async def story(gate: Gate, host: Host) -> None:
        host.plain().close()
        assert await hung_up(host.plain())
        await until(lambda: gate.counts.silent == 2)
        assert (gate.silent, gate.handshakes.under_way, host.taken) == (0, 0, [])

    tell(story)


def test_too_many_silent_ones(tell: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that has been silent for longest makes room; whoever speaks gets in all the same."""
    monkeypatch.setattr(module, "SILENT_MAX", 3)
    monkeypatch.setattr(module, "SILENT_LEAST_SECONDS", 0.0)

    async def story(gate: Gate, host: Host) -> None:
        silent = [host.plain() for _ in range(4)]
        assert await hung_up(silent[0])
        assert gate.silent == 3
        await host.tls()
        await until(lambda: host.taken)

    tell(story)


def test_a_fleet_that_comes_at_once_may_speak(tell: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    """More come than may be silent: the kernel keeps the rest until these have spoken; none is hung up on."""
    monkeypatch.setattr(module, "SILENT_MAX", 3)
    monkeypatch.setattr(module, "SILENT_LEAST_SECONDS", 60.0)

    async def story(gate: Gate, host: Host) -> None:
        early = [host.plain() for _ in range(4)]
        await until(lambda: gate.silent == 4)
        late = [host.plain() for _ in range(4)]
        for sock in early:
            sock.send(b"GET / HTTP/1.1")  # which is no TLS, and takes no place any more
        await until(lambda: gate.silent == 4 and gate.counts.no_tls == 4)
        assert gate.counts.silent == 0
        for sock in late:
            sock.send(b"GET / HTTP/1.1")
        await until(lambda: gate.counts.no_tls == 8)

    tell(story)


def test_room_is_made_once_it_is_time(tell: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who go on saying nothing go one after the other, and others are accepted for them."""
    monkeypatch.setattr(module, "SILENT_MAX", 3)
    monkeypatch.setattr(module, "SILENT_LEAST_SECONDS", 0.05)
    monkeypatch.setattr(module, "_SWEEP_SECONDS", 0.02)

    async def story(gate: Gate, host: Host) -> None:
        silent = [host.plain() for _ in range(6)]
        for sock in silent[:3]:
            assert await hung_up(sock)
        assert gate.counts.silent == 3

    tell(story)


def test_what_is_no_tls_is_hung_up_on(tell: Teller) -> None:
    """HTTP without TLS is closed by its first byte."""

    async def story(gate: Gate, host: Host) -> None:
        assert await hung_up(host.plain(b"GET / HTTP/1.1\r\n\r\n"))
        assert gate.counts == Counts(no_tls=1)

    tell(story)


@pytest.mark.parametrize(
    ("bounds", "counts"),
    [(Bounds(connections=2), Counts(no_room=1)), (Bounds(per_address=2), Counts(per_address=1))],
    ids=["all together", "one address"],
)
def test_too_many_connections(tell: Teller, bounds: Bounds, counts: Counts) -> None:
    """Beyond the bound a connection is closed at once; when one has left, the next is taken."""

    async def story(gate: Gate, host: Host) -> None:
        first, _second = await host.tls(), await host.tls()
        assert await hung_up(host.plain())
        assert gate.counts == counts
        first.close()
        await until(lambda: gate.arrivals.held == 1)
        await host.tls()
        await until(lambda: len(host.taken) == 2)

    tell(story, bounds)


def test_a_slow_handshake_makes_room(tell: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all places are taken by handshakes that do not go on, the oldest gives its own to who waits."""
    monkeypatch.setattr(handshakes, "FAIR_SECONDS", 0.0)

    async def story(gate: Gate, host: Host) -> None:
        slow = [host.plain(b"\x16"), host.plain(b"\x16")]
        await until(lambda: gate.handshakes.under_way == 2)
        await host.tls()
        await until(lambda: host.taken)
        assert await hung_up(slow[0])
        assert gate.counts.handshake_failed == 1

    tell(story, Bounds(handshakes=2))


def test_no_more_are_accepted_than_can_wait(tell: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where too many wait the kernel keeps the others, and each gets in at last."""
    monkeypatch.setattr(module, "WAITING_MAX", 2)

    async def story(gate: Gate, host: Host) -> None:
        blocking = host.plain(b"\x16")
        await until(lambda: gate.handshakes.under_way == 1)
        waiting = [host.plain(b"\x16") for _ in range(6)]
        await until(lambda: gate.handshakes.waiting == 2)
        await asyncio.sleep(0)
        assert gate.arrivals.held == 3
        coming = asyncio.create_task(host.tls())
        for sock in (blocking, *waiting):
            sock.close()
        await coming
        await until(lambda: host.taken)

    tell(story, Bounds(handshakes=1))


def test_a_client_in_a_loop_is_slowed_down(tell: Teller) -> None:
    """After a burst of handshakes for nothing, the next ones of this address wait for their share."""

    async def story(gate: Gate, host: Host) -> None:
        use_up(gate)
        coming = asyncio.create_task(host.tls())
        await until(lambda: gate.handshakes.delayed == 1)
        assert host.taken == []
        await coming
        await until(lambda: host.taken)

    tell(story)


def test_no_descriptor_is_left(tell: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be accepted the loop does not spin: it tries again a little later."""
    monkeypatch.setattr(module, "_NO_ROOM_SECONDS", 0.01)

    async def story(gate: Gate, host: Host) -> None:
        listening, tries = gate._listening, []

        class Full:
            def fileno(self) -> int:
                return listening.fileno()

            def accept(self) -> tuple[socket.socket, object]:
                tries.append(1)
                if len(tries) == 1:
                    raise ConnectionAbortedError
                if len(tries) == 2:
                    raise OSError(errno.EMFILE, "Too many open files")
                return listening.accept()

            def close(self) -> None:
                listening.close()

        gate._listening = Full()  # type: ignore[assignment] # what it uses of a socket
        await host.tls()
        await until(lambda: host.taken)

    tell(story)


def test_close_lets_go_of_all_that_are_not_through(tell: Teller) -> None:
    """Silent, waiting, delayed and half greeted ones are hung up on; those that are through stay."""

    async def story(gate: Gate, host: Host) -> None:
        await host.tls()
        await until(lambda: host.taken)
        here = [host.plain(), host.plain(b"\x16")]
        await until(lambda: (gate.silent, gate.handshakes.under_way) == (1, 1))
        here.append(host.plain(b"\x16"))
        await until(lambda: gate.handshakes.waiting == 1)
        use_up(gate)
        here.append(host.plain(b"\x16"))
        await until(lambda: gate.handshakes.delayed == 1)
        gate.close()
        assert all([await hung_up(sock) for sock in here])
        assert (gate.arrivals.held, len(host.taken)) == (1, 1)

    tell(story, Bounds(handshakes=1))


def test_it_is_told_once_how_many_were_not_let_through(
    tell: Teller, caplog: pytest.LogCaptureFixture
) -> None:
    """One line for any number of connections, and none where nothing happened since."""

    async def story(gate: Gate, host: Host) -> None:
        for _ in range(20):
            assert await hung_up(host.plain(b"no"))
        with caplog.at_level("INFO"):
            gate._tell()
            gate._tell()

    tell(story)
    assert [record.getMessage() for record in caplog.records] == ["connections were not let through"]
    assert vars(caplog.records[0])["no_tls"] == 20
