"""keys/rotation.py."""

from datetime import timedelta

import pytest

from keys.rotation import renewal_at, renewal_due
from tests.fakes.certificates import NOW

LIFE = timedelta(days=6)


def test_renewal_is_due_at_two_thirds() -> None:
    """Of six days, four pass before a certificate is due; the second before, it is not."""
    due = NOW + timedelta(days=4)
    assert renewal_at(NOW, NOW + LIFE) == due
    assert renewal_due(NOW, NOW + LIFE, due)
    assert not renewal_due(NOW, NOW + LIFE, due - timedelta(seconds=1))


def test_the_spread_brings_it_forward() -> None:
    """The widest spread renews at half of the life, so that not all agents come at once."""
    assert renewal_at(NOW, NOW + LIFE, 1.0) == NOW + timedelta(days=3)
    assert renewal_at(NOW, NOW + LIFE, 0.5) == NOW + timedelta(days=3, hours=12)


@pytest.mark.parametrize("life", [timedelta(0), timedelta(seconds=-1)])
def test_a_life_that_is_not_positive_is_an_error(life: timedelta) -> None:
    """A certificate that ends before it begins is nobody's."""
    with pytest.raises(ValueError, match="not after"):
        renewal_at(NOW, NOW + life)


@pytest.mark.parametrize("spread", [-0.1, 1.1])
def test_a_spread_outside_of_its_range_is_an_error(spread: float) -> None:
    """The spread is a part of one."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        renewal_at(NOW, NOW + LIFE, spread)
