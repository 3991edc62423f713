"""OpAMP over plain HTTP (OpAMP 4.2): one POST a message, the reply in the response."""

import asyncio
import time
from datetime import UTC, datetime
from functools import partial

import urllib3
from opamp.v1 import opamp_pb2

from distribution.agent.link import Address, answered, with_scheme
from distribution.agent.thread import in_a_thread
from distribution.errors import UnreachableError
from distribution.protocol.wire import (
    CONTENT_TYPE,
    INSTANCE_UID_HEADER,
    SERVER_MESSAGE_MAX_BYTES,
    decode_http,
    encode_http,
)
from keys.identity import AgentId

_CONNECT_SECONDS = 10.0
_READ_SECONDS = 30.0
_WHOLE_SECONDS = 300.0
_COMPRESS_BYTES = 1024
_ERROR_BYTES = 4096
_CHUNK_BYTES = 1 << 16
_OK = 200


class PollingLink:
    """POSTs in a worker thread, one at a time; a reply waits until it is received."""

    def __init__(self, address: Address, agent: AgentId) -> None:
        self._context = address.context
        self._url = with_scheme(address.url, "https")
        self._headers = {
            **address.headers,
            "Content-Type": CONTENT_TYPE,
            "Accept-Encoding": "gzip",
            INSTANCE_UID_HEADER: str(agent),
        }
        self._pool = urllib3.PoolManager(
            num_pools=1,
            ssl_context=address.context,
            retries=False,
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
        )
        self._replies: asyncio.Queue[opamp_pb2.ServerToAgent] = asyncio.Queue()

    async def send(self, message: opamp_pb2.AgentToServer) -> None:
        """Send one message and keep the reply.

        Raises:
            NotAdmittedError: the server refuses this credential.
            UnreachableError: it does not answer, or cannot now.
            MalformedError, OversizedError: the reply is no message.
        """
        self._replies.put_nowait(await asyncio.wrap_future(in_a_thread(partial(self._post, message))))

    async def receive(self) -> opamp_pb2.ServerToAgent:
        """Return the next reply."""
        return await self._replies.get()

    async def close(self) -> None:
        """Close what is kept open for the next request."""
        self._pool.clear()

    def _post(self, message: opamp_pb2.AgentToServer) -> opamp_pb2.ServerToAgent:
        compress = message.ByteSize() > _COMPRESS_BYTES
        headers = {**self._headers, "Content-Encoding": "gzip"} if compress else self._headers
        body = encode_http(message, compress=compress)
        self._context.deadline = time.monotonic() + _WHOLE_SECONDS
        try:
            response = self._pool.request(
                "POST", self._url, body=body, headers=headers, redirect=False, preload_content=False
            )
            received = _read(response, SERVER_MESSAGE_MAX_BYTES if response.status == _OK else _ERROR_BYTES)
        except urllib3.exceptions.HTTPError as exc:
            raise UnreachableError(f"cannot reach {self._url}: {exc}") from exc
        if response.status != _OK:
            raise answered(response.status, received, response.headers.get("Retry-After"), datetime.now(UTC))
        encoding = response.headers.get("Content-Encoding", "")
        return decode_http(received, opamp_pb2.ServerToAgent, encoding, SERVER_MESSAGE_MAX_BYTES)


def _read(response: urllib3.BaseHTTPResponse, limit: int) -> bytes:
    """Read a body, and at most a little more than `limit` of it: enough to see that it is too large."""
    received = bytearray()
    for chunk in response.stream(_CHUNK_BYTES, decode_content=False):
        received += chunk
        if len(received) > limit:
            response.close()
            break
    response.release_conn()
    return bytes(received)
