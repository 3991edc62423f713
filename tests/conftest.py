"""What every test gets: who covers what, and how often a long story is told.

- Coverage is recorded under the test file that caused it, so that the per-file gate can ask whether a source
  file is covered by its own tests. What runs at import time belongs to nobody and counts for everybody.
- A test marked `rounds(short, ci, soak)` takes the fixture `rounds`: how often this run repeats it. The
  environment variable QM_TEST_EFFORT (short, ci or soak) chooses; the summary prints both counts.
- Those long stories come first: where tests are shared out, the short ones fill what is left beside them.
  In the soak effort they say how far they are, by the fixture `progress`, and that goes to the terminal.
"""

import os
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from coverage import Coverage

HERE = Path(__file__).resolve().parent
EFFORTS = ("short", "ci", "soak")
TOLD_EVERY_SECONDS = 15.0


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "rounds(short, ci, soak): repeated that often, by QM_TEST_EFFORT")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("rounds") is None)


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


@pytest.fixture
def progress(request: pytest.FixtureRequest, rounds: int) -> Callable[[int], None]:
    """Say how many rounds are done: `progress(done)`. Only a soak tells it, a few times a minute."""
    began = told = time.monotonic()
    loud = os.environ.get("QM_TEST_EFFORT") == "soak"
    capture = request.config.pluginmanager.getplugin("capturemanager")
    terminal = request.config.pluginmanager.getplugin("terminalreporter")

    def tell(done: int) -> None:
        nonlocal told
        now = time.monotonic()
        if not loud or terminal is None or now - told < TOLD_EVERY_SECONDS:
            return
        told = now
        with capture.global_and_fixture_disabled():
            terminal.write_line(f"{request.node.nodeid}: {done:,} of {rounds:,} after {now - began:.0f} s")
            terminal.flush()

    return tell


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties if report.when == "call" else ():
            if name == "rounds":
                terminalreporter.write_line(f"{value} rounds (this run, make soak): {report.nodeid}")
