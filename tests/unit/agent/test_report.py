"""Covers distribution/agent/report.py: what the server is told of each package."""

from dataclasses import replace

from distribution.agent import install
from distribution.agent.report import Doing, PackageReport, Progress, Refusal, Standing, package_reports
from distribution.agent.rules import Wanted, WantedSet
from distribution.agent.state import Installed, State
from distribution.domain.package import Digest, PackageType, Version

HELD = Installed(Version.parse("1.0.0"), Digest(b"1" * 32), PackageType.TOP_LEVEL, "f", b"one")
NEW = Wanted("p", PackageType.TOP_LEVEL, "1.1.0", b"2" * 32, b"two")
STATE = State(healthy={"p": HELD}, offer=WantedSet({"p": NEW}, b"all"))


def only(state: State, doing: Doing | None = None) -> PackageReport:
    """Return the report of the one package."""
    [report] = package_reports(state, doing or Doing())
    return report


def test_an_offer_goes_from_pending_to_failed() -> None:
    """Pending until somebody works on it, then installing, downloading, and failed with its reason."""
    refusal = Refusal(b"two", "no", 1, 0.0)
    assert only(STATE).standing is Standing.PENDING
    assert only(STATE, Doing(preparing="p")).standing is Standing.INSTALLING
    downloading = only(STATE, Doing(preparing="p", progress=Progress(50.0)))
    assert (downloading.standing, downloading.progress) == (Standing.DOWNLOADING, Progress(50.0))
    failed = only(STATE, Doing(preparing="p", progress=Progress(50.0), refusals={"p": refusal}))
    assert (failed.standing, failed.error, failed.progress) == (Standing.FAILED, "no", None)
    other = replace(refusal, offer_hash=b"old")
    assert only(STATE, Doing(refusals={"p": other})).standing is Standing.PENDING


def test_a_package_on_trial_is_not_held_yet() -> None:
    """Until it has proven itself, the version that last ran healthy is the one the agent has."""
    tried = replace(HELD, version=Version.parse("1.1.0"), sha256=Digest(b"2" * 32), offer_hash=b"two")
    report = only(install.begin(STATE, "p", tried))
    assert (report.standing, report.version, report.offered_version) == (
        Standing.INSTALLING,
        "1.0.0",
        "1.1.0",
    )
    fallen, reason = install.fall_back(install.begin(STATE, "p", tried), "broke")
    assert (only(fallen).standing, only(fallen).error) == (Standing.FAILED, reason)
    assert only(install.confirm(install.begin(STATE, "p", tried))).standing is Standing.INSTALLED


def test_what_is_held_though_not_offered_is_reported() -> None:
    """The program stays, and an addon whose removal failed says why it is still there."""
    state = replace(STATE, offer=WantedSet({}, b"none"))
    assert (only(state).standing, only(state).offered_version) == (Standing.INSTALLED, "")
    fallen, reason = install.fall_back(install.begin_removal(state, "p"), "broke")
    assert (only(fallen).standing, only(fallen).error) == (Standing.INSTALLED, reason)
