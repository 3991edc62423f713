"""Add up the test reports of a run: `totals.py FOLDER STEP=STATUS...`; the last line it prints is the total.

A step whose command failed though no test of it did, and a step that ran no test at all, each count as one
failure: a run that did nothing is no success.
"""

# ruff: noqa: INP001 - a script beside other scripts, no package

import sys
from pathlib import Path
from xml.etree import ElementTree as ET


def counts(report: Path) -> tuple[int, int]:
    """Return how many tests passed and how many did not, skipped ones included: nothing here may skip."""
    if not report.exists():
        return 0, 0
    passed = failed = 0
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - our own report
        bad = any(case.find(kind) is not None for kind in ("failure", "error", "skipped"))
        passed, failed = passed + (not bad), failed + bad
    return passed, failed


def main(folder: str, steps: list[str]) -> int:
    """Print a line a step and the total; return 0 only if everything ran and passed."""
    all_passed = all_failed = 0
    for step in steps:
        name, _, status = step.partition("=")
        passed, failed = counts(Path(folder) / f"{name}.xml")
        note = ""
        if passed + failed == 0:
            failed, note = 1, " (nothing ran)"
        elif status != "0" and failed == 0:
            failed, note = 1, f" (make {name} ended with {status})"
        sys.stdout.write(f"make {name}: {passed} passed, {failed} failed{note}\n")
        all_passed, all_failed = all_passed + passed, all_failed + failed
    sys.stdout.write(f"{all_passed} passed, {all_failed} failed\n")
    return 0 if steps and all_failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
