"""What the URLs do that a store signs for others: they read and write one object and nothing else."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
import urllib3

from storage.objects import upload_headers
from tests.contract.object_places import CHECKING_PLACES, EXTERNAL_CA, S3_PLACES, fresh, moto_server

MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.mark.parametrize("place", S3_PLACES)
def test_presigned_urls_read_and_write_once(place: str, tmp_path: Path, moto: str) -> None:
    """Whoever has the URLs writes the bytes they were made for, once, and reads them."""
    sha256 = hashlib.sha256(RELEASE).digest()
    with fresh(place, tmp_path, moto) as store:
        put = store.presign_put("targets/release", MINUTE, sha256)
        get = store.presign_get("targets/release", MINUTE)
        for body, headers in WRONG_UPLOADS if place in CHECKING_PLACES else ():
            assert send("PUT", put, body, headers).status >= HTTPStatus.BAD_REQUEST
            assert list(store.list("")) == []
        assert send("PUT", put, RELEASE, upload_headers(sha256)).status == HTTPStatus.OK
        assert send("PUT", put, RELEASE, upload_headers(sha256)).status == HTTPStatus.PRECONDITION_FAILED
        assert send("GET", get).data == RELEASE


@pytest.mark.parametrize("place", ["directory", "memory"])
def test_a_store_without_urls_has_none(place: str, tmp_path: Path, moto: str) -> None:
    """None says that the bytes must go through the server."""
    with fresh(place, tmp_path, moto) as store:
        assert store.presign_get("key", MINUTE) is None
        assert store.presign_put("key", MINUTE, bytes(32)) is None


RELEASE, OTHER = b"release", b"another"
WRONG_UPLOADS: list[tuple[bytes, Mapping[str, str]]] = [
    (OTHER, upload_headers(hashlib.sha256(RELEASE).digest())),
    (OTHER, upload_headers(hashlib.sha256(OTHER).digest())),
    (RELEASE, {"if-none-match": "*"}),
    (
        RELEASE,
        {"x-amz-checksum-sha256": upload_headers(hashlib.sha256(RELEASE).digest())["x-amz-checksum-sha256"]},
    ),
]
"""Other bytes, another digest, no digest, no condition: a store that checks refuses each."""


def send(
    method: str, url: str | None, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> urllib3.BaseHTTPResponse:
    """Send one request as a stranger would who was given the URL."""
    assert url is not None
    with urllib3.PoolManager(ca_certs=EXTERNAL_CA) as pool:
        return pool.request(method, url, body=body, headers=headers, retries=False)
