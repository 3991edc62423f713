"""The installation as a state machine: pure steps between states, and the choice of the next one.

    healthy --begin--> on trial --confirm--> healthy (the old set becomes the previous one)
                          |
                          +------fall_back--> healthy as before, the failure remembered

Rules: one package changes at a time, so a failure has one cause; every step is one state written whole
before anything acts on it; falling back needs nobody's leave; a program is removed by nobody, since an
offer without it may be a server's mistake, while an addon that an offer leaves out is taken away.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from distribution.agent.rules import PackageRule, Wanted, WantedSet
from distribution.agent.state import Failure, Installed, State, Trial
from distribution.domain.package import PackageType


@dataclass(frozen=True, slots=True)
class Prepare:
    """Verify, download and stage an offered package."""

    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Remove:
    """Try the set without an addon that the offer leaves out."""

    package: str


@dataclass(frozen=True, slots=True)
class Rename:
    """The content is installed already; the server now names it by another hash."""

    package: str
    offer_hash: bytes


Action = Prepare | Remove | Rename


def begin(state: State, package: str, installed: Installed) -> State:
    """Put the healthy set with one package changed on trial; its first start is counted with it."""
    return replace(state, trial=Trial({**state.healthy, package: installed}, package, starts=1))


def begin_removal(state: State, package: str) -> State:
    """Put the healthy set without a package on trial; its first start is counted with it."""
    rest = {name: installed for name, installed in state.healthy.items() if name != package}
    return replace(state, trial=Trial(rest, package, starts=1))


def started(state: State) -> State:
    """Count one more start of a trial that was cut short. Written before the program is started."""
    trial = _trial(state)
    return replace(state, trial=replace(trial, starts=trial.starts + 1))


def confirm(state: State) -> State:
    """Make the set on trial the healthy one."""
    return replace(state, healthy=_trial(state).packages, previous=state.healthy, trial=None)


def fall_back(state: State, why: str) -> tuple[State, str]:
    """End the trial in favour of the healthy set.

    Args:
        state: a state with a trial.
        why: what happened, as a clause: "exited with status 3 after 0.2 s".

    Returns:
        The state to write, with the failure remembered, and the sentence to report.
    """
    trial = _trial(state)
    tried, before = trial.packages.get(trial.package), state.healthy.get(trial.package)
    what = f"{tried.version} {why}" if tried else f"the set without {trial.package} {why}"
    if not state.healthy:
        reason = f"nothing to fall back to: {what}"
    elif before is None:
        reason = f"fell back to the set without {trial.package}, which last ran healthy: {what}"
    else:
        reason = f"fell back to {before.version} which last ran healthy: {what}"
    failure = Failure(
        package=trial.package,
        version=tried.version.text if tried else "",
        sha256=tried.sha256.raw if tried else b"",
        offer_hash=tried.offer_hash if tried else b"",
        reason=reason,
    )
    others = tuple(each for each in state.failures if each.package != trial.package)
    return replace(state, trial=None, failures=(*others, failure)), reason


def rename(state: State, package: str, offer_hash: bytes) -> State:
    """Note that the server names an installed content by another hash."""
    installed = replace(state.healthy[package], offer_hash=offer_hash)
    return replace(state, healthy={**state.healthy, package: installed})


def take_up(state: State, wanted: WantedSet) -> State:
    """Note the offer, and forget failures of contents that it no longer names."""
    kept = tuple(failure for failure in state.failures if _still_named(failure, wanted))
    return replace(state, offer=wanted, failures=kept)


def without_damaged(state: State, intact: Callable[[Installed], bool]) -> State:
    """Leave out what is damaged on disk: go back to the previous set if it is whole, else drop the parts.

    Called only without a trial. What is dropped is installed anew from the offer.
    """
    if all(intact(installed) for installed in state.healthy.values()):
        return state
    if state.previous and all(intact(installed) for installed in state.previous.values()):
        return replace(state, healthy=state.previous, previous={})
    whole = {name: installed for name, installed in state.healthy.items() if intact(installed)}
    return replace(state, healthy=whole, previous={})


def failure_of(state: State, wanted: Wanted) -> Failure | None:
    """Return the remembered failure of exactly this content under exactly this offer, if there is one."""
    for failure in state.failures:
        if (failure.package, failure.sha256, failure.offer_hash) == (wanted.name, wanted.sha256, wanted.hash):
            return failure
    return None


def held(state: State, wanted: Wanted) -> bool:
    """Whether the healthy set holds exactly this version and content."""
    installed = state.healthy.get(wanted.name)
    return (
        installed is not None
        and installed.sha256.raw == wanted.sha256
        and installed.version.text == wanted.version.removeprefix("v")
    )


def next_action(
    state: State,
    rules: Mapping[str, PackageRule],
    waiting: Callable[[Wanted], bool],
) -> Action | None:
    """Choose what to do next towards the last offer; None if there is nothing to do, or nothing yet.

    Args:
        state: what this host holds, and the complete set that the server wants, if it ever said.
        rules: the host's rules; packages without one come last, to be refused.
        waiting: whether a package was refused lately and its pause is not over.
    """
    offer = state.offer
    if offer is None or state.trial is not None:
        return None
    for wanted in sorted(offer.packages.values(), key=lambda each: _order(rules, each.name)):
        if held(state, wanted):
            if state.healthy[wanted.name].offer_hash != wanted.hash:
                return Rename(wanted.name, wanted.hash)
        elif failure_of(state, wanted) is None and not waiting(wanted):
            return Prepare(wanted)
    return _removal(state, offer)


def _removal(state: State, offer: WantedSet) -> Remove | None:
    failed = {failure.package for failure in state.failures if not failure.version}
    for name, installed in sorted(state.healthy.items()):
        if installed.type is PackageType.ADDON and name not in offer.packages and name not in failed:
            return Remove(name)
    return None


def _order(rules: Mapping[str, PackageRule], name: str) -> tuple[int, str]:
    rule = rules.get(name)
    if rule is None:
        return (2, name)
    return (0 if rule.type is PackageType.TOP_LEVEL else 1, name)


def _still_named(failure: Failure, wanted: WantedSet) -> bool:
    if not failure.version:
        return failure.package not in wanted.packages
    named = wanted.packages.get(failure.package)
    return named is not None and (named.sha256, named.hash) == (failure.sha256, failure.offer_hash)


def _trial(state: State) -> Trial:
    if state.trial is None:
        raise RuntimeError("no trial is on")
    return state.trial
