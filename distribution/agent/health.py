"""Whether the program is well, and whether a version on trial has proven itself.

The gate looks at the program alone: alive, and answering its own health page. Whether the server can be
reached plays no part in it. The judgement is pure; one function asks the page.
"""

from dataclasses import dataclass, replace

import urllib3

from distribution.agent.config import HealthConfig, TrialConfig

_OK = 200


@dataclass(frozen=True, slots=True)
class Checked:
    """One answer of the health page: well, or what was seen instead."""

    well: bool
    seen: str = ""


@dataclass(frozen=True, slots=True)
class Pulse:
    """What was seen of one start of the program. Times are monotonic seconds."""

    started: float
    well_since: float | None = None
    """When it first answered well after the start or after it was unhealthy; None: not yet."""
    failures: int = 0
    """Failed checks in a row."""
    seen: str = "not checked yet"
    """What the last failed check saw."""
    lost: bool = False
    """It was well before, and no longer is."""


def ask(config: HealthConfig) -> Checked:
    """Ask the health page once; without one, a program that lives is well."""
    if config.url is None:
        return Checked(well=True)
    try:
        timeout = urllib3.Timeout(config.timeout_seconds)
        with urllib3.PoolManager(num_pools=1, retries=False, timeout=timeout) as pool:
            # The body is not read: one without an end would keep a bad version from being judged.
            answer = pool.request("GET", config.url, redirect=False, preload_content=False)
            status = answer.status
            answer.close()
    except urllib3.exceptions.HTTPError as exc:
        return Checked(well=False, seen=f"no answer from {config.url} ({type(exc).__name__})")
    return Checked(well=status == _OK, seen=f"{config.url} answered {status}, expected {_OK}")


def after(pulse: Pulse, checked: Checked, now: float, limit: int) -> Pulse:
    """Return the pulse after one check; `limit` failures in a row end being well."""
    if checked.well:
        since = now if pulse.well_since is None else pulse.well_since
        return replace(pulse, well_since=since, failures=0, lost=False)
    failed = replace(pulse, failures=pulse.failures + 1, seen=checked.seen)
    if failed.failures < limit or failed.well_since is None:
        return failed
    return replace(failed, well_since=None, lost=True)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a trial: kept, or why not."""

    kept: bool
    why: str = ""


def judge(pulse: Pulse, trial: TrialConfig, now: float) -> Verdict | None:
    """Judge a living program on trial; None: it needs more time.

    Args:
        pulse: what was seen so far.
        trial: how long it must be well, and how long it may take to become so.
        now: monotonic seconds.
    """
    if pulse.lost:
        return Verdict(kept=False, why=f"did not stay healthy for {trial.seconds:g} s: {pulse.seen}")
    if pulse.well_since is not None:
        held = pulse.failures == 0 and now - pulse.well_since >= trial.seconds
        return Verdict(kept=True) if held else None
    if now - pulse.started >= trial.start_seconds:
        return Verdict(kept=False, why=f"was not healthy within {trial.start_seconds:g} s: {pulse.seen}")
    return None


def due_in(pulse: Pulse, trial: TrialConfig, now: float) -> float:
    """Return after how many seconds a judgement could change without another check."""
    if pulse.well_since is not None:
        return max(0.0, pulse.well_since + trial.seconds - now)
    return max(0.0, pulse.started + trial.start_seconds - now)
