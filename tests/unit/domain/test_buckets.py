"""domain/buckets.py: how often something may happen."""

from distribution.domain.buckets import Bucket, Rate, drawn, is_full, level, wait

RATE = Rate(per_second=2, burst=3)


def test_an_unknown_bucket_is_full() -> None:
    """Nothing need be remembered of whoever did not come lately."""
    assert (level(None, RATE, 100.0), wait(None, RATE, 100.0)) == (3, 0.0)


def test_a_burst_is_let_through_and_then_the_rate() -> None:
    """Three at once, and then one each half second."""
    bucket = None
    for _ in range(3):
        assert wait(bucket, RATE, 10.0) == 0.0
        bucket = drawn(bucket, RATE, 10.0)
    assert wait(bucket, RATE, 10.0) == 0.5
    assert wait(bucket, RATE, 10.25) == 0.25
    assert wait(bucket, RATE, 10.5) == 0.0


def test_a_bucket_owes_what_was_taken_beyond_it() -> None:
    """Whoever does not wait pays for it."""
    assert wait(Bucket(-3, 0.0), RATE, 0.0) == 2.0


def test_a_bucket_fills_up_and_no_further() -> None:
    """A long rest gives one burst."""
    bucket = drawn(None, RATE, 0.0)
    assert not is_full(bucket, RATE, 0.4)
    assert is_full(bucket, RATE, 0.5)
    assert level(bucket, RATE, 1e9) == 3
