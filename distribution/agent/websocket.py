"""OpAMP over WebSocket (OpAMP 4.1): one binary frame a message, pings to notice a dead line."""

from datetime import UTC, datetime

from opamp.v1 import opamp_pb2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from distribution.agent.link import Address, answered, with_scheme
from distribution.errors import MalformedError, UnreachableError
from distribution.protocol.wire import SERVER_MESSAGE_MAX_BYTES, decode_ws, encode_ws

_OPEN_SECONDS = 20.0
_CLOSE_SECONDS = 2.0
_PING_SECONDS = 30.0


class _ConnectHere(connect):
    """Follows no redirect: the address is pinned."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class WebSocketLink:
    """A connection that is open."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, message: opamp_pb2.AgentToServer) -> None:
        """Send one message. Raises UnreachableError."""
        try:
            await self._socket.send(encode_ws(message))
        except ConnectionClosed as exc:
            raise _closed(exc) from exc

    async def receive(self) -> opamp_pb2.ServerToAgent:
        """Return the next message. Raises UnreachableError, MalformedError, OversizedError."""
        try:
            payload = await self._socket.recv()
        except ConnectionClosed as exc:
            raise _closed(exc) from exc
        if isinstance(payload, str):
            raise MalformedError(f"server sent a text frame of {len(payload)} characters, expected binary")
        return decode_ws(payload, opamp_pb2.ServerToAgent)

    async def close(self) -> None:
        """Close the connection."""
        await self._socket.close()


async def open_websocket(address: Address) -> WebSocketLink:
    """Connect.

    Raises:
        NotAdmittedError: the server refuses this credential.
        UnreachableError: it does not answer, or cannot now.
    """
    try:
        socket = await _ConnectHere(
            with_scheme(address.url, "wss"),
            ssl=address.context,
            additional_headers=dict(address.headers),
            compression=None,
            proxy=None,
            max_size=SERVER_MESSAGE_MAX_BYTES + 1,
            open_timeout=_OPEN_SECONDS,
            close_timeout=_CLOSE_SECONDS,
            ping_interval=_PING_SECONDS,
            ping_timeout=_PING_SECONDS,
        )
    except InvalidStatus as exc:
        response = exc.response
        # `get` raises where a server sends the header twice.
        retry_after = next(iter(response.headers.get_all("Retry-After")), None)
        raise answered(
            response.status_code, bytes(response.body or b""), retry_after, datetime.now(UTC)
        ) from exc
    except (OSError, InvalidHandshake, InvalidURI, EOFError) as exc:
        why = str(exc) or type(exc).__name__
        raise UnreachableError(f"cannot connect to {address.url}: {why}") from exc
    return WebSocketLink(socket)


def _closed(exc: ConnectionClosed) -> UnreachableError:
    if exc.rcvd is None:
        return UnreachableError("connection broke off")
    return UnreachableError(f"server closed the connection with {exc.rcvd.code}: {exc.rcvd.reason}")
