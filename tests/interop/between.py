"""Something between a client and our server, as a load balancer is: it passes on, or answers by itself.

It speaks TLS on both sides. What the client presented it presents further on: a certificate from files that
the test has anyway, or whatever headers came. Upgrades to WebSocket it answers, and never passes on: a test
sends who comes with one to the server itself, by a redirect.
"""

import http.client
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.interop.certificates import ServerFiles, make_server_files

BODY_MAX_BYTES = 16 << 20
PATIENCE_SECONDS = 60.0
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer in the server's place, to the first request whose body has these bytes."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    having: bytes = b""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request: when it came (seconds of a clock of its own), what it brought, and the status it got."""

    at: float
    body: bytes
    status: int


@dataclass(slots=True)
class Between:
    """A running one. `netloc` is where clients find it, `ca` what they verify it with."""

    netloc: str
    ca: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _verdicts: list[Verdict] = field(default_factory=list)
    _arrived: list[Arrival] = field(default_factory=list)

    def answer(self, status: int, headers: Mapping[str, str] = NOTHING, having: bytes = b"") -> None:
        """Answer the next request that has these bytes by ourselves, once; others are passed on meanwhile."""
        with self._lock:
            self._verdicts.append(Verdict(status, headers, having))

    def verdict(self, body: bytes) -> Verdict | None:
        """Take the answer that was ordered for a request, if there is one."""
        with self._lock:
            found = next((one for one in self._verdicts if one.having in body), None)
            if found is not None:
                self._verdicts.remove(found)
            return found

    def arrived(self, arrival: Arrival) -> None:
        """Note a request."""
        with self._lock:
            self._arrived.append(arrival)

    def answered(self, status: int) -> list[Arrival]:
        """Return the requests that got a status."""
        with self._lock:
            return [one for one in self._arrived if one.status == status]

    def after(self, arrival: Arrival) -> Arrival | None:
        """Return the request that came next after one."""
        with self._lock:
            return next((one for one in self._arrived if one.at > arrival.at), None)


@contextmanager
def between(
    folder: Path, server: str, ca: Path, certificate: tuple[Path, Path] | None = None
) -> Iterator[Between]:
    """Listen on loopback, and pass on to `server` (host and port), which `ca` verifies.

    `certificate` are the files, chain and key, that are presented there.
    """
    folder.mkdir()
    files = make_server_files(folder)
    onward = ssl.create_default_context(cafile=str(ca))
    if certificate is not None:
        onward.load_cert_chain(*certificate)
    with _listening(files) as listener:
        found = Between(f"localhost:{listener.server_address[1]}", files.ca)
        listener.RequestHandlerClass = _handler(found, server, onward)
        thread = threading.Thread(target=listener.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield found
        finally:
            listener.shutdown()
            thread.join()


def _listening(files: ServerFiles) -> ThreadingHTTPServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    listener = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    listener.daemon_threads = True
    listener.block_on_close = False
    listener.socket = context.wrap_socket(listener.socket, server_side=True, do_handshake_on_connect=False)
    return listener


def _handler(found: Between, server: str, onward: ssl.SSLContext) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = PATIENCE_SECONDS
        """Seconds; also for the handshake, which each connection's own thread does."""

        def do_POST(self) -> None:
            at, body = time.monotonic(), _body(self)
            if (verdict := found.verdict(body)) is not None:
                found.arrived(Arrival(at, body, verdict.status))
                self._say(verdict.status, verdict.headers, b"")
                return
            further = http.client.HTTPSConnection(server, timeout=PATIENCE_SECONDS, context=onward)
            dropped = {"host", "transfer-encoding", "content-length", "connection"}
            kept = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
            try:
                further.request("POST", self.path, body, kept)
                answer = further.getresponse()
                status, text = answer.status, answer.read()
                headers = {name: value for name, value in answer.getheaders() if name.lower() not in dropped}
            finally:
                further.close()
            found.arrived(Arrival(at, body, status))
            self._say(status, headers, text)

        def do_GET(self) -> None:
            at = time.monotonic()
            verdict = found.verdict(b"") or Verdict(http.HTTPStatus.NOT_IMPLEMENTED)
            found.arrived(Arrival(at, b"", verdict.status))
            self._say(verdict.status, verdict.headers, b"")

        def _say(self, status: int, headers: Mapping[str, str], text: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_words: Any) -> None:
            """Say nothing."""

    return Handler


def _body(request: BaseHTTPRequestHandler) -> bytes:
    """Read a body, whole or in chunks (RFC 9112 7.1); no client here sends trailers."""
    if "content-length" in request.headers:
        return request.rfile.read(min(int(request.headers["content-length"]), BODY_MAX_BYTES))
    pieces = []
    while size := int(request.rfile.readline(), 16):
        pieces.append(request.rfile.read(size))
        request.rfile.readline()
    request.rfile.readline()
    return b"".join(pieces)
