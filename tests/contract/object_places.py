"""The stores that the contract suite runs on.

`directory`, `memory` (the fake that other tests rest on) and `moto` (on a loopback socket) always; and one
S3-compatible server from outside if the environment names it:

- QUARTERMASTER_TEST_S3_ENDPOINT: its URL. With it set, a server that does not answer fails the tests.
- QUARTERMASTER_TEST_S3_BUCKET: an existing bucket (default `quartermaster`).
- QUARTERMASTER_TEST_S3_CA: PEM file that its certificate chains to, for https.
- QUARTERMASTER_TEST_S3_REGION: default `us-east-1`.
- QUARTERMASTER_TEST_S3_ACCESS_KEY, QUARTERMASTER_TEST_S3_SECRET_KEY: default AWS_ACCESS_KEY_ID and
  AWS_SECRET_ACCESS_KEY, as boto3 takes them.

Each run writes below a prefix of its own; each test removes what it wrote.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from uuid import uuid4

from boto3.session import Session
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from storage.directory import DirectoryStore
from storage.errors import StorageError
from storage.objects import ObjectStore
from storage.s3.store import S3Store
from storage.s3.wire import S3Credentials
from tests.fakes.memory_store import MemoryStore

BUCKET = "quartermaster"
REGION = "us-east-1"
PART_BYTES = 5 << 20
"""The smallest part that S3 allows."""

EXTERNAL = os.environ.get("QUARTERMASTER_TEST_S3_ENDPOINT")
EXTERNAL_CA = os.environ.get("QUARTERMASTER_TEST_S3_CA")
ALWAYS = ["directory", "memory", "moto"]
PLACES = [*ALWAYS, *(["external"] if EXTERNAL else [])]
S3_PLACES = ["moto", *(["external"] if EXTERNAL else [])]
CHECKING_PLACES = ["external"] if EXTERNAL else []
"""Stores that check digests and signatures themselves; moto does neither."""


@contextmanager
def fresh(place: str, folder: Path, moto: str) -> Iterator[ObjectStore]:
    """Yield an empty store.

    Args:
        place: one of PLACES.
        folder: an empty folder for what lies on disk.
        moto: the URL of a moto server that holds BUCKET.
    """
    if place == "directory":
        yield DirectoryStore(folder / "objects")
    elif place == "memory":
        yield MemoryStore()
    else:
        store = s3_store(moto) if place == "moto" else _answering(_external_store())
        try:
            yield store
        finally:
            for leftover in list(store.list("")):
                store.delete(leftover.key)


@cache
def s3_store(endpoint: str) -> S3Store:
    """Return a store below a new prefix of the moto server's bucket; the same for each test on it."""
    return S3Store(
        bucket=BUCKET,
        prefix=f"test-{uuid4().hex}",
        endpoint_url=endpoint,
        region=REGION,
        credentials=S3Credentials("key", "secret"),
        part_bytes=PART_BYTES,
        pause=lambda _: None,
    )


@cache
def _external_store() -> S3Store:
    variable = "QUARTERMASTER_TEST_S3_{}".format
    access_key = os.environ.get(variable("ACCESS_KEY"))
    return S3Store(
        bucket=os.environ.get(variable("BUCKET"), BUCKET),
        prefix=f"test-{uuid4().hex}",
        endpoint_url=EXTERNAL,
        region=os.environ.get(variable("REGION"), REGION),
        credentials=S3Credentials(access_key, os.environ[variable("SECRET_KEY")]) if access_key else None,
        ca_bundle=Path(EXTERNAL_CA) if EXTERNAL_CA else None,
        part_bytes=PART_BYTES,
    )


def _answering(store: S3Store) -> S3Store:
    """Return the store; when it has failed to answer once, the other tests fail without waiting again."""
    silence = _silence(store)
    if silence is not None:
        raise RuntimeError(f"the store at {EXTERNAL} does not answer") from silence
    return store


@cache
def _silence(store: S3Store) -> StorageError | None:
    try:
        list(store.list(""))
    except StorageError as error:
        return error
    return None


@contextmanager
def moto_server() -> Iterator[str]:
    """Run moto on a loopback socket, with BUCKET in it, and yield its URL.

    It answers one request after the other: moto compares and sets in two steps, and has no lock of its own.
    """
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)
    thread = threading.Thread(target=server.serve_forever, name="moto")
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        admin = Session().client(
            "s3",
            endpoint_url=url,
            region_name=REGION,
            aws_access_key_id="key",
            aws_secret_access_key="secret",
        )
        admin.create_bucket(Bucket=BUCKET)
        admin.close()
        yield url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
