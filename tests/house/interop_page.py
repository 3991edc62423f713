"""The page about what real clients force on the server, as data: its facts, and the tests that show them."""

import re
from dataclasses import dataclass

from tests.house.tree import ROOT

PAGE = ROOT / "docs" / "interop.md"
ALL = "**All**"
_SECTION = re.compile(r"(?m)^## (.+)$")
_TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")
_REASON = re.compile(r"- (\w.{20,})")


@dataclass(frozen=True, slots=True)
class Fact:
    """One row: what clients do, what the server does about it, and the tests or why there are none."""

    section: str
    says: str
    answer: str
    tests: tuple[tuple[str, str], ...]
    reason: str


def counts() -> dict[str, tuple[int, int]]:
    """Return for each section how many facts the page says it has, and how many with a test."""
    return {cells[0]: (int(cells[1]), int(cells[2])) for cells in _rows(_sections()["Counts"])}


def facts() -> list[Fact]:
    """Return the rows of all sections.

    Raises:
        ValueError: one has not three cells, or its last one is neither tests nor a reason.
    """
    sections = _sections()
    del sections["Counts"]
    return [_fact(section, cells) for section, text in sections.items() for cells in _rows(text)]


def _fact(section: str, cells: list[str]) -> Fact:
    says, answer, shown = cells
    tests = tuple(_TEST.findall(shown))
    reason = _REASON.fullmatch(shown)
    if bool(tests) == bool(reason) or (tests and _TEST.sub("", shown).strip()):
        raise ValueError(f"{section}: {says} has neither tests alone nor a reason: {shown}")
    return Fact(section, says, answer, tests, reason[1] if reason else "")


def _sections() -> dict[str, str]:
    _, *pieces = _SECTION.split(PAGE.read_text(encoding="utf-8"))
    return dict(zip(pieces[::2], pieces[1::2], strict=True))


def _rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]
