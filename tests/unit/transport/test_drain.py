"""transport/drain.py: closing one after the other."""

import asyncio

import pytest

from distribution.transport.drain import PER_SECOND, drain, spread


class Connection:
    """Notes when it was closed."""

    def __init__(self, *, fails: bool = False) -> None:
        self.told = False
        self.closed_at = -1.0
        self._fails = fails

    def begin_end(self) -> None:
        self.told = True

    def shutdown(self) -> None:
        self.closed_at = asyncio.get_running_loop().time()
        if self._fails:
            raise RuntimeError("broken")


@pytest.mark.parametrize(
    ("count", "most", "expected"), [(0, 10, 0), (PER_SECOND, 10, 1), (10**6, 10, 10), (5, 0, 0)]
)
def test_few_need_no_spreading(count: int, most: float, expected: float) -> None:
    """So many a second at least, so that a small server stops at once."""
    assert spread(count, most) == expected


def test_connections_close_one_after_the_other() -> None:
    """All are told at once; they are closed over the whole time, in about equal parts."""
    connections = [Connection() for _ in range(100)]

    async def story() -> float:
        began = asyncio.get_running_loop().time()
        await drain(connections, 0.5, lambda: False)
        return began

    began = asyncio.run(story())
    assert all(each.told for each in connections)
    closed = sorted(each.closed_at - began for each in connections)
    assert closed[0] < 0.1
    assert closed[-1] > 0.4
    assert 10 <= sum(at < 0.25 for at in closed) <= 60  # a busy machine is late


def test_all_at_once_in_a_hurry() -> None:
    """Whoever is in a hurry does not wait, and one that breaks does not keep the others."""
    connections = [Connection(fails=number == 0) for number in range(100)]

    async def story() -> None:
        await asyncio.wait_for(drain(connections, 3600, lambda: True), 10)

    asyncio.run(story())
    assert all(each.closed_at >= 0 for each in connections)
