"""YAML read with limits. The only file that knows the YAML library.

Rules:

1. libyaml's events, in C, and a reader of our own on top: no object is ever made by a tag.
2. One document; every key a scalar, and once. A merge key (`<<`) means what collectors take it for.
3. Depth and values are bounded, each alias counted as all that it stands for: a bomb is refused before it
   goes off.
4. Plain scalars are what collectors take them for: the core schema of YAML 1.2, so `yes` is a text; and the
   older numbers `0777` and `1_000`.
5. Messages name a line or a key, never a value: values may be secrets.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, cast

import yaml

from distribution.domain.config_tree import Scalar, Tree
from distribution.errors import InvalidError

DEPTH_MAX: Final = 64
VALUES_MAX: Final = 50_000
"""Maps, lists and scalars in one text, aliases counted in full."""

_NUMBER_CHARS: Final = 40
_INTEGER = re.compile(r"[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+")
_OCTAL = re.compile(r"[-+]?0[0-7]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Final[dict[str, Scalar]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_TAG: Final = "tag:yaml.org,2002:"
_TAGGED: Final[dict[str, tuple[type, ...]]] = {
    f"{_TAG}null": (type(None),),
    f"{_TAG}bool": (bool,),
    f"{_TAG}int": (int,),
    f"{_TAG}float": (int, float),
}
_MERGE: Final = "<<"


def read(text: str) -> Tree:
    """Return what the text says. Raises InvalidError: not one well-formed document, or beyond a limit."""
    return _Reader(text).tree()


def written(tree: Tree) -> str:
    """Return the tree as YAML."""
    return str(yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000))


def scalar(text: str) -> Scalar:
    """Return what a plain scalar says (YAML 1.2.2, 10.3.2); an endless number stays a text."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _NUMBER_CHARS:
        return text
    if _INTEGER.fullmatch(text):
        base = 8 if _OCTAL.fullmatch(text) else 0 if text[:2] in ("0o", "0x") else 10
        return int(text.replace("_", ""), base)
    return float(text) if _FLOAT.fullmatch(text) else text


@dataclass(frozen=True, slots=True)
class Span:
    """One scalar of a YAML text: where it is written, from `start` to before `end` in characters."""

    value: str = field(repr=False)
    start: int
    end: int
    line: int
    """Counted from one."""
    is_key: bool
    plain: bool
    """Without quotes, on one line."""
    block: bool
    """`|` or `>`: a text of its own, often a document in the document."""


def spans(text: str) -> Iterator[Span]:
    """Yield the scalars of a YAML text in their order. Raises InvalidError."""
    maps: list[int] = []  # of each open collection: scalars and parts so far, or -1 where it is a list
    for event in _events(text):
        if isinstance(event, yaml.CollectionEndEvent):
            maps.pop()
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        is_key = bool(maps) and maps[-1] >= 0 and maps[-1] % 2 == 0
        if maps and maps[-1] >= 0:
            maps[-1] += 1
        if isinstance(event, yaml.ScalarEvent):
            start, end = _mark(event.start_mark), _mark(event.end_mark)
            yield Span(
                event.value,
                start.index,
                end.index,
                start.line + 1,
                is_key,
                plain=not event.style and start.line == end.line,
                block=event.style in ("|", ">"),
            )
        elif isinstance(event, yaml.CollectionStartEvent):
            maps.append(0 if isinstance(event, yaml.MappingStartEvent) else -1)


def _events(text: str) -> Iterator[yaml.Event]:
    """Yield what the library finds. Raises InvalidError: it is not YAML; the cause would hold the text."""
    try:
        yield from yaml.parse(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as exc:
        where = "" if exc.problem_mark is None else f"line {exc.problem_mark.line + 1}: "
        raise InvalidError(f"text is not YAML: {where}{exc.problem}") from None
    except yaml.YAMLError as exc:
        why = getattr(exc, "reason", type(exc).__name__)
        raise InvalidError(f"text is not YAML: {why}") from None


class _Dumper(yaml.CSafeDumper):
    """Writes each value out: two places that share one do not become an anchor and an alias."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the library's signature
        return True


@dataclass(slots=True)
class _Open:
    """A collection that is being read."""

    tree: dict[str, Tree] | list[Tree]
    anchor: str | None
    size: int = 1
    key: str | None = None
    merge: list[dict[str, Tree]] = field(default_factory=list)


class _Reader:
    """Reads one YAML text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Tree, int]] = {}
        self._count = 0
        self._documents = 0
        self._root: Tree = None

    def tree(self) -> Tree:
        for event in _events(self._text):
            self._take(event)
        return self._root

    def _take(self, event: yaml.Event) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise InvalidError(f"text has a second document, at line {_line(event)}; expected one")
            case yaml.ScalarEvent():
                self._counted(1)
                value: Tree = event.value if self._is_next_key() else _value(event)
                self._put(value, event, event.anchor, 1)
            case yaml.AliasEvent():
                self._put(*self._alias(event))
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._begin(event)
            case yaml.CollectionEndEvent():
                self._end(event)

    def _begin(self, event: yaml.CollectionStartEvent) -> None:
        self._counted(1)
        if len(self._open) >= DEPTH_MAX:
            raise InvalidError(f"line {_line(event)} is nested deeper than {DEPTH_MAX}")
        if self._is_next_key():
            raise InvalidError(f"line {_line(event)}: a key is a map or a list, expected a text")
        is_map = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, "!", _TAG + ("map" if is_map else "seq")):
            raise InvalidError(f"line {_line(event)}: tag {event.tag[:80]!r} is not taken")
        self._open.append(_Open({} if is_map else [], event.anchor))

    def _end(self, event: yaml.Event) -> None:
        done = self._open.pop()
        tree = done.tree
        if isinstance(tree, dict):
            given: dict[str, Tree] = {}
            for one in reversed(done.merge):  # the first one wins; a copy for each would cost its square
                given.update(one)
            tree = {**given, **tree} if given else tree
        self._put(tree, event, done.anchor, done.size)

    def _put(self, value: Tree, event: yaml.Event, anchor: str | None, size: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = value, size
        if not self._open:
            self._root = value
            return
        into = self._open[-1]
        into.size += size
        if isinstance(into.tree, list):
            into.tree.append(value)
        elif into.key is None:
            into.key = self._key(into.tree, value, event)
        else:
            key, into.key = into.key, None
            if key == _MERGE:
                into.merge.extend(_merge(value, event))
            else:
                into.tree[key] = value

    def _key(self, into: dict[str, Tree], value: Tree, event: yaml.Event) -> str:
        if not isinstance(value, str):
            raise InvalidError(f"line {_line(event)}: a key is not a text")
        if value in into:
            raise InvalidError(f"line {_line(event)}: key {value[:80]!r} is there twice")
        return value

    def _is_next_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].tree, dict) and self._open[-1].key is None

    def _alias(self, event: yaml.AliasEvent) -> tuple[Tree, yaml.Event, None, int]:
        name = event.anchor or ""
        if name not in self._anchors:
            raise InvalidError(f"line {_line(event)}: alias {name[:80]!r} has no anchor before it")
        value, size = self._anchors[name]
        self._counted(size)
        return value, event, None, size

    def _counted(self, size: int) -> None:
        self._count += size
        if self._count > VALUES_MAX:
            raise InvalidError(f"text has more than {VALUES_MAX} values, aliases counted in full")


def _value(event: yaml.ScalarEvent) -> Scalar:
    if event.tag in (None, "!"):
        return event.value if event.style or event.tag == "!" else scalar(event.value)
    if event.tag == _TAG + "str":
        return str(event.value)
    found = scalar(event.value)
    if type(found) not in _TAGGED.get(event.tag, ()):
        raise InvalidError(f"line {_line(event)}: tag {event.tag[:80]!r} is not taken")
    return found


def _merge(value: Tree, event: yaml.Event) -> list[dict[str, Tree]]:
    several = value if isinstance(value, list) else [value]
    found = [one for one in several if isinstance(one, dict)]
    if len(found) != len(several):
        raise InvalidError(f"line {_line(event)}: a merge key takes maps alone")
    return found


def _line(event: yaml.Event) -> int:
    return _mark(event.start_mark).line + 1


def _mark(mark: object) -> yaml.Mark:
    """Return a mark, which every event that was parsed has."""
    return cast("yaml.Mark", mark)
