"""transport/line.py: whose turn it is."""

from distribution.transport.line import Line


def line_of(places: int, *waiting: str) -> Line[str]:
    """Return a line in which they wait who are named by their origin and a number, in this order."""
    line: Line[str] = Line(places)
    for who in waiting:
        line.join(who[0], who)
    return line


def served(line: Line[str]) -> list[str]:
    """Return who gets in, each as soon as the one before has left."""
    order = []
    while (who := line.next()) is not None:
        order.append(who)
        line.leave(who[0])
    return order


def test_origins_take_turns() -> None:
    """A long line of one origin does not keep the others waiting; within an origin they go as they came."""
    assert served(line_of(1, "a1", "a2", "a3", "b1", "b2", "c1")) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_who_holds_fewest_is_next() -> None:
    """An origin that has a place already waits behind those that have none, whoever came first."""
    line = line_of(2, "a1", "a2", "b1")
    assert line.next() == "a1"
    line.join("c", "c1")
    assert line.next() == "b1"
    line.leave("b")
    assert line.next() == "c1"
    line.leave("a")
    line.leave("c")
    assert served(line) == ["a2"]


def test_one_origin_does_not_hold_all_places() -> None:
    """A fourth of them is left for others, who find a place at once; what it frees itself is its again."""
    line = line_of(4, *(f"a{number}" for number in range(9)))
    assert [line.next() for _ in range(4)] == ["a0", "a1", "a2", None]
    assert (line.taken, len(line)) == (3, 6)
    line.join("b", "b0")
    assert (line.next(), line.next()) == ("b0", None)
    line.leave("b")
    assert line.next() is None
    line.leave("a")
    assert (line.next(), line.taken, len(line)) == ("a3", 3, 5)


def test_two_origins_do_not_hold_all_places_together() -> None:
    """Of what the first leaves the second leaves a fourth again, and so on: a third finds a place at once."""
    line = line_of(100, *(f"{origin}{number}" for origin in "ab" for number in range(200)))
    taken = [who[0] for who in iter(line.next, None)]
    assert (taken.count("a"), taken.count("b")) == (43, 43)
    line.join("c", "c0")
    assert line.next() == "c0"
    alone = line_of(100, *(f"a{number}" for number in range(200)))
    held = [sum(1 for _ in iter(alone.next, None))]
    for origin in "bcd":
        for number in range(200):
            alone.join(origin, f"{origin}{number}")
        held.append(sum(1 for _ in iter(alone.next, None)))
    assert held == [75, 19, 5, 1]


def test_networks_take_turns() -> None:
    """However many origins a network has, another one with fewer places is served before; within it too."""
    line: Line[str] = Line(4, lambda origin: origin[0])
    for who in ("x1", "x2", "x3", "x1", "y9"):
        line.join(who, who)
    assert [line.next() for _ in range(5)] == ["x1", "y9", "x2", "x3", None]
    line.join("y8", "y8")
    line.leave("x2")
    assert (line.next(), line.next()) == ("y8", None)


def test_few_places() -> None:
    """Where there are less than four, one origin may have them all: nothing would be left of its share."""
    line = line_of(3, "a1", "a2", "a3", "a4")
    assert [line.next() for _ in range(4)] == ["a1", "a2", "a3", None]


def test_whose_place_would_help() -> None:
    """Somebody's place is worth freeing only if one who waits would get in by it; he is named."""
    line = line_of(4, "a1", "a2", "a3", "a4", "b1")
    assert [line.next() for _ in range(5)] == ["a1", "b1", "a2", "a3", None]
    assert (line.heir("a"), line.heir("b")) == ("a", None)
    line.join("c", "c1")
    assert (line.heir("a"), line.heir("b")) == ("c", "c")


def test_a_network_is_greedy_beside_one_that_holds_less() -> None:
    """Even without the place in question it would have no less; a network is never greedy beside itself."""
    line: Line[str] = Line(8, lambda origin: origin[0])
    for who in ("x1", "x1", "x2", "y1", "z1"):
        line.join(who, who)
    while line.next() is not None:
        pass
    assert (line.is_greedy("x1", "y1"), line.is_greedy("x1", "x3"), line.is_greedy("y1", "z1")) == (
        True,
        False,
        False,
    )
    line.leave("x1")
    assert line.is_greedy("x1", "n1")
    assert not line.is_greedy("x1", "y1")
    large: Line[str] = Line(80, lambda origin: origin[0])
    for who in ["x1"] * 11 + ["y1"] * 10:
        large.join(who, who)
    while large.next() is not None:
        pass
    assert large.is_greedy("x1", "n1")
    assert not large.is_greedy("y1", "n1")


def test_nobody_waits() -> None:
    """An empty line has nothing to give, and wants nobody's place."""
    line = line_of(2, "a1")
    assert line.next() == "a1"
    assert (line.next(), line.heir("a"), len(line)) == (None, None, 0)


def test_all_leave_the_line() -> None:
    """Who waits can be gone through and sent away; who has a place keeps it."""
    line = line_of(1, "a1", "a2", "b1")
    line.next()
    assert sorted(line) == ["a2", "b1"]
    line.clear()
    assert (list(line), len(line), line.taken, line.next()) == ([], 0, 1, None)
