"""What every test gets: who covers what, and how often a long story is told.

- Coverage is recorded under the test file that caused it, so that the per-file gate can ask whether a source
  file is covered by its own tests. What runs at import time belongs to nobody and counts for everybody.
- A test marked `rounds(short, ci, soak)` takes the fixture `rounds`: how often this run repeats it. The
  environment variable QM_TEST_EFFORT (short, ci or soak) chooses; the summary prints both counts.
"""

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from coverage import Coverage

HERE = Path(__file__).resolve().parent
EFFORTS = ("short", "ci", "soak")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "rounds(short, ci, soak): repeated that often, by QM_TEST_EFFORT")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    measured = Coverage.current()
    if measured is not None:
        measured.switch_context(item.path.relative_to(HERE.parent).as_posix())
    try:
        return (yield)
    finally:
        if measured is not None:
            measured.switch_context("")


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    """How often this run repeats the test, from its mark."""
    mark = request.node.get_closest_marker("rounds")
    if mark is None:
        raise pytest.UsageError(
            f"{request.node.nodeid} takes `rounds` and is not marked rounds(short, ci, soak)"
        )
    counts = dict(zip(EFFORTS, mark.args, strict=True))
    effort = os.environ.get("QM_TEST_EFFORT", "short")
    if effort not in counts:
        raise pytest.UsageError(f"QM_TEST_EFFORT is {effort!r}, not one of {', '.join(EFFORTS)}")
    # Not by `record_property`, which warns beside a report in the newer XML form.
    request.node.user_properties.append(("rounds", f"{counts[effort]} of {counts['soak']}"))
    return int(counts[effort])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties if report.when == "call" else ():
            if name == "rounds":
                terminalreporter.write_line(f"{value} rounds (this run, make soak): {report.nodeid}")
