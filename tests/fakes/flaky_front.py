"""Stands between a client and an S3 server and, when told to, does what networks and busy servers do.

The faults are taken one after the other, each by the next request whose method is the fault's; requests
without a fault pass through.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import urllib3

LOSE_THE_ANSWER = "the server does it, and the connection breaks before the answer"
CUT_THE_BODY = "the connection breaks in the middle of the body"
ERROR = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>as the test asked</Message></Error>"


@dataclass(frozen=True)
class Fault:
    """What happens to the next request with this method: a trick above, or a status and its S3 code."""

    method: str
    does: str | tuple[int, str]


class FlakyFront:
    """The planned faults and the requests seen so far, as `METHOD path?query`."""

    def __init__(self, behind: str) -> None:
        self.behind = behind
        self.planned: list[Fault] = []
        self.seen: list[str] = []
        self.url = ""
        self._lock = threading.Lock()

    def plan(self, method: str, *does: str | tuple[int, str]) -> None:
        """Add faults, in this order."""
        self.planned += [Fault(method, one) for one in does]

    def take(self, method: str, path: str) -> Fault | None:
        """Note a request and return the fault that it meets."""
        with self._lock:
            self.seen.append(f"{method} {path}")
            for at, fault in enumerate(self.planned):
                if fault.method == method:
                    return self.planned.pop(at)
        return None

    @contextmanager
    def serving(self) -> Iterator["FlakyFront"]:
        """Listen on a loopback socket until the end of the block."""
        front = self
        with urllib3.PoolManager() as pool:

            class Handler(_Handler):
                flaky = front
                server_side = pool

            server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            thread = threading.Thread(target=server.serve_forever, name="flaky front")
            thread.start()
            self.url = f"http://127.0.0.1:{server.server_port}"
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()
                server.server_close()


class _Handler(BaseHTTPRequestHandler):
    flaky: FlakyFront
    server_side: urllib3.PoolManager
    protocol_version = "HTTP/1.1"  # so that "Expect: 100-continue" is answered at once

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.close_connection = True
        fault = self.flaky.take(self.command, self.path)
        if fault is not None and isinstance(fault.does, tuple):
            status, code = fault.does
            self._answer(status, {}, b"" if self.command == "HEAD" else ERROR.format(code=code).encode())
            return
        passed = self.server_side.request(
            self.command, self.flaky.behind + self.path, body=body, headers=dict(self.headers), retries=False
        )
        if fault is not None and fault.does == LOSE_THE_ANSWER:
            return
        cut = fault is not None and fault.does == CUT_THE_BODY
        self._answer(passed.status, dict(passed.headers), passed.data, cut=cut)

    def _answer(self, status: int, headers: dict[str, str], body: bytes, *, cut: bool = False) -> None:
        self.send_response(status)
        lengths = {"content-length": str(len(body))}
        for name, value in {**lengths, **{k.lower(): v for k, v in headers.items()}}.items():
            if name not in {"connection", "transfer-encoding"}:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815 - the server's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the server's name
        """Say nothing."""
