"""Sets of small numbers as bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distribution.fleet import bits


@given(st.frozensets(st.integers(0, bits.CHUNK - 1), max_size=200))
def test_a_set_comes_back_as_it_was(numbers: frozenset[int]) -> None:
    """Few or many, the bytes hold exactly the members."""
    assert bits.unpack(bits.pack(bits.of(numbers))) == bits.of(numbers)
    assert bits.lowest(bits.of(numbers), bits.CHUNK) == sorted(numbers)


@pytest.mark.parametrize(
    ("numbers", "size"), [((), 1), ((8191,), 3), (range(64), 129), (range(65), 10), (range(8192), 1025)]
)
def test_few_members_and_many_are_both_small(numbers: range, size: int) -> None:
    """A lone member takes three bytes, all of them 1025."""
    assert len(bits.pack(bits.of(numbers))) == size


@given(st.frozensets(st.integers(0, 5 * bits.CHUNK), max_size=50))
def test_large_numbers_fall_into_sets(numbers: frozenset[int]) -> None:
    """Every number is in the set of its stretch, and no other is."""
    found = {
        chunk * bits.CHUNK + place
        for chunk, held in bits.chunks(numbers)
        for place in bits.lowest(held, bits.CHUNK)
    }
    assert found == numbers


def test_only_the_lowest_are_asked_for() -> None:
    """A page takes no more than it shows."""
    assert bits.lowest(bits.of((3, 5, 9)), 2) == [3, 5]
