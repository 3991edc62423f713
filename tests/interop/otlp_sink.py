"""A destination for own telemetry: OTLP over HTTPS, as much of it as it takes to keep what was sent."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.interop.certificates import ServerFiles, make_server_files

BODY_MAX_BYTES = 4_000_000


class Sink:
    """What arrived: the path, the headers that were sent along, and the body of each request."""

    def __init__(self, port: int, files: ServerFiles) -> None:
        self.url = f"https://localhost:{port}"
        self.ca = files.ca
        self._lock = threading.Lock()
        self._received: list[tuple[str, dict[str, str], bytes]] = []

    def keep(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """Add one request."""
        with self._lock:
            self._received.append((path, headers, body))

    def received(self, path: str) -> list[tuple[dict[str, str], bytes]]:
        """Return headers, names in lower case, and body of what came to a path."""
        with self._lock:
            return [(headers, body) for where, headers, body in self._received if where == path]


@contextmanager
def otlp_sink(folder: Path) -> Iterator[Sink]:
    """Listen on loopback with a certificate of a CA of its own, kept in a new folder."""
    folder.mkdir()
    files = make_server_files(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)

    class Handler(BaseHTTPRequestHandler):
        timeout = 10.0
        """Seconds; also for the handshake, which each connection's own thread does."""

        def do_POST(self) -> None:
            length = min(int(self.headers.get("Content-Length", "0")), BODY_MAX_BYTES)
            body = self.rfile.read(length)
            sink.keep(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_words: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        sink = Sink(server.server_address[1], files)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield sink
        finally:
            server.shutdown()
            thread.join()
