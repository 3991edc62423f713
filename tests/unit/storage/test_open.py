"""Which store a URL opens, and which URLs are none."""

from pathlib import Path

import pytest

from storage.directory import DirectoryStore
from storage.open import StoreUrlError, open_store
from storage.s3.store import S3Store


@pytest.mark.parametrize(
    "url", ["file:objects", "file:./objects", "file:{base}/objects", "file://{base}/objects"]
)
def test_a_folder_is_relative_to_the_base_or_absolute(url: str, tmp_path: Path) -> None:
    """All four ways of saying it open the same folder."""
    store = open_store(url.format(base=tmp_path), base=tmp_path)
    assert isinstance(store, DirectoryStore)
    store.create("key", b"")
    assert (tmp_path / "objects" / "key").is_file()


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [
        ("s3://releases", "releases", ""),
        ("s3://releases/", "releases", ""),
        ("s3://releases/fleet/one/", "releases", "fleet/one/"),
    ],
)
def test_a_bucket_with_or_without_a_prefix(url: str, bucket: str, prefix: str, tmp_path: Path) -> None:
    """The prefix ends with one slash, or is none."""
    store = open_store(url, base=tmp_path, endpoint="http://127.0.0.1:1", region="us-east-1")
    assert isinstance(store, S3Store)
    assert (store._bucket, store._prefix) == (bucket, prefix)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "objects",
        "/objects",
        "file:",
        "file://host/objects",
        "file:a\0b",
        "s3:bucket",
        "s3://",
        "s3://B",
        "s3://key:secret@bucket/prefix",
        "s3://bucket/../other",
        "s3://bucket//prefix",
        "s3://bucket/prefix?region=x",
        "https://bucket.example/prefix",
    ],
)
def test_what_is_no_store_is_refused(url: str, tmp_path: Path) -> None:
    """Nothing in a URL is ignored; the error shows it."""
    with pytest.raises(StoreUrlError, match="store "):
        open_store(url, base=tmp_path)
