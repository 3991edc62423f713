"""What S3's answers mean, and how a stream is cut."""

import pytest

from storage.errors import NotFoundError, PreconditionError, UnavailableError
from storage.s3.rules import ConflictError, RangeError, byte_range, error_for, in_parts, plain_tag


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (404, "NoSuchKey", NotFoundError),
        (404, "404", NotFoundError),
        (404, "NoSuchUpload", NotFoundError),
        (404, "NoSuchBucket", UnavailableError),
        (412, "PreconditionFailed", PreconditionError),
        (409, "ConditionalRequestConflict", ConflictError),
        (409, "BucketNotEmpty", UnavailableError),
        (416, "InvalidRange", RangeError),
        (403, "AccessDenied", UnavailableError),
        (403, "SignatureDoesNotMatch", UnavailableError),
        (503, "SlowDown", UnavailableError),
        (500, "InternalError", UnavailableError),
        (301, "PermanentRedirect", UnavailableError),
    ],
)
def test_a_refusal_has_one_meaning(status: int, code: str, expected: type[Exception]) -> None:
    """The error is exactly of that class, and names the object."""
    error = error_for("object 'a'", status, code)
    assert type(error) is expected
    assert str(error).startswith("object 'a'")


def test_a_missing_bucket_is_no_missing_object() -> None:
    """The message carries what an operator needs: the status and the code."""
    assert str(error_for("object 'a'", 404, "NoSuchBucket")) == (
        "object 'a': the store answered 404 (NoSuchBucket)"
    )


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([], [b""]),
        ([b""], [b""]),
        ([b"ab"], [b"ab"]),
        ([b"abc"], [b"abc"]),
        ([b"abcd"], [b"abc", b"d"]),
        ([b"a", b"bcdefg", b"", b"h"], [b"abc", b"def", b"gh"]),
        ([b"abcdef"], [b"abc", b"def"]),
    ],
)
def test_parts_are_of_one_size_but_for_the_last(chunks: list[bytes], expected: list[bytes]) -> None:
    """Nothing is lost, and an empty stream is one empty part."""
    assert list(in_parts(chunks, 3)) == expected


def test_a_part_is_sent_before_more_is_read_than_fits() -> None:
    """No more than one part and one chunk are held."""
    read: list[int] = []

    def chunks() -> object:
        for number in range(10):
            read.append(number)
            yield b"ab"

    next(in_parts(chunks(), 4))  # type: ignore[arg-type]
    assert read == [0, 1, 2]


def test_tags_and_ranges_in_http_form() -> None:
    """Quotes belong to HTTP; both ends of a range are inclusive."""
    assert plain_tag('"abc-2"') == "abc-2"
    assert byte_range(3, None) == "bytes=3-"
    assert byte_range(3, 4) == "bytes=3-6"
