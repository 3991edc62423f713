"""Parts are serialised once, and no more of them are kept than is borne."""

from collections.abc import Callable

from distribution.protocol.rendered import Parts


def made(parts: Parts, name: str, content: bytes) -> int:
    """Ask for a part twice; return how often it was serialised."""
    calls: list[str] = []

    def make() -> bytes:
        calls.append(name)
        return content

    asked: Callable[[], bytes] = lambda: parts.part((name,), make)  # noqa: E731 - said twice below
    assert asked() == asked() == content
    return len(calls)


def test_a_part_is_made_once() -> None:
    """The second one who is told the same gets the same bytes."""
    parts = Parts(100)
    assert made(parts, "a", b"x" * 25) == 1
    assert made(parts, "a", b"x" * 25) == 0
    assert parts.size == 25


def test_the_oldest_part_goes_first() -> None:
    """Where there is no room, what was made first is made again."""
    parts = Parts(100)
    for name in "abcde":
        assert made(parts, name, b"x" * 25) == 1
    assert parts.size == 100
    assert made(parts, "e", b"x" * 25) == 0
    assert made(parts, "a", b"x" * 25) == 1
    assert parts.size == 100


def test_a_large_part_is_not_kept() -> None:
    """One that would push out most of the others is made for each."""
    parts = Parts(100)
    assert made(parts, "a", b"x" * 26) == 2
    assert parts.size == 0
