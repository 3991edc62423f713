"""Token buckets: how often something may happen, with a reserve for bursts. Pure; the time comes in.

A bucket is full when nothing is known of it, so one that has filled up again may be forgotten.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second on average, and so many at once after a quiet time."""

    per_second: float
    burst: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """What was left at a moment; `at` is in seconds of a monotonic clock."""

    left: float
    at: float


def level(bucket: Bucket | None, rate: Rate, now: float) -> float:
    """Return what a bucket holds by now."""
    if bucket is None:
        return rate.burst
    return min(rate.burst, bucket.left + (now - bucket.at) * rate.per_second)


def drawn(bucket: Bucket | None, rate: Rate, now: float) -> Bucket:
    """Return the bucket after one thing more; below zero it owes, which `wait` tells in seconds."""
    return Bucket(level(bucket, rate, now) - 1, now)


def wait(bucket: Bucket | None, rate: Rate, now: float) -> float:
    """Return in how many seconds the bucket holds enough for one thing more; 0 if it does now."""
    return max(0.0, (1 - level(bucket, rate, now)) / rate.per_second)


def is_full(bucket: Bucket, rate: Rate, now: float) -> bool:
    """Whether the bucket may be forgotten."""
    return level(bucket, rate, now) >= rate.burst
