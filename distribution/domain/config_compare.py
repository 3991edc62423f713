"""Whether an effective configuration shows what was intended, and the first place where it does not.

Agents add to what they are told: a supervisor its own telemetry and extension, a host its own settings. So
what was intended must be *contained* in what is effective:

1. A map holds every key that was intended, and may hold more.
2. A list is the same, place by place; the lists in `GROWING` and under `service.telemetry` may hold more.
3. A scalar is the same once its type is left out (`4317` and `"4317"`). What an agent took out (`[REDACTED]`)
   or put in (`${env:NAME}`) is anything; what stands around it is the same. `$$` is one dollar sign.
4. An empty map, an empty list and nothing are the same; a key that was left without a value is the agent's to
   fill, as collectors do with their defaults.
5. A span of time is the same however it is written (`60s` and `1m0s`), and a word in other letters' case, as
   collectors write the names of choices (`detailed` and `Detailed`). So is a map that a collector wrote as a
   list of `name` and `value`, as it does with headers.

Objects are compared under their keys where the agent reports those keys; otherwise as one document, put
together as supervisors do. What cannot be read must be the same bytes. Words name places, never values.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from distribution.domain.config_tree import GROWING, Place, Scalar, Tree, merged, object_order, shown
from distribution.domain.secrets import REDACTED

_TELEMETRY: Final = ("service", "telemetry")
_REFERENCE = re.compile(r"\$\$|\$\{[^{}]*\}")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_SPAN = re.compile(rf"(?:{_PART.pattern})+")
_SPAN_MAX_CHARS: Final = 64
_UNITS: Final[Mapping[str, Decimal]] = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}
_WORD = re.compile(r"[A-Za-z]{1,32}")
_PAIR: Final = frozenset({"name", "value"})
_WILD: Final = "\0"
"""Stands for what may be anything; no text of a document holds it."""


def first_difference(intended: Mapping[str, Tree], effective: Mapping[str, Tree]) -> str:
    """Return the first difference in words, empty if there is none: both by the keys of their objects."""
    if set(intended) <= set(effective):
        for key in object_order(intended):
            if found := _difference(intended[key], effective[key], ()):
                return f"object {key!r}: {found}" if key else found
        return ""
    whole = merged(intended[key] for key in object_order(intended))
    return _difference(whole, merged(effective[key] for key in object_order(effective)), ())


def all_differences(intended: Tree, effective: Tree, most: int) -> list[str]:
    """Return up to `most` differences in words, in the order of what was intended."""
    found: list[str] = []
    for one in _differences(intended, effective, ()):
        found.append(one)
        if len(found) == most:
            break
    return found


def same_text(intended: str, effective: str) -> bool:
    """Whether two scalars or texts are the same, but for what was taken out or put in."""
    wanted = _pieces(_REFERENCE.sub(lambda found: "$" if found[0] == "$$" else _WILD, intended))
    if _fits(wanted, effective) or intended == effective:
        return True
    return REDACTED in effective and _fits(_pieces(effective.replace(REDACTED, _WILD)), intended)


def _difference(intended: Tree, effective: Tree, place: Place) -> str:
    return next(_differences(intended, effective, place), "")


def _differences(intended: Tree, effective: Tree, place: Place) -> Iterator[str]:
    if _is_open(intended) or (_is_nothing(intended) and _is_nothing(effective)):
        return
    if isinstance(intended, dict) and isinstance(effective, list):
        effective = _named(effective)
    if isinstance(intended, dict) and isinstance(effective, dict):
        for key, value in intended.items():
            if key in effective:
                yield from _differences(value, effective[key], (*place, key))
            else:
                yield f"{shown((*place, key))} is missing"
    elif isinstance(intended, list) and isinstance(effective, list):
        yield from _in_list(intended, effective, place)
    elif isinstance(intended, dict | list) or isinstance(effective, dict | list):
        if effective != REDACTED:
            yield f"{shown(place)} is {_kind(effective)}, intended is {_kind(intended)}"
    elif not _same(intended, effective):
        yield f"{shown(place)} has another value"


def _is_open(intended: Tree) -> bool:
    """Whether anything may stand there: it was left empty, or a whole document may have been put in."""
    if isinstance(intended, str):
        return bool(_REFERENCE.fullmatch(intended)) and intended != "$$"
    return intended is None


def _named(entries: list[Tree]) -> Tree:
    """Return the map that a list of `name` and `value` stands for, or the list if it is no such list.

    One whose names were taken out as well may be anything.
    """
    found: dict[str, Tree] = {}
    for entry in entries:
        if not isinstance(entry, dict) or entry.keys() != _PAIR or not isinstance(entry["name"], str):
            return entries
        found[entry["name"]] = entry["value"]
    return REDACTED if REDACTED in found else found


def _in_list(intended: list[Tree], effective: list[Tree], place: Place) -> Iterator[str]:
    if place == GROWING or place[:2] == _TELEMETRY:
        rest = list(effective)
        for number, wanted in enumerate(intended):
            at = next((at for at, one in enumerate(rest) if not _difference(wanted, one, ())), None)
            if at is None:
                yield f"{shown((*place, f'[{number}]'))} is missing"
            else:
                del rest[at]
        return
    if len(intended) != len(effective):
        yield f"{shown(place)} has {len(effective)} entries, intended are {len(intended)}"
        return
    for number, (wanted, one) in enumerate(zip(intended, effective, strict=True)):
        yield from _differences(wanted, one, (*place, f"[{number}]"))


def _same(intended: Scalar, effective: Scalar) -> bool:
    wanted, found = _plain(intended), _plain(effective)
    if same_text(wanted, found) or (_WORD.fullmatch(wanted) and wanted.lower() == found.lower()):
        return True
    span = _span(wanted)
    return span is not None and span == _span(found)


def _span(text: str) -> Decimal | None:
    """Return a span of time as Go writes one, in seconds; None if the text is none."""
    if len(text) > _SPAN_MAX_CHARS or not _SPAN.fullmatch(text):
        return None
    return sum((Decimal(number) * _UNITS[unit] for number, unit in _PART.findall(text)), Decimal(0))


def _plain(value: Scalar) -> str:
    """Return a scalar as text, one for all ways of writing it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and abs(value) < 1 << 53:
            return str(int(value))
        case _:
            return str(value)


def _pieces(text: str) -> list[str]:
    return text.split(_WILD)


def _fits(pieces: list[str], text: str) -> bool:
    """Whether the text is these pieces in their order, with anything between them."""
    first, *rest = pieces
    if not rest:
        return text == first
    *middle, last = rest
    if not text.startswith(first) or not text[len(first) :].endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in middle:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def _is_nothing(tree: Tree) -> bool:
    return tree is None or (isinstance(tree, dict | list) and not tree)


def _kind(tree: Tree) -> str:
    match tree:
        case dict():
            return "a map"
        case list():
            return "a list"
        case None:
            return "nothing"
        case _:
            return "a value"
