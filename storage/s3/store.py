"""The object port on one bucket, over boto3.

How the port's rules are kept:

1. Every write is conditional: `If-None-Match: *` creates, `If-Match` replaces. A stream longer than one part
   is a multipart upload whose completion carries the condition; it is aborted when anything goes wrong.
2. Every write carries a nonce as metadata. When an answer is lost on the way, the client library sends the
   request again and the store refuses its own winner; the nonce tells that from a lost race.
3. Every payload is covered by the request's signature, so a store cannot take bytes that were cut short.
4. Waiting is bounded: connections, reads, retries.

Whether the store heeds the conditions is not taken on trust: see `storage.probe`.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from itertools import chain
from pathlib import Path
from uuid import uuid4

from boto3.session import Session

from storage.errors import (
    AlreadyExistsError,
    NotFoundError,
    PreconditionError,
    StorageError,
    TooLargeError,
    UnavailableError,
)
from storage.objects import ObjectInfo, require_key, require_range, upload_headers
from storage.s3.rules import PART_BYTES, ConflictError, RangeError, byte_range, in_parts, plain_tag
from storage.s3.wire import CLIENT_CONFIG, S3Credentials, ask_until_decided, read_chunks, seam

_NONCE = "quartermaster-write"

_LOST = (PreconditionError, ConflictError)

_log = logging.getLogger(__name__)


def _new_nonce() -> str:
    return uuid4().hex


class S3Store:
    """Implements `storage.objects.ObjectStore` on one bucket, below a prefix."""

    def __init__(  # the settings of a client
        self,
        *,
        bucket: str,
        prefix: str = "",
        endpoint_url: str | None = None,
        region: str | None = None,
        credentials: S3Credentials | None = None,
        ca_bundle: Path | None = None,
        part_bytes: int = PART_BYTES,
        new_nonce: Callable[[], str] = _new_nonce,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Make the client; nothing is sent yet.

        Args:
            bucket: an existing bucket.
            prefix: put before every key, with a slash between; "" for none.
            endpoint_url: where the store listens; None for AWS.
            region: None takes it from the environment.
            credentials: None takes them from the environment, as boto3 does.
            ca_bundle: PEM file that the store's certificate must chain to; None for the public ones.
            part_bytes: streams longer than this go up in parts of this size.
            new_nonce: each call returns another text; it marks one write.
            pause: waits that many seconds before a conflict is tried again.

        Raises:
            UnavailableError: the client library refuses these settings.
        """
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._part_bytes = part_bytes
        self._new_nonce = new_nonce
        self._pause = pause
        access_key = secret_key = None
        if credentials is not None:
            access_key, secret_key = credentials.access_key, credentials.secret_key
        try:
            with seam(f"bucket {bucket!r}"):
                self._client = Session().client(
                    "s3",
                    endpoint_url=endpoint_url,
                    region_name=region,
                    aws_access_key_id=access_key,
                    aws_secret_access_key=secret_key,
                    verify=None if ca_bundle is None else str(ca_bundle),
                    config=CLIENT_CONFIG,
                )
        except ValueError as error:  # what the library says to an endpoint that is no URL
            raise UnavailableError(f"bucket {bucket!r}: {error}") from error

    def create(self, key: str, body: bytes) -> ObjectInfo:
        """See ObjectStore."""
        name, nonce = self._name(key), self._new_nonce()
        try:
            answer = ask_until_decided(
                f"object {key!r}",
                lambda: self._client.put_object(
                    Bucket=self._bucket, Key=name, Body=body, IfNoneMatch="*", Metadata={_NONCE: nonce}
                ),
                self._pause,
            )
        except _LOST as lost:
            return self._created_after_all(key, nonce, lost)
        return ObjectInfo(key, len(body), plain_tag(answer["ETag"]))

    def replace(self, key: str, body: bytes, expected_etag: str) -> ObjectInfo:
        """See ObjectStore."""
        name, nonce = self._name(key), self._new_nonce()
        try:
            answer = ask_until_decided(
                f"object {key!r}",
                lambda: self._client.put_object(
                    Bucket=self._bucket,
                    Key=name,
                    Body=body,
                    IfMatch=f'"{expected_etag}"',
                    Metadata={_NONCE: nonce},
                ),
                self._pause,
            )
        except _LOST as lost:
            found, writer = self._describe(key)
            if writer != nonce:
                raise PreconditionError(
                    f"object {key!r} has tag {found.etag}, expected {expected_etag}"
                ) from lost
            return found
        return ObjectInfo(key, len(body), plain_tag(answer["ETag"]))

    def create_stream(self, key: str, chunks: Iterable[bytes]) -> ObjectInfo:
        """See ObjectStore. Holds two parts in memory."""
        self._name(key)
        parts = in_parts(chunks, self._part_bytes)
        first, second = next(parts, b""), next(parts, None)
        if second is None:
            return self.create(key, first)
        return self._create_in_parts(key, chain((first, second), parts))

    def _create_in_parts(self, key: str, parts: Iterator[bytes]) -> ObjectInfo:
        name, nonce, size, tags = self._name(key), self._new_nonce(), 0, []
        with seam(f"object {key!r}"):
            upload = self._client.create_multipart_upload(
                Bucket=self._bucket, Key=name, Metadata={_NONCE: nonce}
            )["UploadId"]
        with ExitStack() as on_failure:
            on_failure.callback(self._abort, key, upload)
            for number, part in enumerate(parts, start=1):
                with seam(f"object {key!r}"):
                    stored = self._client.upload_part(
                        Bucket=self._bucket, Key=name, UploadId=upload, PartNumber=number, Body=part
                    )
                tags.append(stored["ETag"])
                size += len(part)
            try:
                etag = self._complete(key, upload, tags)
            except (*_LOST, NotFoundError) as lost:
                info = self._created_after_all(key, nonce, lost)
            else:
                info = ObjectInfo(key, size, etag)
            on_failure.pop_all()
        return info

    def _complete(self, key: str, upload: str, tags: list[str]) -> str:
        # A conflict ends a multipart upload for good, so it is not tried again here.
        with seam(f"object {key!r}"):
            answer = self._client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=self._name(key),
                UploadId=upload,
                IfNoneMatch="*",
                MultipartUpload={
                    "Parts": [{"PartNumber": at, "ETag": tag} for at, tag in enumerate(tags, start=1)]
                },
            )
        return plain_tag(answer["ETag"])

    def _abort(self, key: str, upload: str) -> None:
        try:
            with seam(f"object {key!r}"):
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=self._name(key), UploadId=upload)
        except StorageError:
            _log.warning("an upload could not be aborted", extra={"key": key, "upload": upload})

    def read(self, key: str, max_bytes: int) -> tuple[bytes, ObjectInfo]:
        """See ObjectStore."""
        with seam(f"object {key!r}"):
            answer = self._client.get_object(Bucket=self._bucket, Key=self._name(key))
            size, stream = answer["ContentLength"], answer["Body"]
            with stream:
                if size > max_bytes:
                    raise TooLargeError(f"object {key!r} has {size} bytes, expected at most {max_bytes}")
                body = stream.read()
        return body, ObjectInfo(key, len(body), plain_tag(answer["ETag"]))

    @contextmanager
    def open(self, key: str, start: int = 0, length: int | None = None) -> Iterator[Iterator[bytes]]:
        """See ObjectStore."""
        require_range(start, length)
        if length == 0:
            self.head(key)
            yield iter(())
            return
        with ExitStack() as kept:
            try:
                with seam(f"object {key!r}"):
                    stream = self._client.get_object(
                        Bucket=self._bucket, Key=self._name(key), Range=byte_range(start, length)
                    )["Body"]
            except RangeError:  # so is every range of an empty object
                yield iter(())
                return
            kept.enter_context(stream)
            yield read_chunks(stream, f"object {key!r}")

    def head(self, key: str) -> ObjectInfo:
        """See ObjectStore."""
        return self._describe(key)[0]

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ObjectStore."""
        pages = iter(
            self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
        )
        while True:
            with seam(f"objects {prefix!r}"):
                page = next(pages, None)
            if page is None:
                return
            for found in page.get("Contents", ()):
                key = found["Key"].removeprefix(self._prefix)
                yield ObjectInfo(key, found["Size"], plain_tag(found["ETag"]))

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        with seam(f"object {key!r}"):
            self._client.delete_object(Bucket=self._bucket, Key=self._name(key))

    def presign_get(self, key: str, expires_in: timedelta) -> str | None:
        """See ObjectStore. S3 allows seven days at most."""
        with seam(f"object {key!r}"):
            return self._client.generate_presigned_url(
                "get_object",
                Params={"Bucket": self._bucket, "Key": self._name(key)},
                ExpiresIn=int(expires_in.total_seconds()),
            )

    def presign_put(self, key: str, expires_in: timedelta, sha256: bytes) -> str | None:
        """See ObjectStore. S3 allows seven days at most."""
        headers = upload_headers(sha256)
        with seam(f"object {key!r}"):
            return self._client.generate_presigned_url(
                "put_object",
                Params={
                    "Bucket": self._bucket,
                    "Key": self._name(key),
                    "ChecksumSHA256": headers["x-amz-checksum-sha256"],
                    "IfNoneMatch": headers["if-none-match"],
                },
                ExpiresIn=int(expires_in.total_seconds()),
            )

    def _name(self, key: str) -> str:
        return self._prefix + require_key(key)

    def _describe(self, key: str) -> tuple[ObjectInfo, str]:
        """Return what the store says of the object, and the nonce of the write that made it."""
        with seam(f"object {key!r}"):
            answer = self._client.head_object(Bucket=self._bucket, Key=self._name(key))
        info = ObjectInfo(key, answer["ContentLength"], plain_tag(answer["ETag"]))
        return info, answer["Metadata"].get(_NONCE, "")

    def _created_after_all(self, key: str, nonce: str, lost: Exception) -> ObjectInfo:
        """Return the object if it is this write's own; its first answer was lost on the way then."""
        try:
            found, writer = self._describe(key)
        except NotFoundError:
            raise UnavailableError(f"object {key!r} changed while it was created; try again") from lost
        if writer != nonce:
            raise AlreadyExistsError(f"object {key!r} exists") from lost
        return found
