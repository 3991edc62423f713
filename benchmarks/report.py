"""What was measured, as the table of the README: each row against its goal, with the spread of the rounds."""

import os
import platform
import ssl
import statistics
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.rows import Effort, Found, Measured

README = Path(__file__).resolve().parent / "README.md"
BEGIN, END = "<!-- measured -->", "<!-- end of what was measured -->"


@dataclass(frozen=True, slots=True)
class Goal:
    """One promise. `against` is the other server for a ratio, None for a figure of ours alone."""

    row: str
    figure: str
    least: float
    aim: float | None
    against: str | None = "go"
    ours: str = "ours"
    at_most: bool = True

    def met(self, value: float, goal: float | None) -> str:
        """Say whether a value meets a goal."""
        if goal is None:
            return "-"
        return "yes" if (value <= goal if self.at_most else value >= goal) else "no"


GOALS = (
    Goal("heartbeat over mTLS WebSocket, CPU a message", "heartbeat, closed loop, CPU us", 1.5, 1.2),
    Goal("the same at 3,333 a second", "heartbeat, 3,333 a second, CPU us", 1.5, 1.2),
    Goal(
        "p99 at 10,000 messages/s over 5,000 mTLS connections", "heartbeat, 10,000 a second, p99 ms", 1, 0.5
    ),
    Goal("the same in ms", "heartbeat, 10,000 a second, p99 ms", 2, None, against=None),
    Goal("idle memory a connection, plain", "idle memory a connection, plain, KB", 0.5, 0.2),
    Goal("idle memory a connection, mTLS", "idle memory a connection, mTLS, KB", 1.3, 1.15),
    Goal("10,000 agents reconnecting at once over mTLS, time", "reconnect at once, seconds", 2.3, 1.6),
    Goal("the same, CPU", "reconnect at once, CPU us", 2.3, 1.6),
    Goal("one offer to 5,000 agents, time", "offer to everybody, ms", 1.3, 1),
    Goal("the same, CPU", "offer to everybody, CPU us an agent", 1.3, 1),
    Goal("HTTP poll, CPU a request", "HTTP poll, CPU us", 2.2, 1.6),
    Goal("worst event-loop stall with 10,000 agents, ms", "worst stall, ms", 50, 15, None, "by own CPU"),
    Goal("status rows a second, SQLite FULL", "status rows, SQLite", 8, None, "one by one", at_most=False),
    Goal(
        "status rows a second, PostgreSQL", "status rows, PostgreSQL", 25, None, "one by one", at_most=False
    ),
    *(
        Goal(row, f"fleet queries, {engine}, p95 ms", 50, None, None, ours)
        for engine in ("SQLite", "PostgreSQL")
        for row, ours in (
            (f"p95 of listing 100,000 agents, {engine}, ms", "all kinds"),
            ("the same, of the worst kind of filter", "worst kind"),
        )
    ),
    Goal("10,000 live mTLS agents, percent of a core", "living agents, percent of a core", 10, None, None),
    Goal("10,000 live mTLS agents, resident MB", "living agents, resident MB", 600, None, None),
)


def _middle(values: list[float]) -> float:
    return statistics.median(values)


def _spread(values: list[float]) -> str:
    return f"{_middle(values):.3g} [{min(values):.3g} to {max(values):.3g}]"


def _line(goal: Goal, found: Found) -> str:
    ours = found[goal.ours]
    other = "" if goal.against is None else _spread(found[goal.against])
    value = _middle(ours) if goal.against is None else _middle(ours) / _middle(found[goal.against])
    shown = f"{value:.3g}" + ("" if goal.against is None else " x")
    sign = "≤" if goal.at_most else "≥"
    aim = "" if goal.aim is None else f"{sign} {goal.aim:g}"
    least = f"{sign} {goal.least:g}: {goal.met(value, goal.least)}"
    aimed = f"{aim}: {goal.met(value, goal.aim)}" if aim else ""
    return f"| {goal.row} | **{shown}** | {least} | {aimed} | {_spread(ours)} | {other} |"


def table(measured: Measured) -> list[str]:
    """Return the rows that were measured, as Markdown."""
    head = [
        "| | measured | at least | aim | ours: median [spread] | the other |",
        "|-|-|-|-|-|-|",
    ]
    rows = [_line(goal, measured.figures[goal.figure]) for goal in GOALS if goal.figure in measured.figures]
    return head + rows


def aside(measured: Measured) -> list[str]:
    """Return what was measured beside the rows, and how the fleet itself did."""
    named = {goal.figure for goal in GOALS}
    lines = ["| beside the rows | median [spread] |", "|-|-|"]
    for figure, found in measured.figures.items():
        ways = found.items() if figure not in named else ()
        lines += [f"| {figure}, {way} | {_spread(values)} |" for way, values in ways]
    stalls = measured.figures.get("worst stall, ms", {})
    lines += [f"| worst stall, ms, {way} | {_spread(values)} |" for way, values in stalls.items()]
    lines += [f"| the fleet: {name} | {_spread(values)} |" for name, values in measured.fleet.items()]
    return lines


def machine() -> str:
    """Say on what it was measured."""
    told = subprocess.run(["go", "version"], capture_output=True, text=True, check=False)  # noqa: S607
    go = (told.stdout.split() + [""] * 3)[2]
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {os.cpu_count()} cores of {cpu}; "
        f"Linux {platform.release()}; "
        f"Python {platform.python_version()}; {ssl.OPENSSL_VERSION}; {go}; "
        f"load average at the end {load}"
    )


def written(measured: Measured, effort: Effort, notes: Iterable[str]) -> str:
    """Return the section of the README."""
    said = (
        f"{effort.agents:,} agents where a row says 10,000, {effort.half:,} where it says 5,000 and "
        f"{effort.known:,} where it says 100,000; {effort.rounds} interleaved rounds, "
        f"{effort.anew} where servers are started for a row (memory, the living fleet, the bare shell)."
    )
    parts = [
        f"Measured {machine()}. {said}",
        "",
        *table(measured),
        "",
        *aside(measured),
        *(["", *notes] if notes else []),
    ]
    return "\n".join(parts)


def write(section: str) -> None:
    """Put the section in its place in the README."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n{section}\n{END}{after}", encoding="utf-8")
