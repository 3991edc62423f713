"""Runs every measurement and prints one line each: `python -m benchmarks.run [FOLDER]`.

FOLDER is on the disk that is measured; without it, the system's folder for temporary files.
"""

import os
import platform
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Result, measure
from benchmarks.work import BATCH, PACKAGES, a_database, appending, hashing, heartbeat


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def show(result: Result) -> Result:
    """Print a result and return it."""
    say(result.line)
    return result


def main(arguments: list[str]) -> int:
    """Measure, print, and return 0."""
    say(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}")
    show(measure(f"hash an offer of {PACKAGES} packages", hashing()))
    show(measure("a heartbeat: decode, read, step", heartbeat()))
    disk = arguments[0] if arguments else None
    with tempfile.TemporaryDirectory(dir=disk) as folder, a_database(Path(folder)) as database:
        one = show(measure("a journal entry, durable, alone", appending(database, 1)))
        together = f"a journal entry, durable, {BATCH} together"
        many = show(measure(together, appending(database, BATCH), units=BATCH))
    say(f"one transaction for {BATCH} entries costs {one.median / many.median:.1f} times less an entry")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
