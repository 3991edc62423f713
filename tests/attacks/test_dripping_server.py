"""A stolen server answers byte by byte, each in time, for ever: an agent does not wait for it."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from opamp.v1 import opamp_pb2

from distribution.agent import polling
from distribution.agent.fetcher import Fetcher, server_context
from distribution.agent.link import address
from distribution.agent.tuf_client import SlowRetrievalError
from distribution.errors import UnreachableError
from tests.fakes.certificates import agent
from tests.fakes.https_server import https_server

HEADERS = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n"
STARTS = {"headers": HEADERS, "body": HEADERS + b"\r\n", "chunk": CHUNKED, "status": b"HTTP/1.1 100 "}
SECONDS = 0.5
PATIENCE = 10.0
"""How long the server drips: an agent that does not notice the time waits until then."""


@contextmanager
def dripping(folder: Path, start: bytes) -> Iterator[tuple[str, str]]:
    """Serve one answer that begins with `start` and goes on with a byte now and then."""
    with https_server(folder) as honest:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "online" / "server.pem", folder / "online" / "server.key.pem")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=drip, args=(listener, context, start))
            thread.start()
            yield f"https://127.0.0.1:{listener.getsockname()[1]}", honest.trust.ca_pem
            thread.join()


def drip(listener: socket.socket, context: ssl.SSLContext, start: bytes) -> None:
    connection, _ = listener.accept()
    ends = time.monotonic() + PATIENCE
    try:
        with context.wrap_socket(connection, server_side=True) as stream:
            stream.recv(65536)
            stream.sendall(start)
            while time.monotonic() < ends:
                stream.sendall(b"x")
                time.sleep(0.05)
    except OSError:
        return


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_a_download_that_drips(tmp_path: Path, start: bytes) -> None:
    """The time of a whole fetch is kept in headers, in a body and in a chunk."""
    with dripping(tmp_path, start) as (url, ca_pem):
        began = time.monotonic()
        with pytest.raises(SlowRetrievalError, match="took longer than"):
            Fetcher(server_context(ca_pem), seconds=SECONDS).download_bytes(f"{url}/file", 1 << 20)
        assert time.monotonic() - began < PATIENCE / 2


def test_a_reply_that_drips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So is that of an answer to a message over plain HTTP."""
    monkeypatch.setattr(polling, "_WHOLE_SECONDS", SECONDS, raising=False)
    with dripping(tmp_path, STARTS["body"]) as (url, ca_pem):
        link = polling.PollingLink(address(f"{url}/v1/opamp", ca_pem, None, {}), agent())
        began = time.monotonic()
        with pytest.raises(UnreachableError):
            link._post(opamp_pb2.AgentToServer())
        assert time.monotonic() - began < PATIENCE / 2
        link._pool.clear()
