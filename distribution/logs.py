"""A program's own log, on standard error: text for a person, one JSON object a line for anything else."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Formats a record and its fields as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "where": record.name,
            "message": record.getMessage(),
        }
        line.update(_fields(record))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class Text(logging.Formatter):
    """Formats a record and its fields for a person.

    What a peer said may be in it: whatever a terminal obeys, or would pass for another line, is escaped.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; the fields follow the sentence, and then the lines of an exception."""
        at, level = self.formatTime(record, self.datefmt), record.levelname
        fields = "".join(f" {name}={_shown(value)}" for name, value in _fields(record).items())
        line = f"{at} {level:<7} {_escaped(record.getMessage())}{fields}"
        if not record.exc_info:
            return line
        exception = self.formatException(record.exc_info).split("\n")
        return "\n".join([line, *(f"  {_escaped(each)}" for each in exception)])


def _shown(value: object) -> str:
    """Return a field's value on one line; in quotes where it would not be seen where it ends."""
    text = _escaped(str(value))
    if text and not any(each in text for each in ' "='):
        return text
    quoted = text.replace('"', '\\"')
    return f'"{quoted}"'


def _escaped(text: str) -> str:
    """Return `text` with all that does not print as itself written as escapes, as Python would."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text
    )


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


def set_up(stream: TextIO = sys.stderr, *, level: int = logging.INFO) -> None:
    """Log to `stream`: our own lines from `level`, those of libraries from WARNING."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Text() if stream.isatty() else JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for ours in ("distribution", "keys", "storage"):
        logging.getLogger(ours).setLevel(level)
