"""What is known to be secret, because an operator said so of it, is taken out wherever it is said again.

Rules:

1. It is one under every name: a scalar or line that is all of it, and a part of it anywhere in one.
2. It is looked for as it was written, as collectors show it, and as it is once what looks like a secret was
   taken out of it (`domain.secrets`): what agents say was made safe by looks before more was known.
3. A text that was cut may end within one: what is there of it goes too.
4. What is looked for is found by a few of its characters, the rarest, or one by one, whichever is less work:
   there may be thousands of them, and thousands of texts.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from distribution.domain.config_tree import Tree, scalars
from distribution.domain.secrets import REDACTED, is_reference, spoken

KNOWN_LEAST_CHARS: Final = 6
"""Of a text that is looked for because it is known to be secret: shorter ones stand everywhere."""

PIECE_LEAST_CHARS: Final = 12
"""Of what stands around a reference in a secret text, to be looked for anywhere: shorter pieces do."""

TEXT_APART: Final = "\0"
"""Stands between texts that are searched as one; no text of a document holds it."""

_AROUND = re.compile(r"\$\{[^{}]*?(?::-|\})|\}")
"""What a text with references is split by; the default in one is a piece like others."""

_NAMED: Final = "secret="
"""A text may have stood under such a name, and is taken out up to where a value ends, no further."""

_ENDS_VALUE = re.compile(r"[\s&;,\"']")


class Sought:
    """Texts that are looked for, longest first: a part goes before those it contains, or they break it up."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = longest_first(texts)
        self._longest = len(self.texts[0]) if self.texts else 0
        self._short = frozenset(one for one in self.texts if len(one) < KNOWN_LEAST_CHARS)
        self._by_head: dict[str, list[str]] = {}
        self._by_mark: dict[str, list[str]] = {}
        long = [one for one in self.texts if one not in self._short]
        common = Counter(mark for one in long for mark in _marks(one))
        for one in long:
            self._by_head.setdefault(one[:KNOWN_LEAST_CHARS], []).append(one)
            self._by_mark.setdefault(min(_marks(one), key=common.__getitem__), []).append(one)

    def within(self, text: str) -> tuple[str, ...]:
        """Return those that stand in the text."""
        # To try one costs a little, and a three hundredth of a look-up for each character.
        if 300 * len(text) > len(self.texts) * (200 + len(text)):
            return tuple(one for one in self.texts if one in text)
        marks, width = self._by_mark, KNOWN_LEAST_CHARS
        there = {mark for at in range(len(text) - width + 1) if (mark := text[at : at + width]) in marks}
        likely = (one for mark in there for one in marks[mark])
        return longest_first(one for one in (*likely, *self._short) if one in text)

    def begun_at_end(self, text: str) -> int:
        """Return where at the end of the text one of them begins that goes on; the text's length if none."""
        for at in range(max(0, len(text) - self._longest + 1), len(text) - KNOWN_LEAST_CHARS + 1):
            likely = self._by_head.get(text[at : at + KNOWN_LEAST_CHARS])
            if likely and any(len(one) > len(text) - at and one.startswith(text[at:]) for one in likely):
                return at
        return len(text)


@dataclass(frozen=True)
class Known:
    """What is known to be secret: `whole` as a scalar or a line of one, `parts` anywhere, longest first.

    All of `base` is, too: what many agents share is made ready to be looked for once.
    """

    whole: frozenset[str] = field(default=frozenset(), repr=False)
    parts: tuple[str, ...] = field(default=(), repr=False)

    base: "Known | None" = field(default=None, repr=False)

    def holds(self, text: str) -> bool:
        """Whether all of the text is a secret."""
        return text in self.whole or (self.base is not None and self.base.holds(text))

    def parts_within(self, text: str) -> tuple[str, ...]:
        """Return the parts that stand in a text, longest first."""
        found = self._parts.within(text) if self.parts else ()
        return found if self.base is None else longest_first((*found, *self.base.parts_within(text)))

    def lines_within(self, text: str) -> tuple[str, ...]:
        """Return the lines, of whatever is known, that stand in a text that has no scalars; longest first."""
        found = self._lines.within(text)
        return found if self.base is None else longest_first((*found, *self.base.lines_within(text)))

    def begun_at_end(self, text: str) -> int:
        """Return where at the end of a text a line begins that goes on; the text's length if none does.

        What is there of it may be the end of one that is there as a whole: that is none.
        """
        at = self._lines.begun_at_end(text)
        if self.base is not None:
            at = min(at, self.base.begun_at_end(text))
        if at < len(text) and any(
            text.endswith(one) and len(text) - len(one) <= at for one in self.lines_within(text)
        ):
            return len(text)
        return at

    @cached_property
    def _parts(self) -> Sought:
        return Sought(self.parts)

    @cached_property
    def _lines(self) -> Sought:
        lines = {line.strip() for one in (*self.whole, *self.parts) for line in one.splitlines()}
        return Sought(line for line in lines if len(line) >= KNOWN_LEAST_CHARS)


def longest_first(texts: Iterable[str]) -> tuple[str, ...]:
    """Return each of these once; a longer one goes before those that it contains."""
    return tuple(sorted(set(texts), key=lambda one: (-len(one), one)))


def without(tree: Tree, found: Known) -> Tree:
    """Return the tree without what is known to be secret."""
    return _without(tree, found, found.parts_within(TEXT_APART.join(_texts(tree))))


def words_without(text: str, found: Known, *, cut: bool = False) -> str:
    """Return a text that has no scalars without what is known to be secret, wherever a line of it stands.

    Of one that may have been `cut`, also without the beginning of a secret at its end.
    """
    text = _text_without(text, found.lines_within(text))
    at = found.begun_at_end(text) if cut else len(text)
    return text if at == len(text) else f"{text[:at]}{REDACTED}"


def told_in(tree: Tree) -> frozenset[str]:
    """Return the scalars, as texts, of a tree whose author says that it carries a secret."""
    return told_of(_texts(tree))


def told_of(texts: Iterable[str]) -> frozenset[str]:
    """Return those that are more than a reference and long enough to be looked for."""
    return frozenset(text for text in texts if len(text) >= KNOWN_LEAST_CHARS and not is_reference(text))


def as_reported(texts: frozenset[str], *, least: int = KNOWN_LEAST_CHARS) -> frozenset[str]:
    """Return these, and in what other forms they are met.

    Words and documents lose what looks like a secret when they come; of `https://user:pw@host/secret` the
    rest is left, and is a secret as before. Of such a rest `least` characters are enough to look for it.
    """
    shown = with_dollars(texts)
    return shown | {rest for text in shown for rest in _rests(text) if _is_left(rest, least)}


def with_dollars(texts: frozenset[str]) -> frozenset[str]:
    """Return these, and how collectors show those that have `$$`, which is one dollar sign to them."""
    return texts | {text.replace("$$", "$") for text in texts if "$$" in text}


def pieces_of(texts: Iterable[str]) -> frozenset[str]:
    """Return what stands around references and variables in these, where it is long enough."""
    pieces = (piece.strip() for text in texts if "${" in text for piece in _AROUND.split(text))
    return frozenset(piece for piece in pieces if len(piece) >= PIECE_LEAST_CHARS)


def _marks(text: str) -> tuple[str, str, str]:
    width, middle = KNOWN_LEAST_CHARS, (len(text) - KNOWN_LEAST_CHARS) // 2
    return text[:width], text[middle : middle + width], text[-width:]


def _rests(text: str) -> Iterator[str]:
    if (rest := spoken(text)) != text:
        yield rest
    if _ENDS_VALUE.search(text) and (rest := spoken(_NAMED + text)[len(_NAMED) :]).startswith(REDACTED):
        yield rest


def _is_left(rest: str, least: int) -> bool:
    left = rest.replace(REDACTED, "").strip()
    return len(left) >= least and not is_reference(left)


def _texts(tree: Tree) -> Iterator[str]:
    for _, value in scalars(tree):
        if value is not None and not isinstance(value, bool):
            yield str(value)


def _without(tree: Tree, found: Known, parts: tuple[str, ...]) -> Tree:
    if isinstance(tree, dict):
        return {key: _without(value, found, parts) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_without(one, found, parts) for one in tree]
    if tree is None or isinstance(tree, bool):
        return tree
    text = str(tree)
    clean = REDACTED if found.holds(text) else _text_without(_lines_without(text, found), parts)
    return tree if clean == text else clean


def _text_without(text: str, parts: Iterable[str]) -> str:
    for part in parts:
        text = text.replace(part, REDACTED)
    return text


def _lines_without(text: str, found: Known) -> str:
    if "\n" not in text:
        return text
    return "\n".join(
        line.replace(bare, REDACTED) if found.holds(bare := line.strip()) else line
        for line in text.split("\n")
    )
