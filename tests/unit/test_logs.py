"""distribution/logs.py: what a line looks like, whatever is in it."""

import io
import json
import logging
import sys

import pytest

from distribution import logs

EVIL = "red \x1b[31m\r\nFAKE line\u2028\u202egnp\x9b"


def record(message: str, *args: object, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("distribution.x", logging.INFO, "x.py", 1, message, args, None)
    made.__dict__.update(fields)
    return made


def raised() -> logging.LogRecord:
    try:
        int(EVIL)
    except ValueError:
        made = record("it failed")
        made.exc_info = sys.exc_info()
        return made


def test_a_line_for_a_person() -> None:
    """The sentence, then its fields; quotes only where they are needed."""
    line = logs.Text().format(record("agent %s", "a", uid="u-1", reason='it "broke" x=1', empty=""))
    assert line[8:] == r' INFO    agent a uid=u-1 reason="it \"broke\" x=1" empty=""'


@pytest.mark.parametrize("made", [record("said %s", EVIL), record("said", reason=EVIL), raised()])
def test_nothing_in_a_line_is_obeyed(made: logging.LogRecord) -> None:
    """Escapes of a terminal, ends of lines and marks of direction are shown, not done."""
    first, *others = logs.Text().format(made).split("\n")
    assert first.isprintable()
    assert all(line.isprintable() and line.startswith("  ") for line in others)
    assert "\x1b" not in first + "".join(others)


def test_a_line_for_a_program() -> None:
    """One object on one line, whatever is in it."""
    line = logs.JsonLines().format(record("said", reason=EVIL, other=object))
    assert "\n" not in line
    assert line.isascii()
    assert json.loads(line)["reason"] == EVIL


def test_an_exception_is_part_of_the_object() -> None:
    """A traceback stays on the line of its record."""
    line = logs.JsonLines().format(raised())
    assert "\n" not in line
    assert "ValueError" in json.loads(line)["exception"]


def test_our_lines_and_those_of_libraries() -> None:
    """Ours are shown from the level that is asked for, others from a warning on; a pipe gets JSON."""
    stream = io.StringIO()
    before = logging.root.handlers[:], logging.root.level
    try:
        logs.set_up(stream, level=logging.INFO)
        logging.getLogger("distribution.x").info("ours")
        logging.getLogger("elsewhere").info("theirs")
        logging.getLogger("elsewhere").warning("loud")
    finally:
        logging.root.handlers[:], logging.root.level = before
        for ours in ("distribution", "keys", "storage"):
            logging.getLogger(ours).setLevel(logging.NOTSET)
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["ours", "loud"]
