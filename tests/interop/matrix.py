"""What each real client was seen to do, cell by cell, and the page that is made of it.

Rules:

1. A test records a cell after it has asserted it: `saw` with what was seen, `cannot` with the evidence (what
   was tried and observed in this run, or the line of the client's source that says so). Texts carry no times
   and no measured figures, so that two runs say the same.
2. Every run writes `build/reports/clients.json`; `make interop` begins a fresh one. Several tests may add to
   a cell; a cell that was both seen and impossible is a contradiction and refused.
3. The page has every named client and every column, and each column was seen on one client at least. Without
   that there is no page.

`python -m tests.interop.matrix docs/clients.md [clients.json ...]` writes the page.
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "build" / "reports" / "clients.json"


class Client(StrEnum):
    """A client that others wrote, at its pinned version and transport."""

    OPAMP_GO_24_WS = "opamp-go 0.24, WebSocket"
    OPAMP_GO_24_HTTP = "opamp-go 0.24, HTTP"
    OPAMP_GO_23_WS = "opamp-go 0.23, WebSocket"
    OPAMP_GO_23_HTTP = "opamp-go 0.23, HTTP"
    EXTENSION = "collector's opampextension 0.149, alone"
    SUPERVISOR = "upstream supervisor 0.149 with a collector"
    BRIDGE = "operator's bridge 0.148 with an API server"
    NODE = "Node client 0.5.0"
    JAVA = "Java client 1.52.0"


class Column(StrEnum):
    """One thing that a server wants of a client."""

    STATUS = "status"
    DESCRIPTION = "description"
    HEALTH = "health"
    EFFECTIVE = "effective configuration"
    CONFIG_GOOD = "remote configuration, good"
    CONFIG_BAD = "remote configuration, bad"
    TELEMETRY = "own telemetry"
    CONNECTION = "connection settings"
    PACKAGES = "packages up and down"
    RESTART = "restart"
    RECONNECT = "reconnect after server restart"
    ROTATION = "rotation"
    REVOCATION = "revocation"


class MatrixError(Exception):
    """The cells of a run do not make a page."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What is known of one client in one column; `words` and `tests` are sorted and without repetition."""

    able: bool
    words: tuple[str, ...]
    tests: tuple[str, ...]


Cells = Mapping[tuple[Client, Column], Cell]


def saw(client: Client, column: Column, what: str) -> None:
    """Record that a client was seen to do what a column says; call it after the assertion.

    Raises:
        MatrixError: this run recorded already that the client cannot.
    """
    record(REPORT, client, column, Cell(True, (what,), (_current_test(),)))


def cannot(client: Client, column: Column, evidence: str) -> None:
    """Record that a client cannot do what a column says, and how that is known.

    Raises:
        MatrixError: this run recorded already that the client can.
    """
    record(REPORT, client, column, Cell(False, (evidence,), (_current_test(),)))


def record(report: Path, client: Client, column: Column, cell: Cell) -> None:
    """Add a cell to a report's file, which appears whole or not at all.

    Raises:
        MatrixError: the report says the contrary of the cell.
    """
    cells = dict(read(report)) if report.exists() else {}
    cells[client, column] = _joined(client, column, cells.get((client, column)), cell)
    rows = [
        {
            "client": client,
            "column": column,
            "able": cell.able,
            "words": cell.words,
            "tests": cell.tests,
        }
        for (client, column), cell in cells.items()
    ]
    report.parent.mkdir(parents=True, exist_ok=True)
    fresh = report.with_suffix(".new")
    fresh.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    fresh.replace(report)


def _current_test() -> str:
    """Return the file of the test that runs now, as a path inside the checkout."""
    return os.environ.get("PYTEST_CURRENT_TEST", "by hand").partition("::")[0]


def _joined(client: Client, column: Column, known: Cell | None, new: Cell) -> Cell:
    if known is None:
        return new
    if known.able != new.able:
        raise MatrixError(f"{client}, {column}: recorded {known.words}, and the contrary {new.words}")
    words = tuple(sorted({*known.words, *new.words}))
    return Cell(known.able, words, tuple(sorted({*known.tests, *new.tests})))


def read(report: Path) -> Cells:
    """Return the cells of a report's file."""
    rows = json.loads(report.read_text(encoding="utf-8"))
    return {
        (Client(row["client"]), Column(row["column"])): Cell(
            row["able"], tuple(row["words"]), tuple(row["tests"])
        )
        for row in rows
    }


def merged(reports: Iterable[Path]) -> Cells:
    """Return the cells of several reports as one.

    Raises:
        MatrixError: two of them contradict each other.
    """
    cells: dict[tuple[Client, Column], Cell] = {}
    for report in reports:
        for (client, column), cell in read(report).items():
            cells[client, column] = _joined(client, column, cells.get((client, column)), cell)
    return cells


def require_complete(cells: Cells) -> None:
    """Refuse cells that leave a client's column open, or a column that nobody was seen to do.

    Raises:
        MatrixError: naming everything that is missing.
    """
    missing = [
        f"{client}: {column}" for client in Client for column in Column if (client, column) not in cells
    ]
    missing += [
        f"every client: {column}"
        for column in Column
        if not any(cell.able for (_, where), cell in cells.items() if where is column)
    ]
    if missing:
        raise MatrixError("not recorded in this run: " + "; ".join(missing))


_HEAD = """\
# Clients that others wrote

What each client does with this server, seen in one run of `make interop` on the real programs at these
versions. A `-` is something that the client cannot do; its own part of the page says how that is known.
Beside every client stand the tests that saw it. What each of them forces on this server, and the test of
that, is in [interop.md](interop.md).

This page is generated from the run (`python -m tests.interop.matrix docs/clients.md`); the run compares the
two.
"""


def render(cells: Cells) -> str:
    """Return the page as Markdown.

    Raises:
        MatrixError: the cells are not complete.
    """
    require_complete(cells)
    lines = [_HEAD, "| | " + " | ".join(Column) + " |", "|" + "-|" * (len(Column) + 1)]
    for client in Client:
        marks = ("yes" if cells[client, column].able else "-" for column in Column)
        lines.append(f"| {client} | " + " | ".join(marks) + " |")
    for client in Client:
        lines += ["", *_part(client, cells)]
    return "\n".join(lines) + "\n"


def _part(client: Client, cells: Cells) -> list[str]:
    tests = sorted({test for column in Column for test in cells[client, column].tests})
    lines = [f"## {client}", "", "Tests: " + ", ".join(f"`{test}`" for test in tests), ""]
    lines += ["| | | |", "|-|-|-|"]
    for column in Column:
        cell = cells[client, column]
        words = "; ".join(cell.words).replace("|", "\\|")
        lines.append(f"| {column} | {'yes' if cell.able else '-'} | {words} |")
    return lines


def main(arguments: list[str]) -> int:
    """Write the page to the first path from the reports that follow it; return the exit code."""
    if not arguments:
        sys.stderr.write("usage: python -m tests.interop.matrix PAGE [REPORT ...]\n")
        return 2
    page, *reports = map(Path, arguments)
    try:
        text = render(merged(reports or [REPORT]))
    except MatrixError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
