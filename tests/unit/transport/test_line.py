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


def test_an_origin_that_comes_again_waits_for_its_turn() -> None:
    """Who joins while others wait stands behind their origins, not before."""
    line = line_of(1, "a1", "b1", "a2")
    assert line.next() == "a1"
    line.join("c", "c1")
    line.join("a", "a3")
    line.leave("a")
    assert served(line) == ["b1", "a2", "c1", "a3"]


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


def test_few_places() -> None:
    """Where there are less than four, one origin may have them all: nothing would be left of its share."""
    line = line_of(3, "a1", "a2", "a3", "a4")
    assert [line.next() for _ in range(4)] == ["a1", "a2", "a3", None]


def test_whose_place_would_help() -> None:
    """Somebody's place is worth freeing only if one who waits would get in by it."""
    line = line_of(4, "a1", "a2", "a3", "a4", "b1")
    assert [line.next() for _ in range(4)] == ["a1", "b1", "a2", "a3"]
    assert (line.wants_place_of("a"), line.wants_place_of("b")) == (True, False)
    line.join("c", "c1")
    assert (line.wants_place_of("a"), line.wants_place_of("b")) == (True, True)
    line.leave("b")
    assert line.next() == "c1"
    line.leave("c")  # now a place is free, and only the first origin waits, for its own
    assert (line.wants_place_of("a"), line.wants_place_of("c")) == (True, False)


def test_nobody_waits() -> None:
    """An empty line has nothing to give, and wants nobody's place."""
    line = line_of(2, "a1")
    assert line.next() == "a1"
    assert (line.next(), line.wants_place_of("a"), len(line)) == (None, False, 0)


def test_all_leave_the_line() -> None:
    """Who waits can be gone through and sent away; who has a place keeps it."""
    line = line_of(1, "a1", "a2", "b1")
    line.next()
    assert sorted(line) == ["a2", "b1"]
    line.clear()
    assert (list(line), len(line), line.taken, line.next()) == ([], 0, 1, None)
