"""A small HTTPS server on loopback with a certificate of our own CA; a test says what it answers."""

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

from keys.ca_setup import create_hierarchy
from keys.certificate import Serial
from keys.profile import serial_from
from keys.trust import Trust, normal_ca


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class HttpsServer:
    """`answer` decides; `asked` remembers."""

    trust: Trust
    answer: Callable[[Asked], tuple[int, bytes]] = lambda asked: (404, b"")
    asked: list[Asked] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)


@contextmanager
def https_server(folder: Path) -> Iterator[HttpsServer]:
    """Serve on a free port of loopback until the block ends."""
    offline, online = folder / "offline", folder / "online"
    offline.mkdir()
    online.mkdir()
    numbers = count(1)

    def new_serial() -> Serial:
        return serial_from(b"\x01" * 15 + bytes([next(numbers)]))

    places = create_hierarchy(
        trust_domain="fleet.example",
        hosts=["127.0.0.1"],
        offline=offline,
        online=online,
        new_serial=new_serial,
        now=datetime.now(UTC),
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(places.server_certificate, places.server_key)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    httpd.daemon_threads = True
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    url = f"https://127.0.0.1:{httpd.server_address[1]}"
    server = HttpsServer(
        Trust(
            trust_domain="fleet.example",
            ca_pem=normal_ca(places.root_certificate.read_bytes()),
            tuf_root_version=1,
            tuf_root_sha256="00" * 32,
            agents_url=f"{url}/v1/opamp",
            downloads_url=url,
            operators_url=url,
        )
    )
    httpd.RequestHandlerClass = _handler(server)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def _handler(server: HttpsServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(self.command, self.path, dict(self.headers), body)
            server.asked.append(asked)
            status, answer = server.answer(asked)
            if status == 0:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in server.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = handle_one  # noqa: N815 - the base class names them so

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as above
            """Stay silent."""

    return Handler
