"""An OpAMP server that says whatever a test tells it, also what ours never says; it notes who came with what.

It speaks WebSocket over TLS, asks for a client's certificate and takes the client without one as well.
"""

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from opamp.v1 import opamp_pb2
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from distribution.protocol import wire
from tests.interop.certificates import ServerFiles, make_server_files
from tests.interop.programs import Found, Program, wait_for

CAN = opamp_pb2.ServerCapabilities_AcceptsStatus | opamp_pb2.ServerCapabilities_OffersConnectionSettings
PATIENCE_SECONDS = 90.0
CLOSE_SECONDS = 1.0
"""How long a client's answer to a close frame is waited for."""

Said = opamp_pb2.AgentToServer


@dataclass(slots=True)
class Visit:
    """One connection: the certificate and the headers that came with it, and what was said on it."""

    connection: ServerConnection
    serial: int | None
    """Of the client's certificate; None without one."""

    headers: Mapping[str, str]
    """Names in lower case."""

    said: list[Said] = field(default_factory=list)
    said_at: list[float] = field(default_factory=list)
    """When each of these came, by the monotonic clock."""

    over: bool = False

    def say(self, message: opamp_pb2.ServerToAgent) -> None:
        """Say something to the client, under the uid that it gave last."""
        message.instance_uid = self.said[-1].instance_uid
        self.connection.send(wire.encode_ws(message))


@dataclass(slots=True)
class ScriptedServer:
    """A running one. `netloc` is where clients find it, `ca` what they verify it with."""

    netloc: str
    ca: Path
    visits: list[Visit] = field(default_factory=list)
    """Those in which something was said, in the order in which that began."""

    @property
    def url(self) -> str:
        """The endpoint that clients are given."""
        return f"wss://{self.netloc}/v1/opamp"

    def visit(self, number: int, program: Program) -> Visit:
        """Wait until so many have come, the first being 1, and return that one."""

        def look() -> Visit | None:
            return self.visits[number - 1] if len(self.visits) >= number else None

        return until(f"visit {number} at {self.netloc}", look, program)


def until(what: str, look: Callable[[], Found | None], program: Program) -> Found:
    """Wait until `look` finds something, as long as the program runs; return it. Raises TimeoutError."""
    return wait_for(what, look, alive=program.gone, said=program.text, seconds=PATIENCE_SECONDS)


def heard(visit: Visit, what: str, program: Program, after: int = 0) -> Said:
    """Wait until a message with a field was said in a visit, `after` so many messages; return the first."""

    def look() -> Said | None:
        return next((one for one in visit.said[after:] if one.HasField(what)), None)

    return until(f"{what} of {program.log.stem}", look, program)


@contextmanager
def scripted_server(folder: Path, clients: ServerFiles) -> Iterator[ScriptedServer]:
    """Listen on loopback with a certificate of a CA of its own, kept in a new folder.

    `clients` has the CA of the certificates that clients may present.
    """
    folder.mkdir()
    files = make_server_files(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    context.load_verify_locations(clients.ca)
    context.verify_mode = ssl.CERT_OPTIONAL

    def receive(connection: ServerConnection) -> None:
        visit = _visit(connection)
        with suppress(ConnectionClosed):  # not everybody says goodbye
            for payload in connection:
                assert isinstance(payload, bytes)
                visit.said_at.append(time.monotonic())
                visit.said.append(wire.decode_ws(payload, Said))
                if len(visit.said) == 1:
                    visit.say(opamp_pb2.ServerToAgent(capabilities=CAN))
                    found.visits.append(visit)
        visit.over = True

    with serve(receive, "127.0.0.1", 0, ssl=context, close_timeout=CLOSE_SECONDS) as server:
        found = ScriptedServer(f"localhost:{server.socket.getsockname()[1]}", files.ca)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


def _visit(connection: ServerConnection) -> Visit:
    assert isinstance(connection.socket, ssl.SSLSocket)
    assert connection.request is not None
    presented = connection.socket.getpeercert(binary_form=True)
    serial = None if presented is None else x509.load_der_x509_certificate(presented).serial_number
    return Visit(
        connection,
        serial,
        {name.lower(): value for name, value in connection.request.headers.raw_items()},
    )
