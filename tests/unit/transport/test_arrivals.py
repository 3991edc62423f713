"""transport/arrivals.py: counting connections and remembering addresses."""

import pytest

from distribution.transport.arrivals import FRUITLESS, WAIT_MOST_SECONDS, Arrivals, origin_of


class Hand:
    """A clock set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def come_and_go(arrivals: Arrivals, times: int, *, fruitful: bool = False, greeted: bool = True) -> None:
    for _ in range(times):
        ticket = arrivals.enter("a")
        ticket.greeted, ticket.fruitful = greeted, fruitful
        ticket.give_back()


def test_connections_are_counted_by_origin() -> None:
    """A ticket counts until it is given back, once."""
    arrivals = Arrivals(Hand())
    one, _two = arrivals.enter("a"), arrivals.enter("b")
    assert (arrivals.held, arrivals.held_by("a"), arrivals.held_by("c")) == (2, 1, 0)
    one.give_back()
    one.give_back()
    assert (arrivals.held, arrivals.held_by("a"), len(arrivals)) == (1, 0, 1)


def test_fruitless_handshakes_make_an_origin_wait() -> None:
    """A burst is free; then each waits for its share; others do not wait."""
    clock = Hand()
    arrivals = Arrivals(clock)
    come_and_go(arrivals, int(FRUITLESS.burst))
    assert arrivals.wait("a") == pytest.approx(1 / FRUITLESS.per_second)
    assert arrivals.wait("b") == 0.0
    come_and_go(arrivals, 1000)
    assert arrivals.wait("a") == WAIT_MOST_SECONDS
    clock.now = 1e6
    assert arrivals.wait("a") == 0.0


@pytest.mark.parametrize(("fruitful", "greeted"), [(True, True), (False, False)])
def test_nobody_waits_for_what_was_useful_or_never_greeted(*, fruitful: bool, greeted: bool) -> None:
    """Agents that come and go with a message between are as welcome as before."""
    arrivals = Arrivals(Hand())
    come_and_go(arrivals, 1000, fruitful=fruitful, greeted=greeted)
    assert (arrivals.wait("a"), len(arrivals)) == (0.0, 0)


def test_origins_are_forgotten() -> None:
    """Memory is held for addresses that hold a connection or have something to pay for."""
    clock = Hand()
    arrivals = Arrivals(clock)
    come_and_go(arrivals, 2)
    held = arrivals.enter("b")
    arrivals.forget()
    assert len(arrivals) == 2
    clock.now = 10.0
    arrivals.forget()
    assert (len(arrivals), arrivals.held_by("b")) == (1, 1)
    held.give_back()
    arrivals.forget()
    assert len(arrivals) == 0


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        (("192.0.2.7", 4711), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1, 0, 0), "2001:db8:1:2::"),
        (("fe80::1%eth0", 1, 0, 2), "fe80::"),
        (("::ffff:192.0.2.7", 1, 0, 0), "192.0.2.7"),
        ("", ""),
        ((), ""),
    ],
)
def test_origin_of_an_address(address: object, origin: str) -> None:
    """IPv4 counts by itself, IPv6 by what one host gets at least."""
    assert origin_of(address) == origin
