"""Where an agent stands: its words, and what was seen of them."""

from dataclasses import replace

import pytest

from distribution.domain.agent import AgentView, Capability
from distribution.domain.attempts import numbered
from distribution.domain.config_standing import Standing, standing_of
from distribution.domain.configuration import Agreement, ConfigState, ConfigStatus, EffectiveSeen
from tests.fakes.configured import ABLE, intended, view

WANTED = intended(_="a: 1")
OTHER = intended(_="a: 2")


def said(state: ConfigState, *, of: bytes = WANTED.digest, error: str = "") -> ConfigStatus:
    return ConfigStatus(state, numbered(of, 2), error)


def seen(agreement: Agreement, *, of: bytes = WANTED.digest, agreed: bool = False) -> EffectiveSeen:
    return EffectiveSeen(bytes(32), agreement, of, "a has another value", agreed)


APPLIED = said(ConfigState.APPLIED)
AGREES, DIFFERS, UNKNOWN = (seen(each) for each in (Agreement.AGREES, Agreement.DIFFERS, Agreement.UNKNOWN))
AGREED_BEFORE = seen(Agreement.DIFFERS, agreed=True)


@pytest.mark.parametrize(
    ("config", "effective", "expected"),
    [
        (None, None, Standing.OFFERED),
        (said(ConfigState.UNSET), None, Standing.OFFERED),
        (said(ConfigState.APPLIED, of=OTHER.digest), None, Standing.OFFERED),
        (said(ConfigState.APPLYING), AGREES, Standing.APPLYING),
        (said(ConfigState.FAILED), AGREES, Standing.FAILED),
        (APPLIED, None, Standing.CLAIMED),
        (APPLIED, UNKNOWN, Standing.CLAIMED),
        (APPLIED, seen(Agreement.AGREES, of=OTHER.digest), Standing.CLAIMED),
        (APPLIED, AGREES, Standing.APPLIED),
        (APPLIED, DIFFERS, Standing.UNTRUE),
        (APPLIED, AGREED_BEFORE, Standing.DRIFTED),
        (None, AGREES, Standing.APPLIED),
        (None, DIFFERS, Standing.OFFERED),
        (None, AGREED_BEFORE, Standing.DRIFTED),
    ],
)
def test_words_against_what_was_seen(
    config: ConfigStatus | None, effective: EffectiveSeen | None, expected: Standing
) -> None:
    """Applied is believed only when the effective configuration of this very intention shows it."""
    found = standing_of(replace(view(), config=config, effective=effective), WANTED)
    assert found.standing is expected


def test_the_agents_own_words() -> None:
    """A failure is told as the agent told it, a difference as it was found."""
    failed = replace(view(), config=said(ConfigState.FAILED, error="unknown receiver"))
    assert standing_of(failed, WANTED).why == "unknown receiver"
    assert (
        standing_of(replace(view(), config=APPLIED, effective=DIFFERS), WANTED).why == "a has another value"
    )


def test_an_agent_that_reports_no_effective_one() -> None:
    """Its word is all there is, and that is said."""
    mute = view(capabilities=ABLE & ~Capability.REPORTS_EFFECTIVE_CONFIG)
    found = standing_of(replace(mute, config=APPLIED), WANTED)
    assert found.standing is Standing.APPLIED
    assert "word alone" in found.why


@pytest.mark.parametrize(
    ("agent", "wanted", "problem", "why"),
    [
        (view(), None, "", "no configuration is assigned"),
        (view(), None, "a tie", "a tie"),
        (view(capabilities=Capability.REPORTS_STATUS), WANTED, "", "does not accept"),
        (view(capabilities=Capability.NONE), WANTED, "", "has not said yet what it accepts"),
        (replace(view(), connected=False), WANTED, "", "is not connected"),
    ],
    ids=["nothing", "problem", "takes none", "never heard", "away"],
)
def test_why_nothing_is_offered(agent: AgentView, wanted: object, problem: str, why: str) -> None:
    """Where nothing is offered, why is said."""
    found = standing_of(agent, WANTED if wanted is not None else None, problem)
    assert found.standing is Standing.NOT_OFFERED
    assert why in found.why
