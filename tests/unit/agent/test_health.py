"""Covers distribution/agent/health.py and backoff.py: the judgement of a trial, and how long to pause."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from distribution.agent.backoff import delay
from distribution.agent.config import HealthConfig, TrialConfig
from distribution.agent.health import Checked, Pulse, Verdict, after, ask, due_in, judge

TRIAL = TrialConfig(seconds=5, start_seconds=20)
WELL = Checked(well=True)
ILL = Checked(well=False, seen="503")


def seen(*checks: Checked, limit: int = 3) -> Pulse:
    """Return the pulse after checks at 1, 2, 3, ... seconds."""
    pulse = Pulse(started=0.0)
    for second, checked in enumerate(checks, start=1):
        pulse = after(pulse, checked, float(second), limit)
    return pulse


@pytest.mark.parametrize(
    ("pulse", "now", "verdict"),
    [
        (seen(), 19.0, None),
        (seen(ILL, ILL, ILL, ILL), 19.0, None),
        (seen(ILL, ILL), 20.0, Verdict(kept=False, why="was not healthy within 20 s: 503")),
        (seen(), 20.0, Verdict(kept=False, why="was not healthy within 20 s: not checked yet")),
        (seen(ILL, ILL, ILL, ILL, WELL), 9.9, None),
        (seen(ILL, ILL, ILL, ILL, WELL), 10.0, Verdict(kept=True)),
        (seen(WELL, ILL, ILL), 10.0, None),
        (seen(WELL, ILL, ILL, WELL), 10.0, Verdict(kept=True)),
        (seen(WELL, ILL, ILL, ILL), 4.0, Verdict(kept=False, why="did not stay healthy for 5 s: 503")),
    ],
    ids=["young", "slow", "late", "silent", "not_yet", "held", "shaky", "recovered", "lost"],
)
def test_a_trial_is_judged(pulse: Pulse, now: float, verdict: Verdict | None) -> None:
    """Well long enough is kept; never well, or well and lost, is not; a single failure decides nothing."""
    assert judge(pulse, TRIAL, now) == verdict


def test_when_to_judge_again() -> None:
    """The next judgement without a check is due when the trial or the time to start is over."""
    assert due_in(seen(WELL), TRIAL, 2.0) == 4.0
    assert due_in(seen(ILL), TRIAL, 2.0) == 18.0
    assert due_in(seen(ILL), TRIAL, 99.0) == 0.0


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/")))
        self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Stay silent."""


@pytest.fixture
def page() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_the_page_is_asked(page: str) -> None:
    """200 is well; any other status is named, a redirect too; no answer is named by its kind."""
    assert ask(HealthConfig(url=f"{page}/200")).well
    for status in (503, 302):
        checked = ask(HealthConfig(url=f"{page}/{status}"))
        assert (checked.well, checked.seen) == (False, f"{page}/{status} answered {status}, expected 200")
    gone = ask(HealthConfig(url="http://127.0.0.1:1/", timeout_seconds=0.5))
    assert not gone.well
    assert "no answer from http://127.0.0.1:1/" in gone.seen


def test_without_a_page_living_is_enough() -> None:
    """A program without a health page is well while it lives."""
    assert ask(HealthConfig()).well


def test_pauses_double_up_to_a_cap_and_are_spread() -> None:
    """No pause is shorter than half of its step, and none longer than the cap."""
    assert [delay(attempt, 1.0, 10.0, 0.0) for attempt in (0, 1, 2, 3, 4, 5, 10_000)] == [
        1.0,
        1.0,
        2.0,
        4.0,
        8.0,
        10.0,
        10.0,
    ]
    assert delay(3, 1.0, 10.0, 1.0) == 2.0
