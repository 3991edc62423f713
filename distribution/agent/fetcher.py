"""Fetches from the downloads listener, over TLS that is verified with the pinned CA and nothing else.

Rules: no redirects, no proxies, no system trust store, no content encoding; every read has a time limit;
a whole fetch has one too, so that a server cannot hold an agent by dripping bytes.
"""

import math
import ssl
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import urllib3

from distribution.agent.tuf_client import (
    DownloadError,
    DownloadHTTPError,
    FetcherInterface,
    SlowRetrievalError,
)
from keys.errors import TrustError

_CONNECT_SECONDS = 10.0
_READ_SECONDS = 30.0
_WHOLE_SECONDS = 3600.0
_CHUNK_BYTES = 1 << 18
_OK = 200


class _HurriedSocket(ssl.SSLSocket):
    """A socket on which no read goes on beyond its context's deadline, whatever drips in meanwhile.

    A time limit of a read alone begins anew with every byte, in headers as in a body.
    """

    context: "HurriedContext"

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        left = self.context.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the whole answer took too long")
        if left < _READ_SECONDS:
            self.settimeout(left)
        return super().recv_into(buffer, nbytes, flags)


class HurriedContext(ssl.SSLContext):
    """A TLS context whose plain sockets stop reading at `deadline`, in monotonic seconds."""

    deadline = math.inf
    sslsocket_class = _HurriedSocket


def server_context(ca_pem: str) -> HurriedContext:
    """Return a TLS context that accepts a server only if `ca_pem` vouches for it.

    Raises:
        TrustError: `ca_pem` holds no certificate.
    """
    context = HurriedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(cadata=ca_pem)
    except ssl.SSLError as exc:
        raise TrustError("the pinned CA holds no certificate") from exc
    return context


class Fetcher(FetcherInterface):
    """Fetches files by HTTPS. `seconds` bounds a whole fetch."""

    def __init__(self, context: HurriedContext, *, seconds: float = _WHOLE_SECONDS) -> None:
        self._seconds = seconds
        self._context = context
        self._pool = urllib3.PoolManager(
            num_pools=2,
            ssl_context=context,
            retries=False,
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
        )

    def _fetch(self, url: str) -> Iterator[bytes]:
        if urlsplit(url).scheme != "https":
            raise DownloadError(f"{url} is not fetched over TLS")
        self._context.deadline = time.monotonic() + self._seconds
        try:
            response = self._pool.request(
                "GET", url, redirect=False, preload_content=False, headers={"Accept-Encoding": "identity"}
            )
        except urllib3.exceptions.HTTPError as exc:
            raise self._broken(url, "cannot be fetched", exc) from exc
        if response.status != _OK:
            response.close()
            raise DownloadHTTPError(f"{url} answered {response.status}, expected {_OK}", response.status)
        return self._chunks(url, response)

    def _chunks(self, url: str, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        try:
            for chunk in response.stream(_CHUNK_BYTES, decode_content=False):
                yield chunk
                if time.monotonic() > self._context.deadline:
                    raise self._slow(url)
        except urllib3.exceptions.HTTPError as exc:
            raise self._broken(url, "broke off", exc) from exc
        finally:
            response.close()

    def _broken(self, url: str, how: str, exc: Exception) -> DownloadError:
        late = time.monotonic() > self._context.deadline
        return self._slow(url) if late else DownloadError(f"{url} {how}: {exc}")

    def _slow(self, url: str) -> SlowRetrievalError:
        return SlowRetrievalError(f"{url} took longer than {self._seconds:g} s")
