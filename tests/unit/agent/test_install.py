"""Covers distribution/agent/install.py: the steps between states, and the choice of the next one."""

from dataclasses import replace

import pytest

from distribution.agent import install
from distribution.agent.install import Prepare, Remove, Rename
from distribution.agent.rules import PackageRule, Wanted, WantedSet
from distribution.agent.state import Failure, Installed, State
from distribution.domain.package import Digest, PackageType, Version

RULES = {
    "prog": PackageRule.create("prog", "acme/prog/{version}/linux-amd64/prog", PackageType.TOP_LEVEL),
    "add": PackageRule.create("add", "acme/add/{version}/any/add", PackageType.ADDON),
}


def held(version: str, kind: PackageType = PackageType.TOP_LEVEL) -> Installed:
    return Installed(Version.parse(version), digest(version), kind, f"f/{version}", version.encode())


def digest(version: str) -> Digest:
    return Digest(version.encode().ljust(32))


def wanted(name: str, version: str, *, hash_: bytes | None = None) -> Wanted:
    kind = RULES[name].type if name in RULES else PackageType.TOP_LEVEL
    return Wanted(name, kind, version, digest(version).raw, hash_ or version.encode())


def offer(*packages: Wanted) -> WantedSet:
    return WantedSet({each.name: each for each in packages}, b"+".join(each.hash for each in packages))


def never(_: Wanted) -> bool:
    return False


ONE = State(healthy={"prog": held("1.0.0")})


def test_a_trial_keeps_everything_but_one_package() -> None:
    """Begun, a trial is the healthy set with one change; confirmed, the old set is the previous one."""
    begun = install.begin(ONE, "add", held("0.1.0", PackageType.ADDON))
    assert begun.healthy == ONE.healthy
    assert sorted(begun.running) == ["add", "prog"]
    assert begun.trial is not None
    assert begun.trial.starts == 1
    kept = install.confirm(begun)
    assert (sorted(kept.healthy), kept.previous, kept.trial) == (["add", "prog"], ONE.healthy, None)


def test_a_resumed_trial_is_counted() -> None:
    """Every start after the agent's own death counts."""
    begun = install.begin(ONE, "prog", held("1.1.0"))
    resumed = install.started(begun)
    assert resumed.trial is not None
    assert resumed.trial.starts == 2


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (install.begin(ONE, "prog", held("1.1.0")), "fell back to 1.0.0 which last ran healthy: 1.1.0 broke"),
        (install.begin(State(), "prog", held("1.1.0")), "nothing to fall back to: 1.1.0 broke"),
        (
            install.begin(ONE, "add", held("0.1.0", PackageType.ADDON)),
            "fell back to the set without add, which last ran healthy: 0.1.0 broke",
        ),
        (
            install.begin_removal(
                State({"prog": held("1.0.0"), "add": held("0.1.0", PackageType.ADDON)}), "add"
            ),
            "fell back to 0.1.0 which last ran healthy: the set without add broke",
        ),
    ],
    ids=["update", "first", "addon", "removal"],
)
def test_falling_back_restores_the_healthy_set_and_says_why(state: State, reason: str) -> None:
    """What was healthy is so again, whatever was tried; the failure is remembered with its sentence."""
    fallen, said = install.fall_back(state, "broke")
    assert said == reason
    assert (fallen.healthy, fallen.trial) == (state.healthy, None)
    assert [failure.reason for failure in fallen.failures] == [reason]
    again, _ = install.fall_back(replace(fallen, trial=state.trial), "broke")
    assert len(again.failures) == 1


def test_steps_of_a_trial_need_one() -> None:
    """Confirming or counting nothing is a mistake of the program."""
    for step in (install.confirm, install.started):
        with pytest.raises(RuntimeError, match="no trial is on"):
            step(ONE)


def test_a_failure_is_remembered_for_one_content_under_one_offer() -> None:
    """Neither another digest nor another hash of the server's is held to have failed."""
    failure = Failure("prog", "1.1.0", digest("1.1.0").raw, b"1.1.0", "why")
    state = replace(ONE, failures=(failure,))
    assert install.failure_of(state, wanted("prog", "1.1.0")) == failure
    assert install.failure_of(state, wanted("prog", "1.2.0")) is None
    assert install.failure_of(state, wanted("prog", "1.1.0", hash_=b"other")) is None


def test_an_offer_of_something_else_ends_the_memory() -> None:
    """The failure goes when its package is offered otherwise, and stays when only others change."""
    failure = Failure("prog", "1.1.0", digest("1.1.0").raw, b"1.1.0", "why")
    state = replace(ONE, failures=(failure,))
    same = install.take_up(state, offer(wanted("prog", "1.1.0"), wanted("add", "0.1.0")))
    assert same.failures == (failure,)
    assert install.take_up(state, offer(wanted("prog", "1.0.0"))).failures == ()
    assert install.take_up(state, offer()).failures == ()


def test_a_removal_that_failed_is_remembered_while_the_offer_leaves_the_addon_out() -> None:
    """It is not tried at every step; an offer that has the addon again ends the memory."""
    both = State({"prog": held("1.0.0"), "add": held("0.1.0", PackageType.ADDON)})
    without = install.take_up(both, offer(wanted("prog", "1.0.0")))
    assert install.next_action(without, RULES, never) == Remove("add")
    fallen, _ = install.fall_back(install.begin_removal(without, "add"), "broke")
    assert install.next_action(fallen, RULES, never) is None
    assert install.take_up(fallen, offer(wanted("prog", "1.0.0"))).failures == fallen.failures
    assert install.take_up(fallen, offer(wanted("prog", "1.0.0"), wanted("add", "0.1.0"))).failures == ()


def test_the_program_comes_first_and_strangers_last() -> None:
    """The order does not depend on the offer's."""
    strange = Wanted("aaa", PackageType.TOP_LEVEL, "1.0.0", b"", b"x")
    state = install.take_up(ONE, offer(strange, wanted("add", "0.1.0"), wanted("prog", "1.1.0")))
    assert install.next_action(state, RULES, never) == Prepare(wanted("prog", "1.1.0"))
    assert install.next_action(state, RULES, lambda each: each.name == "prog") == Prepare(
        wanted("add", "0.1.0")
    )
    assert install.next_action(state, RULES, lambda each: each.name != "aaa") == Prepare(strange)


def test_nothing_is_begun_without_an_offer_or_during_a_trial() -> None:
    """One change at a time, and none that nobody asked for."""
    assert install.next_action(ONE, RULES, never) is None
    trying = install.begin(install.take_up(ONE, offer(wanted("prog", "1.2.0"))), "prog", held("1.1.0"))
    assert install.next_action(trying, RULES, never) is None


def test_what_is_held_is_only_renamed() -> None:
    """The same content under another hash changes the name in the state and nothing else."""
    renamed = wanted("prog", "v1.0.0", hash_=b"new")
    state = install.take_up(ONE, offer(replace(renamed, sha256=digest("1.0.0").raw)))
    assert install.next_action(state, RULES, never) == Rename("prog", b"new")
    after = install.rename(state, "prog", b"new")
    assert install.next_action(after, RULES, never) is None
    assert after.healthy["prog"].offer_hash == b"new"


def test_a_set_without_its_program_is_kept_running() -> None:
    """An offer that leaves the program out takes only addons away."""
    assert install.next_action(install.take_up(ONE, offer()), RULES, never) is None


def test_damage_goes_back_to_the_previous_set_or_leaves_parts_out() -> None:
    """A whole previous set is preferred to a set with holes."""
    state = State({"prog": held("1.1.0"), "add": held("0.1.0")}, {"prog": held("1.0.0")})
    assert install.without_damaged(state, lambda _: True) == state
    fallen = install.without_damaged(state, lambda each: each.version.text != "1.1.0")
    assert fallen.healthy == {"prog": held("1.0.0")}
    holes = install.without_damaged(state, lambda each: each.version.text == "0.1.0")
    assert (sorted(holes.healthy), holes.previous) == (["add"], {})
