"""The downloads' listener: TUF metadata and targets, straight from the object store.

Rules:

1. Nobody is asked who he is: what is served is signed, and clients verify it. Only two folders are served.
2. `timestamp.json` is the one object that changes, so it is the one that caches must ask about again; every
   other name stands for the same bytes for ever. What is missing may appear, so 404 is not kept.
3. Ranges (RFC 9110 14) for whoever resumes: one range, `If-Range` by strong tag. Several ranges at once are
   answered whole, which is always allowed.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from distribution.transport.errors import answer_for
from storage.errors import NotFoundError, StorageError, TooLargeError
from storage.objects import InvalidKeyError, ObjectInfo, ObjectStore, require_key

METADATA_MAX_BYTES: Final = 8 << 20
"""Largest TUF role that is served, in bytes."""

THREADS: Final = 16
"""Threads that downloads may occupy; they are other ones than operators wait for."""

_FOR_EVER: Final = "public, max-age=31536000, immutable"
_MUTABLE: Final = "metadata/timestamp.json"
_ONE_RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_TAG: Final = re.compile(r"[\x21\x23-\x7e]{1,256}")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an object: `length` bytes from `start`; `whole` if it was not asked for as a part."""

    start: int
    length: int
    whole: bool = False


class UnsatisfiableError(Exception):
    """No byte of the object lies in the range."""


def downloads_app(store: ObjectStore) -> Starlette:
    """Return the application over `store`; its methods are called in worker threads."""
    serve = _Downloads(store)
    methods = ["GET"]  # Starlette answers HEAD for it
    return Starlette(
        routes=[
            Route("/metadata/{name}", serve.metadata, methods=methods),
            Route("/targets/{path:path}", serve.target, methods=methods),
        ],
        exception_handlers={
            NotFoundError: _missing,
            InvalidKeyError: _missing,
            TooLargeError: _failed,
            StorageError: _failed,
        },
    )


class _Downloads:
    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._threads = CapacityLimiter(THREADS)

    async def metadata(self, request: Request) -> Response:
        """Serve one role. It is read whole, so that a timestamp is one or the other and never a mixture."""
        key = require_key(f"metadata/{request.path_params['name']}")
        body, info = await to_thread.run_sync(
            self._store.read, key, METADATA_MAX_BYTES, limiter=self._threads
        )
        headers = _headers(key, info)
        early = _not_modified(request, headers)
        if early is not None:
            return early
        try:
            part = part_of(
                request.headers.get("range"), request.headers.get("if-range"), headers["ETag"], len(body)
            )
        except UnsatisfiableError:
            return _unsatisfiable(len(body))
        return Response(
            body[part.start : part.start + part.length],
            *_status(part, len(body), headers),
            media_type="application/json",
        )

    async def target(self, request: Request) -> Response:
        """Serve one file, streamed; under its name it never changes, so describing and reading agree."""
        key = require_key(f"targets/{request.path_params['path']}")
        info = await to_thread.run_sync(self._store.head, key, limiter=self._threads)
        headers = _headers(key, info)
        early = _not_modified(request, headers)
        if early is not None:
            return early
        try:
            part = part_of(
                request.headers.get("range"), request.headers.get("if-range"), headers["ETag"], info.size
            )
        except UnsatisfiableError:
            return _unsatisfiable(info.size)
        status, headers = _status(part, info.size, headers)
        headers["Content-Length"] = str(part.length)
        kind = "application/octet-stream"
        if request.method == "HEAD" or part.length == 0:
            return Response(b"", status, headers, kind)
        # Entered here, where a store that fails can still be answered for.
        opened = self._store.open(key, part.start, part.length)
        chunks = await to_thread.run_sync(opened.__enter__, limiter=self._threads)
        return StreamingResponse(_stream(opened, chunks, self._threads), status, headers, kind)


async def _stream(
    opened: AbstractContextManager[Iterator[bytes]], chunks: Iterator[bytes], threads: CapacityLimiter
) -> AsyncIterator[bytes]:
    try:
        while chunk := await to_thread.run_sync(next, chunks, b"", limiter=threads):
            yield chunk
    finally:
        opened.__exit__(None, None, None)


def part_of(wanted: str | None, only_if: str | None, etag: str, size: int) -> Part:
    """Return which part of an object of `size` bytes a request asks for.

    Args:
        wanted: value of `Range`; what is not one range of bytes is ignored (RFC 9110 14.2).
        only_if: value of `If-Range`; anything but this very tag means the whole.
        etag: the object's strong tag, quoted.
        size: in bytes.

    Raises:
        UnsatisfiableError: the range begins behind the end, or has no bytes.
    """
    whole = Part(0, size, whole=True)
    found = _ONE_RANGE.fullmatch(wanted.strip()) if wanted is not None else None
    if found is None or found.groups() == ("", "") or (only_if is not None and only_if.strip() != etag):
        return whole
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        if length == 0:
            raise UnsatisfiableError
        return Part(size - length, length)
    start, end = int(first), min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return whole  # not a valid range, so ignored
    if start >= size:
        raise UnsatisfiableError
    return Part(start, end - start + 1)


def _headers(key: str, info: ObjectInfo) -> dict[str, str]:
    tag = info.etag.strip('"')
    if _TAG.fullmatch(tag) is None:
        tag = hashlib.sha256(info.etag.encode()).hexdigest()
    return {
        "ETag": f'"{tag}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-cache" if key == _MUTABLE else _FOR_EVER,
        "X-Content-Type-Options": "nosniff",
    }


def _not_modified(request: Request, headers: dict[str, str]) -> Response | None:
    known = request.headers.get("if-none-match")
    if known is None:
        return None
    tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
    return Response(None, 304, headers) if tags & {headers["ETag"], "*"} else None


def _status(part: Part, size: int, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
    if part.whole:
        return 200, headers
    span = f"bytes {part.start}-{part.start + part.length - 1}/{size}"
    return 206, {**headers, "Content-Range": span}


def _unsatisfiable(size: int) -> Response:
    headers = {"Content-Range": f"bytes */{size}", "Cache-Control": "no-store"}
    return PlainTextResponse("no such range\n", 416, headers)


async def _missing(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse("not found\n", 404, {"Cache-Control": "no-store"})


async def _failed(_request: Request, error: Exception) -> Response:
    answer = answer_for(error)
    headers = {**answer.headers, "Cache-Control": "no-store"}
    return PlainTextResponse(f"{answer.text}\n", answer.status, headers)
