"""The words of the object port that are checked before any store is asked."""

import pytest

from storage.objects import InvalidKeyError, require_key, require_range, upload_headers


@pytest.mark.parametrize(
    "key", ["a", "metadata/1.root.json", "targets/a_b+c-d.e/f", "0" * 201, "a/" * 449 + "a"]
)
def test_plain_keys_are_returned(key: str) -> None:
    """Segments of letters, digits and `._+-` are keys."""
    assert require_key(key) == key


@pytest.mark.parametrize(
    "key", ["0" * 202, "a/" * 450 + "a", "-a", "_a", "+a", "a\n", "a/.b", "a:b", "a%2fb"]
)
def test_other_keys_are_refused(key: str) -> None:
    """Too long, or with a character that a store could read as something else."""
    with pytest.raises(InvalidKeyError, match="object key"):
        require_key(key)


@pytest.mark.parametrize(("start", "length"), [(0, None), (0, 0), (5, 5)])
def test_ranges_count_forwards(start: int, length: int | None) -> None:
    """Zero and more is a range."""
    require_range(start, length)


@pytest.mark.parametrize(("start", "length"), [(-1, None), (0, -1)])
def test_ranges_do_not_count_backwards(start: int, length: int | None) -> None:
    """Below zero is none."""
    with pytest.raises(ValueError, match="below 0"):
        require_range(start, length)


def test_an_upload_says_its_digest_and_that_it_creates() -> None:
    """The digest goes in base64, as S3 wants it."""
    assert upload_headers(bytes(3)) == {"x-amz-checksum-sha256": "AAAA", "if-none-match": "*"}
