"""What others on an agent's host can do to it: who may lock its folder, and a health page without an end."""

import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distribution.agent.config import HealthConfig
from distribution.agent.health import ask
from distribution.agent.store import lock

PATIENCE = 5.0


@contextmanager
def endless_page() -> Iterator[str]:
    """Serve a health page whose body drips for `PATIENCE` seconds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join()


def drip(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    ends = time.monotonic() + PATIENCE
    with connection:
        connection.recv(4096)
        try:
            connection.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 1000000\r\n\r\n")
            while time.monotonic() < ends:
                connection.sendall(b"x")
                time.sleep(0.02)
        except OSError:
            return


def test_a_health_page_without_an_end() -> None:
    """A bad version whose page never ends is judged by its status all the same, and falls back."""
    with endless_page() as url:
        began = time.monotonic()
        checked = ask(HealthConfig(url=url, timeout_seconds=0.5))
        assert time.monotonic() - began < PATIENCE / 2
    assert not checked.well
    assert "answered 503" in checked.seen


def test_nobody_else_can_lock_the_agents_folder(tmp_path: Path) -> None:
    """A lock that others may open is a lock that others may take; an older file is mended."""
    path = tmp_path / "lock"
    path.touch(0o644)
    path.chmod(0o644)
    with lock(tmp_path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
