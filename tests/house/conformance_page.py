"""The conformance page as data: how many words bind a server in each section, and which test shows each."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.house.tree import ROOT

PAGE = ROOT / "docs" / "conformance.md"
_ROW = re.compile(r"^\| (?P<cells>.+) \|$")
_TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")


@dataclass(frozen=True, slots=True)
class Clause:
    """One row: one word of the specification, what the server does, and the tests that show it."""

    section: str
    ordinal: int
    word: str
    says: str
    tests: tuple[tuple[str, str], ...]


def counts() -> dict[str, tuple[int, int]]:
    """Return for each section how many words it has and how many bind a server; the total under `**All**`."""
    return {cells[0]: (int(cells[1]), int(cells[2])) for cells in _table("## Counts")}


def clauses() -> list[Clause]:
    """Return the rows."""
    return [
        Clause(cells[0], int(cells[1]), cells[2], cells[3], tuple(_TEST.findall(cells[4])))
        for cells in _table("## Clauses")
    ]


def further() -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    """Return the rows of the later tables, each with its tests."""
    text = PAGE.read_text(encoding="utf-8")
    after = text[text.index("## What 0.19 and 0.20 add") :].splitlines()
    rows = [
        line for line in after if line.startswith("| ") and not line.startswith(("| Version", "| Section"))
    ]
    return [(line, tuple(_TEST.findall(line))) for line in rows]


def _table(heading: str) -> Iterator[list[str]]:
    lines = PAGE.read_text(encoding="utf-8").split(heading, 1)[1].splitlines()
    begun = False
    for line in lines:
        match = _ROW.match(line)
        if match is None:
            if begun:
                return
            continue
        cells = [cell.strip() for cell in match["cells"].split(" | ")]
        if begun or not cells[0].startswith("Section"):
            begun = True
            yield cells
