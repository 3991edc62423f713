"""A host's side of OpAMP in tests: messages over the `websockets` client and over urllib3, nothing clever."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import urllib3
from opamp.v1 import anyvalue_pb2, opamp_pb2
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from distribution.protocol import wire
from keys.identity import AgentId
from tests.fakes.listening import PATH, Identity, Listening

WAIT_SECONDS = 10
ABLE = (
    opamp_pb2.AgentCapabilities_ReportsStatus
    | opamp_pb2.AgentCapabilities_AcceptsPackages
    | opamp_pb2.AgentCapabilities_ReportsPackageStatuses
    | opamp_pb2.AgentCapabilities_AcceptsOpAMPConnectionSettings
)


def said(who: AgentId, sequence: int = 0, **parts: object) -> opamp_pb2.AgentToServer:
    """Return a message of this agent."""
    return opamp_pb2.AgentToServer(
        instance_uid=who.raw,
        sequence_num=sequence,
        capabilities=ABLE,
        **parts,  # type: ignore[arg-type] # any field
    )


def description() -> opamp_pb2.AgentDescription:
    """Return what a collector on linux-amd64 says it is."""

    def pair(key: str, value: str) -> anyvalue_pb2.KeyValue:
        return anyvalue_pb2.KeyValue(key=key, value=anyvalue_pb2.AnyValue(string_value=value))

    return opamp_pb2.AgentDescription(
        identifying_attributes=[pair("service.name", "otelcol")],
        non_identifying_attributes=[pair("os.type", "linux"), pair("host.arch", "amd64")],
    )


def request_for(csr: bytes) -> opamp_pb2.ConnectionSettingsRequest:
    """Return a request for a certificate."""
    return opamp_pb2.ConnectionSettingsRequest(
        opamp=opamp_pb2.OpAMPConnectionSettingsRequest(
            certificate_request=opamp_pb2.CertificateRequest(csr=csr)
        )
    )


@contextmanager
def websocket(
    at: Listening,
    identity: Identity | None = None,
    *,
    token: str | None = None,
    bearer: str | None = None,
    path: str = PATH,
    tls: ssl.SSLContext | None = None,
) -> Iterator[ClientConnection]:
    """Connect over WebSocket; leaves without a closing handshake if the server is gone."""
    headers = _authorization(token, bearer)
    with connect(
        f"wss://{at.address}{path}",
        ssl=tls or at.client_tls(identity),
        additional_headers=headers,
        compression=None,
        open_timeout=WAIT_SECONDS,
        close_timeout=2,
        max_size=1 << 26,
    ) as connection:
        yield connection


def _authorization(token: str | None, bearer: str | None) -> dict[str, str]:
    if bearer is not None:
        return {"Authorization": f"Bearer {bearer}"}
    return {} if token is None else {"Authorization": f"Enrollment {token}"}


def tell(connection: ClientConnection, message: opamp_pb2.AgentToServer) -> opamp_pb2.ServerToAgent:
    """Send a message and return the next one that comes."""
    connection.send(wire.encode_ws(message))
    return heard(connection)


def heard(connection: ClientConnection) -> opamp_pb2.ServerToAgent:
    """Return the next message."""
    payload = connection.recv(timeout=WAIT_SECONDS)
    if not isinstance(payload, bytes):
        raise TypeError("a text message came, expected a binary one")
    return wire.decode_ws(payload, opamp_pb2.ServerToAgent)


def heard_with(connection: ClientConnection, part: str) -> opamp_pb2.ServerToAgent:
    """Return the next message that has this part."""
    while not (found := heard(connection)).HasField(part):  # type: ignore[arg-type] # a field's name
        pass
    return found


def close_of(connection: ClientConnection) -> tuple[int, str]:
    """Read to the end; return the code and reason that the server closed with, 0 if it just went away."""
    try:
        while True:
            connection.recv(timeout=WAIT_SECONDS)
    except ConnectionClosed as closed:
        return (0, "") if closed.rcvd is None else (closed.rcvd.code, closed.rcvd.reason)


@contextmanager
def http_client(at: Listening, identity: Identity | None = None) -> Iterator[urllib3.HTTPSConnectionPool]:
    """Return a client that keeps one connection to the listener alive."""
    with urllib3.HTTPSConnectionPool(
        "127.0.0.1",
        at.port,
        maxsize=1,
        block=True,
        retries=False,
        timeout=WAIT_SECONDS,
        ssl_context=at.client_tls(identity),
    ) as pool:
        yield pool


def post(
    pool: urllib3.HTTPSConnectionPool,
    message: opamp_pb2.AgentToServer,
    *,
    token: str | None = None,
    bearer: str | None = None,
    gzipped: bool = False,
) -> urllib3.BaseHTTPResponse:
    """Send a message as a POST."""
    headers = {"Content-Type": wire.CONTENT_TYPE, **_authorization(token, bearer)}
    if gzipped:
        headers |= {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    return pool.request("POST", PATH, body=wire.encode_http(message, compress=gzipped), headers=headers)


def answer(response: urllib3.BaseHTTPResponse) -> opamp_pb2.ServerToAgent:
    """Return the message in a response; urllib3 has unpacked it."""
    return wire.decode(response.data, opamp_pb2.ServerToAgent)
