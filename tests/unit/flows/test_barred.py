"""flows/barred.py: what took an agent's credential away, when, by whom, and what an operator can do next."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from distribution.flows.barred import what_ended
from keys.certificate import BearerId, Reason
from keys.ledger import Standing
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import agent, new_key

WHO, OTHER = agent(1), agent(2)
AT = "at 2026-06-01T12:00:00Z"
ANEW = (
    "an enrollment token (`token create`, and on its host `quartermaster-agent enroll TOKEN --again`), "
    f"`agents certify` for another key, or `agents token create {WHO}`"
)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[AtWork]:
    with at_work(tmp_path) as work:
        yield work


def end(work: AtWork, how: Standing) -> None:
    """Enroll the agent, and throw it out."""
    work.enroll(new_key(), WHO, work.token())
    if how is Standing.RESET:
        work.authority.reset(WHO, "operator:bob", work.clock())
    else:
        ban = how is Standing.BANNED
        work.authority.revoke(WHO, Reason.KEY_COMPROMISE, "operator:bob", work.clock(), ban=ban)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (Standing.REVOKED, "its credentials were revoked"),
        (Standing.BANNED, "it was banned"),
        (Standing.RESET, "it was reset"),
    ],
)
def test_who_threw_it_out_is_said(work: AtWork, how: Standing, said: str) -> None:
    """Revoked, banned and reset are three things, each with its way back."""
    end(work, how)
    reason = "" if how is Standing.RESET else " (reason: key_compromise)"
    helps = {
        Standing.REVOKED: f"it stays out until `agents reset {WHO}`, and then needs",
        Standing.BANNED: f"it stays out until `agents reset {WHO} --lift-ban`, and then needs",
        Standing.RESET: "it did not come again since, and needs",
    }
    assert what_ended(work.database, WHO) == f"{said} {AT} by operator:bob{reason}; {helps[how]} {ANEW}"


def test_the_newest_revocation_counts(work: AtWork) -> None:
    """Not that of an earlier time, nor that of another agent."""
    end(work, Standing.RESET)
    work.enroll(new_key(), WHO, work.token("t2"))
    work.authority.revoke(WHO, Reason.SUPERSEDED, "operator:eve", work.clock())
    work.enroll(new_key(), OTHER, work.token("t3"))
    work.authority.revoke(OTHER, Reason.SUPERSEDED, "operator:zoe", work.clock())
    assert f"revoked {AT} by operator:eve (reason: superseded)" in what_ended(work.database, WHO)


def test_a_single_token_that_was_revoked(work: AtWork) -> None:
    """The agent stays enrolled: another token is all that it needs."""
    work.bearer(WHO, "b1")
    work.bearer(WHO, "b2", new=False, secret="z" * 43)
    for name in ("b1", "b2"):
        work.grants.revoke_token(BearerId(name), "operator:bob", work.clock())
    said = what_ended(work.database, WHO)
    assert said.startswith("its bearer token b")
    assert said.endswith(f"was revoked {AT} by operator:bob; `agents token create {WHO}` makes another")


def test_a_gateway_that_speaks_no_more(work: AtWork) -> None:
    """It never had a credential of its own; who spoke for it is named."""
    work.enroll(new_key(), OTHER, work.token())
    work.gateway(OTHER)
    work.grants.admit(OTHER, WHO, {}, "operator:ann", work.clock())
    work.grants.revoke_gateway(OTHER, "operator:ann", work.clock())
    said = what_ended(work.database, WHO)
    assert said.startswith(f"gateway {OTHER} spoke for it and does not any more; `gateways admit")


def test_one_that_never_came_in(work: AtWork) -> None:
    """It needs its first credential."""
    said = what_ended(work.database, WHO)
    assert said.startswith("it never enrolled, and needs an enrollment token (`token create`)")
    assert said.endswith(f"`agents token create {WHO} --new`")
