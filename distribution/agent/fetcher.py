"""Fetches from the downloads listener, over TLS that is verified with the pinned CA and nothing else.

Rules: no redirects, no proxies, no system trust store, no content encoding; every read has a time limit;
a whole fetch has one too, so that a server cannot hold an agent by dripping bytes.
"""

import ssl
import time
from collections.abc import Iterator
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


def server_context(ca_pem: str) -> ssl.SSLContext:
    """Return a TLS context that accepts a server only if `ca_pem` vouches for it.

    Raises:
        TrustError: `ca_pem` holds no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(cadata=ca_pem)
    except ssl.SSLError as exc:
        raise TrustError("the pinned CA holds no certificate") from exc
    return context


class Fetcher(FetcherInterface):
    """Fetches files by HTTPS. `seconds` bounds a whole fetch."""

    def __init__(self, context: ssl.SSLContext, *, seconds: float = _WHOLE_SECONDS) -> None:
        self._seconds = seconds
        self._pool = urllib3.PoolManager(
            num_pools=2,
            ssl_context=context,
            retries=False,
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
        )

    def _fetch(self, url: str) -> Iterator[bytes]:
        if urlsplit(url).scheme != "https":
            raise DownloadError(f"{url} is not fetched over TLS")
        try:
            response = self._pool.request(
                "GET", url, redirect=False, preload_content=False, headers={"Accept-Encoding": "identity"}
            )
        except urllib3.exceptions.HTTPError as exc:
            raise DownloadError(f"{url} cannot be fetched: {exc}") from exc
        if response.status != _OK:
            response.close()
            raise DownloadHTTPError(f"{url} answered {response.status}, expected {_OK}", response.status)
        return self._chunks(url, response)

    def _chunks(self, url: str, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        deadline = time.monotonic() + self._seconds
        try:
            for chunk in response.stream(_CHUNK_BYTES, decode_content=False):
                yield chunk
                if time.monotonic() > deadline:
                    raise SlowRetrievalError(f"{url} took longer than {self._seconds:g} s")
        except urllib3.exceptions.HTTPError as exc:
            raise DownloadError(f"{url} broke off: {exc}") from exc
        finally:
            response.close()
