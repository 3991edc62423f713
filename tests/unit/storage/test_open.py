"""Which store a URL opens, and which URLs are none."""

from pathlib import Path

import pytest

from storage.directory import DirectoryStore
from storage.errors import StorageError
from storage.open import StoreUrlError, open_store, store_folder
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
    with pytest.raises(StorageError, match="store "):  # so that a command shows a line and no traceback
        store_folder(url, tmp_path)


def test_where_a_store_lies_is_told_without_making_it(tmp_path: Path) -> None:
    """A folder by its path, a bucket by None."""
    assert store_folder("file:objects", tmp_path) == tmp_path / "objects"
    assert store_folder("s3://releases/fleet", tmp_path) is None
    assert list(tmp_path.iterdir()) == []
