"""The stage: steps with their times, told as they happen, and a table of what was seen at the end."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table


class Stage:
    """Prints the steps of the demonstration. Times are seconds since the stage was set."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._steps = 0

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Tell that a step begins and, if it did not raise, how long it took."""
        self._steps += 1
        self._console.print(f"[bold]{self._steps:2}. {title}[/bold]")
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        self._console.print(f"    [green]done in {took:.1f} s[/green] (at {self.elapsed:.1f} s)")

    def note(self, text: str) -> None:
        """Tell one thing that was seen."""
        self._console.print(f"    {text}", highlight=False, markup=False, soft_wrap=True)

    @property
    def elapsed(self) -> float:
        """Seconds since the stage was set."""
        return time.monotonic() - self._began

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show a table."""
        table = Table(title=title, title_justify="left", show_lines=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*row)
        self._console.print(table)
