"""transport/load.py: newcomers at bad times."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from distribution.domain.buckets import Rate
from distribution.errors import OverloadedError, TooOftenError
from distribution.transport import load as module
from distribution.transport.load import USUAL, Enrollments, Load

FEW = Enrollments(together=Rate(1, 3), per_address=Rate(1, 2))


def on_a_loop(story: Callable[[], Coroutine[object, object, None]]) -> None:
    asyncio.run(story())


def test_enrollments_are_counted_by_address_and_together() -> None:
    """Two of one address, three of all; agents with a certificate are not counted."""
    load = Load(lambda: 0.0, FEW)
    load.let_in("a", enrolls=True)
    load.let_in("a", enrolls=True)
    with pytest.raises(TooOftenError, match="too many enrollments from a: 1 a second are taken"):
        load.let_in("a", enrolls=True)
    load.let_in("b", enrolls=True)
    with pytest.raises(TooOftenError, match=r"^too many enrollments: 1 a second are taken") as caught:
        load.let_in("c", enrolls=True)
    for _ in range(10):
        load.let_in("a", enrolls=False)
    assert (caught.value.retry_after, load.turned_away) == (5, 2)


def test_addresses_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the one that came longest ago is forgotten."""
    monkeypatch.setattr(module, "ADDRESSES_MAX", 2)
    load = Load(lambda: 0.0, Enrollments(together=Rate(1, 100), per_address=Rate(1, 1)))
    for origin in ("a", "b", "c", "a"):
        load.let_in(origin, enrolls=True)
    with pytest.raises(TooOftenError):
        load.let_in("c", enrolls=True)


def test_pauses_are_drawn_anew() -> None:
    """Two that are turned away at the same moment do not come back at the same moment."""
    shares = iter([0.0, 0.9])
    load = Load(lambda: next(shares), USUAL)
    assert (load.pause(), load.pause()) == (5, 28)


def test_a_late_loop_is_noticed() -> None:
    """A loop that is blocked again and again turns newcomers away; one at rest lets them in."""

    async def story() -> None:
        load = Load(lambda: 0.0, USUAL)
        load.start(asyncio.get_running_loop(), lambda: 0.0)
        load.let_in("a", enrolls=False)
        load.late = 5.0
        with pytest.raises(OverloadedError, match="server is overloaded"):
            load.let_in("a", enrolls=False)
        load._measure(asyncio.get_running_loop().time() - 1)
        assert load.late == pytest.approx(5.0 * 0.7 + 0.3, abs=0.1)
        load.stop()
        load.stop()

    on_a_loop(story)


def test_a_worker_that_does_not_get_on_is_noticed() -> None:
    """Who enrolls is told to come again; who has a certificate is let in."""

    async def story() -> None:
        load = Load(lambda: 0.0, USUAL)
        load.start(asyncio.get_running_loop(), lambda: 60.0)
        load.let_in("a", enrolls=False)
        with pytest.raises(OverloadedError, match="a certificate request waits for 60 s"):
            load.let_in("a", enrolls=True)
        load.stop()

    on_a_loop(story)


def test_a_server_that_stops_lets_nobody_in() -> None:
    """The pause is what the stop takes, and a share of what the return is spread over."""

    async def story() -> None:
        load = Load(lambda: 0.5, USUAL)
        load.start(asyncio.get_running_loop(), lambda: 0.0)
        load.begin_end(10.0, 4.0)
        with pytest.raises(OverloadedError, match="server stops") as caught:
            load.let_in("a", enrolls=False)
        assert caught.value.retry_after == 12
        load.stop()

    on_a_loop(story)


def test_nothing_is_measured_without_a_loop() -> None:
    """Before the start there is nothing to be late."""
    load = Load(lambda: 0.0, USUAL)
    load._measure(0.0)
    assert load.late == 0.0
