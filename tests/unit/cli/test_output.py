"""What reaches a terminal: plain text, whoever it came from."""

import json

import pytest

from distribution.cli.output import printable, show_fields, show_json, show_table, shown, tell


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "-"),
        ("", "-"),
        ([], "-"),
        ({}, "-"),
        (0, "0"),
        (True, "yes"),
        (False, "no"),
        ("a", "a"),
        (["a", None], "a, -"),
        ({"b": 1, "a": [True]}, "a=yes b=1"),
        ([{"a": "x"}], "a=x"),
    ],
)
def test_a_value_is_a_cell(value: object, expected: str) -> None:
    """Nothing is lost, nothing is invented."""
    assert shown(value) == expected


def test_what_does_not_print_is_escaped() -> None:
    """No colour, no bell, no new line, no overwriting."""
    assert printable("a\x1b[2Jb\r\n\u202e") == "a\\x1b[2Jb\\r\\n\\u202e"


def test_markup_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets of an agent are no commands to the table."""
    show_table(("a",), [["[bold]x[/bold]"]])
    show_fields({"name": "[link=http://x]y[/link]"})
    out = capsys.readouterr().out
    assert "[bold]x[/bold]" in out
    assert "[link=http://x]y[/link]" in out


def test_trouble_goes_to_stderr_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A message with a line break stays one line."""
    tell("a\nb")
    assert capsys.readouterr() == ("", "a\\nb\n")


def test_machines_get_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Values as they are."""
    show_json({"b": [1], "a": None})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [1]}
