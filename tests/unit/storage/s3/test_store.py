"""The S3 store when the network or the server misbehaves, over a real socket that does so on purpose."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.errors import (
    AlreadyExistsError,
    NotFoundError,
    PreconditionError,
    StorageError,
    UnavailableError,
)
from storage.s3.store import S3Store
from storage.s3.wire import S3Credentials
from tests.contract.object_places import BUCKET, PART_BYTES, REGION, moto_server
from tests.fakes.flaky_front import CUT_THE_BODY, LOSE_THE_ANSWER, FlakyFront

CONFLICT = (409, "ConditionalRequestConflict")
LONG = bytes(PART_BYTES + 1)


@pytest.fixture(scope="module")
def served() -> Iterator[FlakyFront]:
    with moto_server() as moto, FlakyFront(moto).serving() as front:
        yield front


@pytest.fixture(scope="module")
def client(served: FlakyFront) -> S3Store:
    return S3Store(
        bucket=BUCKET,
        prefix="/unit/",
        endpoint_url=served.url,
        region=REGION,
        credentials=S3Credentials("key", "secret"),
        part_bytes=PART_BYTES,
        pause=lambda _: None,
    )


@pytest.fixture
def front(served: FlakyFront) -> FlakyFront:
    served.planned.clear()
    served.seen.clear()
    return served


@pytest.fixture
def store(client: S3Store, front: FlakyFront) -> Iterator[S3Store]:
    yield client
    assert front.planned == [], "a fault never happened"
    for leftover in list(client.list("")):
        client.delete(leftover.key)


def test_a_lost_answer_is_no_lost_create(store: S3Store, front: FlakyFront) -> None:
    """The client library sends the write again, the store refuses its own winner, and we see that it won."""
    front.plan("PUT", LOSE_THE_ANSWER)
    written = store.create("key", b"mine")
    assert store.read("key", 100) == (b"mine", written)


def test_a_lost_answer_is_no_lost_replace(store: S3Store, front: FlakyFront) -> None:
    """As above, for compare-and-set."""
    before = store.create("key", b"1")
    front.plan("PUT", LOSE_THE_ANSWER)
    after = store.replace("key", b"2", before.etag)
    assert store.read("key", 100) == (b"2", after)


def test_a_lost_answer_is_no_lost_stream(store: S3Store, front: FlakyFront) -> None:
    """As above, for the completion of a multipart upload."""
    front.plan("POST", (503, "SlowDown"), LOSE_THE_ANSWER)  # the first is for the start of the upload
    front.plan("POST", LOSE_THE_ANSWER)
    assert store.create_stream("key", [LONG]).size == len(LONG)


def test_equal_bytes_of_another_are_not_taken_for_ours(store: S3Store, front: FlakyFront) -> None:
    """Only the nonce says who won: equal bytes do not."""
    store.create("key", b"same")
    with pytest.raises(AlreadyExistsError):
        store.create("key", b"same")


def test_conflicts_are_asked_again(store: S3Store, front: FlakyFront) -> None:
    """A store that sees another change under way decides later; we ask until it does."""
    front.plan("PUT", CONFLICT, CONFLICT)
    before = store.create("key", b"1")
    front.plan("PUT", CONFLICT)
    assert store.replace("key", b"2", before.etag).size == 1


def test_endless_conflicts_end(store: S3Store, front: FlakyFront) -> None:
    """A create whose key exists in the end lost, one whose key does not is unavailable; a replace lost."""
    front.plan("PUT", *[CONFLICT] * 5)
    with pytest.raises(UnavailableError, match="changed while it was created"):
        store.create("key", b"1")
    before = store.create("key", b"1")
    front.plan("PUT", *[CONFLICT] * 5)
    with pytest.raises(AlreadyExistsError):
        store.create("key", b"2")
    front.plan("PUT", *[CONFLICT] * 5)
    with pytest.raises(PreconditionError, match=f"has tag {before.etag}, expected {before.etag}"):
        store.replace("key", b"2", before.etag)


@pytest.mark.parametrize(
    ("status", "code"), [(403, "AccessDenied"), (404, "NoSuchBucket"), (400, "InvalidRequest")]
)
def test_refusals_are_unavailable_and_say_why(
    store: S3Store, front: FlakyFront, status: int, code: str
) -> None:
    """The store's own code is in the message."""
    for method, use in (
        ("GET", lambda: store.read("key", 1)),
        ("GET", lambda: store.open("key").__enter__()),
        ("PUT", lambda: store.create("key", b"")),
        ("DELETE", lambda: store.delete("key")),
        ("GET", lambda: list(store.list(""))),
    ):
        front.plan(method, (status, code))
        with pytest.raises(UnavailableError, match=code):
            use()


def test_a_busy_store_is_asked_again(store: S3Store, front: FlakyFront) -> None:
    """One 503 is not the end."""
    front.plan("PUT", (503, "SlowDown"))
    store.create("key", b"1")


def test_an_upload_that_fails_is_aborted(store: S3Store, front: FlakyFront) -> None:
    """The parts that lie in the store are given up, and nothing is visible."""
    front.plan("PUT", (403, "AccessDenied"))
    with pytest.raises(UnavailableError):
        store.create_stream("key", [LONG])
    assert front.seen[-1].startswith("DELETE ")
    assert "uploadId=" in front.seen[-1]
    with pytest.raises(NotFoundError):
        store.head("key")


def test_an_upload_that_lost_is_aborted(store: S3Store, front: FlakyFront) -> None:
    """Losing the race at the end gives the parts up too."""
    store.create("key", b"first")
    with pytest.raises(AlreadyExistsError):
        store.create_stream("key", [LONG])
    assert front.seen[-1].startswith("DELETE ")


def test_an_abort_that_fails_hides_nothing(
    store: S3Store, front: FlakyFront, caplog: pytest.LogCaptureFixture
) -> None:
    """The first error comes out; that the parts stay is logged."""
    front.plan("PUT", (403, "AccessDenied"))
    front.plan("DELETE", (403, "NoAbort"))
    with pytest.raises(UnavailableError, match="AccessDenied"):
        store.create_stream("key", [LONG])
    assert [record.message for record in caplog.records if record.name.startswith("storage")] == [
        "an upload could not be aborted"
    ]


def test_a_body_that_breaks_off_is_an_error(store: S3Store, front: FlakyFront) -> None:
    """Half an object is never returned as one."""
    store.create("key", bytes(100_000))
    front.plan("GET", CUT_THE_BODY)
    with pytest.raises(UnavailableError):
        store.read("key", 1 << 20)
    front.plan("GET", CUT_THE_BODY)
    with pytest.raises(UnavailableError), store.open("key") as chunks:
        list(chunks)


def test_nobody_there_is_unavailable() -> None:
    """A refused connection is an error of ours, after bounded attempts."""
    store = S3Store(
        bucket=BUCKET,
        endpoint_url="http://127.0.0.1:1",
        region=REGION,
        credentials=S3Credentials("key", "secret"),
    )
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1"):
        store.head("key")


def test_no_credentials_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent unsigned."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    store = S3Store(bucket=BUCKET, endpoint_url="http://127.0.0.1:1", region=REGION)
    with pytest.raises(UnavailableError, match="credentials"):
        store.create("key", b"")


def test_settings_that_cannot_be_are_unavailable() -> None:
    """The client library's refusal is ours, and names the bucket."""
    with pytest.raises(StorageError, match=BUCKET):
        S3Store(bucket=BUCKET, endpoint_url="no url", region=REGION)


def test_secrets_are_not_shown() -> None:
    """Neither a log nor a traceback prints the secret key."""
    assert "hush" not in f"{S3Credentials('access', 'hush')!r} {S3Credentials('access', 'hush')}"


def test_keys_lie_below_the_prefix(store: S3Store, front: FlakyFront) -> None:
    """Slashes around the prefix do not count."""
    store.create("a/b", b"")
    assert front.seen == [f"PUT /{BUCKET}/unit/a/b"]
