"""docs/architecture.md leads a stranger to the file in one hop, and leaves no room out."""

import re

from tests.house.layers import FLOORS
from tests.house.tree import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
QUESTIONS_AT_LEAST = 10
_QUESTION = re.compile(r"(?m)^\| ([^|]+\?) \| \[`([^`]+)`\]\(([^)]+)\) \|$")


def test_a_stranger_finds_his_way() -> None:
    """At least ten questions each lead to one file that exists, by a link that says its path."""
    found = _QUESTION.findall(PAGE)
    assert len({question for question, _, _ in found}) >= QUESTIONS_AT_LEAST
    folder = ROOT / "docs"
    assert [path for _, path, link in found if (folder / link).resolve() != ROOT / path] == []
    assert [path for _, path, _ in found if not (ROOT / path).is_file()] == []


def test_every_link_says_where_it_leads() -> None:
    """A link whose text is a path leads to that path."""
    links = re.findall(r"\[`([^`]+)`\]\(([^)]+)\)", PAGE)
    assert links
    assert [path for path, link in links if (ROOT / "docs" / link).resolve() != ROOT / path] == []


def test_no_room_is_left_out() -> None:
    """Every room on the floors is in the picture."""
    rooms = {room for floor in FLOORS for room in floor if len(room.split(".")) == len(("room", "file"))}
    missing = [
        room
        for room in sorted(rooms - {"opamp.v1"})
        if (ROOT / room.replace(".", "/")).is_dir() and not re.search(rf"\b{room.partition('.')[2]}\b", PAGE)
    ]
    assert missing == []
