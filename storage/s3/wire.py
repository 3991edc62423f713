"""How the S3 client library is set up, and where its exceptions become ours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.response import StreamingBody

from storage.errors import UnavailableError
from storage.objects import CHUNK_BYTES
from storage.s3.rules import ConflictError, error_for

_CONNECT_SECONDS = 5
_READ_SECONDS = 30
_ATTEMPTS = 4
_CONNECTIONS = 32
_CONFLICT_PAUSES_SECONDS = (0.05, 0.1, 0.2, 0.4)

_Answer = TypeVar("_Answer")

CLIENT_CONFIG = Config(
    signature_version="s3v4",
    connect_timeout=_CONNECT_SECONDS,
    read_timeout=_READ_SECONDS,
    max_pool_connections=_CONNECTIONS,
    retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
    # Without it a body that goes over TLS is left out of the signature.
    s3={"addressing_style": "path", "payload_signing_enabled": True},
    # The signature covers the body already, and not every store understands the newer trailing checksums.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


@dataclass(frozen=True, slots=True)
class S3Credentials:
    """An access key and its secret, which is never shown."""

    access_key: str
    secret_key: str = field(repr=False)


@contextmanager
def seam(what: str) -> Iterator[None]:
    """Turn the client library's errors into ours; `what` names the object.

    Raises:
        StorageError: the one that `storage.s3.rules.error_for` chooses.
        UnavailableError: there was no answer, or none that could be read.
    """
    try:
        yield
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        raise error_for(what, status, error.response["Error"]["Code"]) from error
    except BotoCoreError as error:
        raise UnavailableError(f"{what}: {error}") from error


def ask_until_decided(what: str, send: Callable[[], _Answer], pause: Callable[[float], None]) -> _Answer:
    """Return the answer to a conditional write; ask again while others' changes are under way.

    Raises:
        StorageError: as `seam`; ConflictError after the last attempt.
    """
    for seconds in _CONFLICT_PAUSES_SECONDS:
        try:
            with seam(what):
                return send()
        except ConflictError:
            pause(seconds)
    with seam(what):
        return send()


def read_chunks(stream: StreamingBody, what: str) -> Iterator[bytes]:
    """Yield a body to its end. Raises UnavailableError if it breaks off before the length it promised."""
    while True:
        with seam(what):
            chunk = stream.read(CHUNK_BYTES)
        if not chunk:
            return
        yield chunk
