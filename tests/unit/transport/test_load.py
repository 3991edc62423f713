"""transport/load.py: newcomers at bad times."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from distribution.domain.buckets import Rate
from distribution.errors import OverloadedError, TooOftenError
from distribution.transport import load as module
from distribution.transport.load import USUAL, Enrollments, Load, Why

FEW = Enrollments(together=Rate(1, 3), per_address=Rate(1, 2))
OURS, MADE_UP = "t1.secret", "t1.guess"


def is_ours(token: str) -> bool:
    return token == OURS


def counted(load: Load) -> dict[Why, int]:
    """Return how many were turned away, for what there was any."""
    return {why: count for why, count in load.turned_away.items() if count}


def on_a_loop(story: Callable[[], Coroutine[object, object, None]]) -> None:
    asyncio.run(story())


def test_enrollments_are_counted_by_address_and_together() -> None:
    """Two of one address, three of all; agents with a certificate are not counted."""
    load = Load(lambda: 0.0, FEW, is_ours)
    load.let_in("a", OURS)
    load.let_in("a", OURS)
    with pytest.raises(TooOftenError, match="too many enrollments from a: 1 a second are taken"):
        load.let_in("a", OURS)
    load.let_in("b", OURS)
    with pytest.raises(TooOftenError, match=r"^too many enrollments: 1 a second are taken") as caught:
        load.let_in("c", OURS)
    for _ in range(10):
        load.let_in("a", None)
    assert caught.value.retry_after == 5
    assert counted(load) == {Why.ADDRESS: 1, Why.TOGETHER: 1}


def test_made_up_tokens_are_counted_apart() -> None:
    """Those who have a token find their own count as it was, and the others' is bounded as well."""
    load = Load(lambda: 0.0, FEW, is_ours)
    for origin in ("a", "b", "c"):
        load.let_in(origin, MADE_UP)
    with pytest.raises(TooOftenError, match=r"^too many enrollments: 1 a second are taken"):
        load.let_in("d", MADE_UP)
    for origin in ("d", "e", "f"):
        load.let_in(origin, OURS)
    with pytest.raises(TooOftenError, match=r"^too many enrollments: 1 a second are taken"):
        load.let_in("g", OURS)


def test_an_address_is_counted_before_its_token_is_looked_at() -> None:
    """Whatever an address shows, it has its share and no more, and beyond it nothing is compared."""
    asked: list[str] = []

    def noted(token: str) -> bool:
        asked.append(token)
        return True

    load = Load(lambda: 0.0, FEW, noted)
    for _ in range(2):
        load.let_in("a", MADE_UP)
    with pytest.raises(TooOftenError, match="from a"):
        load.let_in("a", OURS)
    assert asked == [MADE_UP, MADE_UP]


def test_addresses_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the one that came longest ago is forgotten."""
    monkeypatch.setattr(module, "ADDRESSES_MAX", 2)
    load = Load(lambda: 0.0, Enrollments(together=Rate(1, 100), per_address=Rate(1, 1)), is_ours)
    for origin in ("a", "b", "c", "a"):
        load.let_in(origin, OURS)
    with pytest.raises(TooOftenError):
        load.let_in("c", OURS)


def test_pauses_are_drawn_anew() -> None:
    """Two that are turned away at the same moment do not come back at the same moment."""
    shares = iter([0.0, 0.9])
    load = Load(lambda: next(shares), USUAL, is_ours)
    assert (load.pause(), load.pause()) == (5, 28)


def test_a_late_loop_is_noticed() -> None:
    """A loop that is blocked again and again turns newcomers away; one at rest lets them in."""

    async def story() -> None:
        load = Load(lambda: 0.0, USUAL, is_ours)
        load.start(asyncio.get_running_loop(), lambda: 0.0)
        load.let_in("a", None)
        load.late = 5.0
        with pytest.raises(OverloadedError, match="server is overloaded"):
            load.let_in("a", None)
        load._measure(asyncio.get_running_loop().time() - 1)
        assert load.late == pytest.approx(5.0 * 0.7 + 0.3, abs=0.1)
        load.stop()
        load.stop()

    on_a_loop(story)


def test_a_worker_that_does_not_get_on_is_noticed() -> None:
    """Who enrolls is told to come again; who has a certificate is let in."""

    async def story() -> None:
        load = Load(lambda: 0.0, USUAL, is_ours)
        load.start(asyncio.get_running_loop(), lambda: 60.0)
        load.let_in("a", None)
        with pytest.raises(OverloadedError, match="a certificate request waits for 60 s"):
            load.let_in("a", OURS)
        load.stop()

    on_a_loop(story)


def test_a_server_that_stops_lets_nobody_in() -> None:
    """The pause is what the stop takes, and a share of what the return is spread over."""

    async def story() -> None:
        load = Load(lambda: 0.5, USUAL, is_ours)
        load.start(asyncio.get_running_loop(), lambda: 0.0)
        load.begin_end(10.0, 4.0)
        with pytest.raises(OverloadedError, match="server stops") as caught:
            load.let_in("a", None)
        assert caught.value.retry_after == 12
        load.stop()

    on_a_loop(story)


def test_nothing_is_measured_without_a_loop() -> None:
    """Before the start there is nothing to be late."""
    load = Load(lambda: 0.0, USUAL, is_ours)
    load._measure(0.0)
    assert load.late == 0.0
