"""Runs the measurements: `python -m benchmarks.run [FOLDER] [--quick] [--row NAME ...] [--write]`.

FOLDER is on the disk that is measured; without it, the system's folder for temporary files.
"""

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks import fleet_queries, report, rows, status_rows
from benchmarks.measure import Result, measure
from benchmarks.stage import Stage, stage
from benchmarks.work import BATCH, PACKAGES, a_database, appending, hashing, heartbeat
from tests.fakes.postgres import NoPostgresError

INTERLEAVED = {row.__name__: row for row in rows.INTERLEAVED}
ENGINES = (("sqlite", "SQLite"), ("postgresql", "PostgreSQL"))
ALONE = ("work", "status", "fleet")
"""What needs no server."""

NAMES = (*ALONE, *INTERLEAVED, "plain", "tls", "living", "shell")


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def show(result: Result) -> Result:
    """Print a result and return it."""
    say(result.line)
    return result


def work(folder: Path) -> None:
    """Measure single pieces of work, in this process alone."""
    show(measure(f"hash an offer of {PACKAGES} packages", hashing()))
    show(measure("a heartbeat: decode, read, step", heartbeat()))
    with a_database(folder) as database:
        one = show(measure("a journal entry, durable, alone", appending(database, 1)))
        together = f"a journal entry, durable, {BATCH} together"
        many = show(measure(together, appending(database, BATCH), units=BATCH))
    say(f"one transaction for {BATCH} entries costs {one.median / many.median:.1f} times less an entry")


def status(measured: rows.Measured, disk: str | None) -> None:
    """Measure how status is written down, on both databases; without PostgreSQL, on one."""
    for engine, name in ENGINES:
        try:
            found = status_rows.compared(engine, disk)
        except NoPostgresError as exc:
            say(f"status rows on {name} are not measured: {exc}")
            continue
        say(found.line)
        for together, alone in zip(found.together, found.alone, strict=True):
            measured.add(f"status rows, {name}", "ours", together)
            measured.add(f"status rows, {name}", "one by one", alone)


def fleet(measured: rows.Measured, effort: rows.Effort, disk: str | None) -> None:
    """Measure how a large fleet is listed, on both databases; without PostgreSQL, on one."""
    for engine, name in ENGINES:
        try:
            for asked in fleet_queries.asked_in_rounds(engine, effort.known, effort.rounds, disk):
                worst = asked.worst
                say(
                    f"{engine:<12}p95 {asked.together.p95:.1f} ms, {worst.p95:.1f} of the kind {worst.name!r}"
                )
                measured.add(f"fleet queries, {name}, p95 ms", "all kinds", asked.together.p95)
                measured.add(f"fleet queries, {name}, p95 ms", "worst kind", worst.p95)
        except NoPostgresError as exc:
            say(f"fleet queries on {name} are not measured: {exc}")


def _speed(
    measured: rows.Measured, scene: Stage, effort: rows.Effort, names: list[str], keep: Path | None
) -> None:
    """Measure the named rows of the table, telling each as it is done."""
    for name in names:
        if name in INTERLEAVED:
            rows.compared(scene, effort, [INTERLEAVED[name]], measured)
        elif name in {"plain", "tls"}:
            rows.memory(measured, scene, effort, plain=name == "plain")
        elif name == "living":
            rows.living(measured, scene, effort)
        elif name == "shell":
            rows.shell(measured, scene, effort)
        else:
            continue
        say(f"{name} is measured")
        if keep is not None:
            keep.write_text(json.dumps(asdict(measured)))


def _kept(file: Path | None) -> rows.Measured:
    """Return what earlier runs measured, if it is kept."""
    if file is None or not file.exists():
        return rows.Measured()
    return rows.Measured(**json.loads(file.read_text()))


def _allow_sockets() -> None:
    """Allow this process and its children as many open files as the system lets them have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks.run", description="Measure, and print what was measured."
    )
    parser.add_argument("folder", nargs="?", help="on the disk that is measured")
    parser.add_argument("--quick", action="store_true", help="a smaller fleet, fewer and shorter rounds")
    parser.add_argument("--rounds", type=int, help="rounds of each row")
    parser.add_argument("--seconds", type=float, help="how long a round sends messages")
    parser.add_argument("--keep", type=Path, help="a file that adds up what several runs measure")
    parser.add_argument("--row", action="append", choices=NAMES, help="only this; may be repeated")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    return parser.parse_args()


def main() -> int:
    """Measure, print, and return 0."""
    chosen = _arguments()
    names = chosen.row or list(NAMES)
    usual = rows.QUICK if chosen.quick else rows.FULL
    effort = replace(
        usual,
        rounds=chosen.rounds or usual.rounds,
        anew=chosen.rounds or usual.anew,
        seconds=chosen.seconds or usual.seconds,
    )
    _allow_sockets()
    say(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}")
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        if "work" in names:
            work(Path(folder))
        if names == ["work"]:
            return 0
        measured = _kept(chosen.keep)
        if "status" in names:
            status(measured, chosen.folder)
        if "fleet" in names:
            fleet(measured, effort, chosen.folder)
        if {*names} - {*ALONE}:
            place = Path(folder) / "stage"
            place.mkdir()
            with stage(place, effort.agents) as scene:
                _speed(measured, scene, effort, names, chosen.keep)
    if chosen.keep is not None:
        chosen.keep.write_text(json.dumps(asdict(measured)))
    section = report.written(measured, effort, [])
    say(section)
    if chosen.write:
        report.write(section)
    return 0


if __name__ == "__main__":
    sys.exit(main())
