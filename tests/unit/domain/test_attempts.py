"""Hashes on the wire: a further try has another, and each is known again."""

import pytest

from distribution.domain.attempts import ATTEMPT_MOST, attempt_of, is_of, numbered

DIGEST = bytes(range(32))


def test_each_try_has_its_hash() -> None:
    """34 bytes, from which digest and number are read again."""
    assert len(numbered(DIGEST, 1)) == 34
    assert numbered(DIGEST, 1) != numbered(DIGEST, 2)
    assert [
        (is_of(DIGEST, one), attempt_of(one)) for one in (numbered(DIGEST, 1), numbered(DIGEST, 258))
    ] == [
        (True, 1),
        (True, 258),
    ]


def test_a_mark_makes_it_another_without_hiding_what_it_is() -> None:
    """Settings beside a credential have another hash than alone, and are known again."""
    marked = numbered(DIGEST, 3, b"12345678")
    assert marked != numbered(DIGEST, 3)
    assert (is_of(DIGEST, marked), attempt_of(marked)) == (True, 3)


def test_tries_beyond_the_most_keep_that_number() -> None:
    """The number does not run over."""
    assert numbered(DIGEST, ATTEMPT_MOST + 5) == numbered(DIGEST, ATTEMPT_MOST)


@pytest.mark.parametrize("named", [b"", DIGEST, DIGEST + b"1", bytes(34), numbered(DIGEST, 1) + b"1234"])
def test_what_is_not_of_this_content(named: bytes) -> None:
    """Another length or another digest is not ours."""
    assert not is_of(DIGEST, named)


def test_a_hash_of_no_known_length_has_no_number() -> None:
    """0 is said for it."""
    assert attempt_of(DIGEST) == 0


@pytest.mark.parametrize(
    ("digest", "attempt", "mark"), [(b"", 1, b""), (DIGEST, 0, b""), (DIGEST, 1, b"short")]
)
def test_what_makes_no_hash(digest: bytes, attempt: int, mark: bytes) -> None:
    """A digest, number or mark of the wrong size is a mistake of ours."""
    with pytest.raises(ValueError, match="expected"):
        numbered(digest, attempt, mark)
