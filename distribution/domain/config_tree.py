"""What a YAML or JSON text says, as plain values, and how several such texts become one.

A tree is read once, with limits, by whoever parses it (`flows.configuration.text`), so nothing here needs to
fear its size or depth. Trees are never changed: a part of one may be a part of another.
"""

from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

Tree: TypeAlias = "dict[str, Tree] | list[Tree] | str | int | float | bool | None"
Scalar: TypeAlias = "str | int | float | bool | None"

Place: TypeAlias = tuple[str, ...]
"""Where in a tree: keys, and `[number]` for a place in a list."""

GROWING: Final = ("service", "extensions")
"""The list that supervisors add their own extension to: lists of several texts are put together."""

_SHOWN_CHARS: Final = 200


def merged(trees: Iterable[Tree]) -> Tree:
    """Return one tree of several, as supervisors merge objects: maps key by key, else the later one wins."""
    result: Tree = None
    for number, tree in enumerate(trees):
        result = _merged(result, tree, ()) if number else tree
    return result


def object_order(keys: Iterable[str]) -> list[str]:
    """Return keys of objects in the order that supervisors merge them: by name, the empty one last."""
    return sorted(keys, key=lambda key: (not key, key))


def scalars(tree: Tree) -> Iterator[tuple[Place, Scalar]]:
    """Yield every scalar with its place, in the order they are written."""
    waiting: list[tuple[Place, Tree]] = [((), tree)]
    while waiting:
        place, found = waiting.pop()
        if isinstance(found, dict):
            waiting.extend(((*place, key), found[key]) for key in reversed(list(found)))
        elif isinstance(found, list):
            waiting.extend(
                ((*place, f"[{number}]"), found[number]) for number in range(len(found) - 1, -1, -1)
            )
        else:
            yield place, found


def keys_in(tree: Tree) -> Iterator[str]:
    """Yield every key of every map."""
    waiting = [tree]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield from found
            waiting.extend(found.values())
        elif isinstance(found, list):
            waiting.extend(found)


def shown(place: Place) -> str:
    """Return a place in words, such as `exporters.otlp.headers[0]`; a long one is cut."""
    text = ".".join(place).replace(".[", "[") or "the top"
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def _merged(first: Tree, second: Tree, place: Place) -> Tree:
    if isinstance(first, dict) and isinstance(second, dict):
        both = dict(first)
        for key, value in second.items():
            both[key] = _merged(first[key], value, (*place, key)) if key in first else value
        return both
    if place == GROWING and isinstance(first, list) and isinstance(second, list):
        names = {one for one in first if isinstance(one, str)}  # looked up, because both may be long
        return [*first, *(one for one in second if not isinstance(one, str) or one not in names)]
    return second
