"""What commands print: tables for people, JSON for machines, one line of trouble on stderr.

Text that came from an agent or a publisher is shown as text: no markup, no control characters reach the
terminal.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDE = 240  # characters; where nobody's terminal says how wide it is

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def tell(text: str) -> None:
    """Print one line to stderr, beside the result."""
    typer.echo(printable(text), err=True)


def show_json(document: object) -> None:
    """Print a document as JSON."""
    typer.echo(json.dumps(document, indent=2, sort_keys=True))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; values are shown as plain text."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown(value)) for value in row))
    console.print(table)


def show_fields(fields: Mapping[str, object]) -> None:
    """Print names and values, a line each."""
    show_table(("field", "value"), fields.items())


def shown(value: Any) -> str:
    """Return a JSON value as a cell of a table."""
    if value in (None, "", [], {}):
        return "-"
    match value:
        case bool():
            return "yes" if value else "no"
        case dict():
            return " ".join(f"{printable(str(name))}={shown(found)}" for name, found in sorted(value.items()))
        case list() | tuple():
            return ", ".join(shown(found) for found in value)
        case _:
            return printable(str(value))


def printable(text: str) -> str:
    """Return the text with everything that is not printable as its escape."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
