"""docs/troubleshooting.md quotes what the product says: each quoted text stands in the source."""

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.house.tree import ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"
HOLE = "…"
LEAST_CHARS = 10
"""A quotation has a piece at least this long, or it would be found anywhere."""


def quoted() -> list[str]:
    """Return the messages that have an entry."""
    return re.findall(r"(?m)^### `(.+)`$", PAGE.read_text(encoding="utf-8"))


@cache
def said() -> tuple[str, ...]:
    """Return every text in our source, with a hole for what is put in."""
    files = [path for room in ("distribution", "keys", "storage") for path in (ROOT / room).rglob("*.py")]
    return tuple(text for path in files for text in _texts(ast.parse(path.read_text(encoding="utf-8"))))


def _texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(_piece(part) for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"%[sd]", HOLE, node.value)


def _piece(part: ast.expr) -> str:
    return part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else HOLE


@pytest.mark.parametrize("message", quoted())
def test_a_quoted_message_is_one_of_ours(message: str) -> None:
    """The very words stand in one text of the source, its holes where the page has them."""
    assert max(len(piece) for piece in message.split(HOLE)) >= LEAST_CHARS, message
    assert any(message in text for text in said()), message


def test_no_message_has_two_entries() -> None:
    """Whoever looks for a message finds one answer."""
    messages = quoted()
    assert len(messages) > 30
    assert sorted(set(messages)) == sorted(messages)
