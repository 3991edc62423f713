"""A server that is nothing but the shell: uvloop, its TLS over `ssl`, and constant answers.

For measuring only: `python -m benchmarks.barest CERTIFICATE KEY AUTHORITY`. It verifies client certificates
with the context of the agents' listener, answers a connection's first bytes as the upgrade of the benchmark's
fleet, and everything after with one constant message. What is left of a fleet that comes back at once is the
accept, the handshake, three system calls a message, and the loop.
"""

import asyncio
import base64
import ssl
import sys
from pathlib import Path
from typing import Final

import uvloop
from opamp.v1 import opamp_pb2
from websockets.utils import accept_key

from distribution.compose.pauses import settle
from distribution.protocol.wire import encode_ws
from distribution.transport.frames import binary_frame
from distribution.transport.tls import agents_context

KEY: Final = base64.b64encode(bytes(16)).decode()
"""`Sec-WebSocket-Key` of the fleet (`load/conn.go`), the same for all."""

_BACKLOG: Final = 65_536
_UPGRADED: Final = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Accept: {accept_key(KEY)}\r\n\r\n"
).encode()
_ANSWER: Final = binary_frame(
    encode_ws(opamp_pb2.ServerToAgent(capabilities=opamp_pb2.ServerCapabilities_AcceptsStatus))
)
_scratch = bytearray(65_536)


class Constant(asyncio.BufferedProtocol):
    """Answers without looking."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the upgrade."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment] # a stream's is a full one
        self._answer = _UPGRADED

    def get_buffer(self, sizehint: int) -> bytearray:
        """Lend the shared buffer."""
        del sizehint
        return _scratch

    def buffer_updated(self, nbytes: int) -> None:
        """Answer."""
        del nbytes
        self._transport.write(self._answer)
        self._answer = _ANSWER


async def _serve(tls: ssl.SSLContext) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Constant, "127.0.0.1", 0, ssl=tls, backlog=_BACKLOG)
    settle()
    sys.stdout.write(f"127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    certificate, key, authority = (Path(word) for word in sys.argv[1:4])
    uvloop.run(_serve(agents_context(certificate=certificate, key=key, issuing_pem=authority.read_text())))
