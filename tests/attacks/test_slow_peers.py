"""Peers that are slow on purpose: each holds its place for a stated time, and no longer."""

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import uvicorn

from distribution.protocol import wire
from distribution.transport import heads, sender, websocket
from distribution.transport.downloads import downloads_app
from distribution.transport.heads import BoundedHttpProtocol
from storage.directory import DirectoryStore
from tests.fakes.besieged_agent import wait_until
from tests.fakes.frames import frame
from tests.fakes.listening import PATH, Identity, Listening, listening, running
from tests.fakes.server_tls import server_tls
from tests.fakes.wire_client import WAIT_SECONDS, description, said

SOON = 0.2


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Listening]:
    with listening(tmp_path) as here:
        yield here


@contextmanager
def upgraded(at: Listening, identity: Identity) -> Iterator[ssl.SSLSocket]:
    """Open a WebSocket by hand."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.settimeout(WAIT_SECONDS)
    plain.connect(("127.0.0.1", at.port))
    with plain, at.client_tls(identity).wrap_socket(plain, server_hostname="127.0.0.1") as tls:
        head = f"GET {PATH} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        tls.sendall(f"{head}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {'A' * 22}==\r\n\r\n".encode())
        got = b""
        while b"\r\n\r\n" not in got:
            got += tls.recv(1)
        assert got.startswith(b"HTTP/1.1 101 ")
        yield tls


def until_closed(tls: ssl.SSLSocket) -> bytes:
    """Read to the end; return all that came."""
    got = b""
    try:
        while part := tls.recv(65_536):
            got += part
    except ConnectionError:
        pass
    return got


@pytest.mark.parametrize(
    "half",
    [frame(bytes(1000))[:500], frame(bytes(10), first=0x02), frame(bytes(10))[:1], frame(first=0x89)[:3]],
    ids=["half a frame", "a first fragment", "one byte", "half a ping"],
)
def test_a_message_that_does_not_end(at: Listening, half: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame that is dripped, or a message without its last fragment, has a deadline."""
    monkeypatch.setattr(websocket, "MESSAGE_SECONDS", SOON)
    identity = at.enrolled()
    with upgraded(at, identity) as tls:
        for each in half:
            tls.sendall(bytes([each]))
        wait_until(lambda: any(getattr(link, "_begun_at", None) for link in at.hub._links))
        wait_until(lambda: at.check_now() or not at.hub.is_connected(identity.agent))
        assert b"message took longer than" in until_closed(tls)


def test_whole_messages_have_no_deadline(at: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that is silent between two messages stays."""
    identity = at.enrolled()
    with upgraded(at, identity) as tls:
        whole = frame(wire.encode_ws(said(identity.agent, 1, agent_description=description())))
        tls.sendall(whole[:7])
        tls.sendall(whole[7:])
        assert tls.recv(1) == b"\x82"
        monkeypatch.setattr(websocket, "MESSAGE_SECONDS", 0.0)  # while half of it is here it would be late
        at.check_now()
        assert at.hub.is_connected(identity.agent)


def test_an_agent_that_does_not_read(at: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for it is bounded, it is not heard any more, and then it is cut off."""
    monkeypatch.setattr(sender, "UNREAD_SECONDS", SOON)
    identity = at.enrolled()
    with upgraded(at, identity) as tls:
        tls.settimeout(1)
        ping = frame(bytes(125), first=0x89) * 1000
        with contextlib.suppress(OSError):  # reset, or no room: as the kernel likes
            while True:
                tls.sendall(ping)
        wait_until(lambda: len(at.hub) == 0)


def test_a_download_that_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that stops in the middle of a file is cut off; one that reads slowly gets all of it."""
    monkeypatch.setattr(heads, "UNREAD_SECONDS", 4.0)
    store = DirectoryStore(tmp_path / "objects")
    content = bytes(12 << 20)
    store.create("targets/a/b/1.0.0/any/file", content)
    context, ca_file = server_tls(tmp_path)
    config = uvicorn.Config(
        downloads_app(store),
        host="127.0.0.1",
        port=0,
        http=BoundedHttpProtocol,
        ws="none",
        ssl_context_factory=lambda _config, _default: context,
        lifespan="off",
        log_config=None,
    )
    trusting = ssl.create_default_context(cafile=str(ca_file))
    with running(config) as port:
        stopped = partial(_download, port, trusting)
        assert stopped(pause=6.0) < len(content)
        assert stopped(pause=0.0) >= len(content)


def _download(port: int, trusting: ssl.SSLContext, pause: float) -> int:
    """Ask for the file, do nothing for `pause` seconds, and read to the end; return how much came."""
    plain = socket.socket()
    if pause:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.settimeout(WAIT_SECONDS)
    plain.connect(("127.0.0.1", port))
    with plain, trusting.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
        tls.sendall(b"GET /targets/a/b/1.0.0/any/file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        time.sleep(pause)  # this is the peer that does not read
        return len(until_closed(tls))
