"""How an agent stands to its plan, from its own words."""

from dataclasses import replace
from uuid import UUID

import pytest

from distribution.domain.agent import AgentView, Capability, Components, PackagesReport, PackageState, Plan
from distribution.domain.attempts import numbered
from distribution.domain.configuration import (
    Agreement,
    ConfigObject,
    ConfigState,
    ConfigStatus,
    EffectiveSeen,
    RemoteConfig,
    digest_of,
)
from distribution.domain.connections import ConnectionOffer, ConnectionSet, ConnectionState, ConnectionStatus
from distribution.protocol import stances
from distribution.protocol.pacing import Stance
from tests.fakes.offers import a_status, an_offer

OFFER = an_offer()
CONFIG = RemoteConfig({"": ConfigObject(b"receivers: {}")}, "base@1")
SETTINGS = ConnectionSet(heartbeat_seconds=20)
PLAN = Plan(OFFER, 30, config=CONFIG, connections=SETTINGS)
NOTHING = Plan(None, 30)
ABLE = (
    Capability.ACCEPTS_PACKAGES
    | Capability.ACCEPTS_REMOTE_CONFIG
    | Capability.REPORTS_REMOTE_CONFIG
    | Capability.REPORTS_CONNECTION_STATUS
)
VIEW = AgentView(UUID("0192f2a1-7c3e-7abc-8def-0123456789ab"), capabilities=ABLE)
ANOTHER_TRY = numbered(CONFIG.digest, 7)


def test_nothing_planned_is_held() -> None:
    """An agent lacks nothing where there is nothing for it."""
    assert stances.of_packages(VIEW, NOTHING, unsure=True) is Stance.HELD
    assert stances.of_config(VIEW, NOTHING) is Stance.HELD
    assert stances.of_connections(VIEW, NOTHING) is Stance.HELD


def test_what_it_does_not_accept_is_held() -> None:
    """It is never offered what it did not declare."""
    mute = replace(VIEW, capabilities=Capability.REPORTS_STATUS)
    assert stances.of_packages(mute, PLAN, unsure=True) is Stance.HELD
    assert stances.of_config(mute, PLAN) is Stance.HELD


@pytest.mark.parametrize(
    ("held", "stance"),
    [
        (None, Stance.OPEN),
        (PackagesReport(), Stance.OPEN),
        (a_status(PackageState.INSTALLED, OFFER), Stance.HELD),
        (a_status(PackageState.DOWNLOADING, OFFER), Stance.BUSY),
        (a_status(PackageState.FAILED, OFFER), Stance.FAILED),
    ],
)
def test_packages(held: PackagesReport | None, stance: Stance) -> None:
    """Its statuses, package by package."""
    assert stances.of_packages(replace(VIEW, packages=held), PLAN, unsure=False) is stance


@pytest.mark.parametrize(
    ("state", "stance"),
    [
        (ConfigState.UNSET, Stance.OPEN),
        (ConfigState.APPLYING, Stance.APPLYING),
        (ConfigState.APPLIED, Stance.HELD),
        (ConfigState.FAILED, Stance.FAILED),
    ],
)
def test_configuration_of_any_try(state: ConfigState, stance: Stance) -> None:
    """Whichever try it names, it speaks of this configuration."""
    said = replace(VIEW, config=ConfigStatus(state, ANOTHER_TRY))
    assert stances.of_config(said, PLAN) is stance


def test_configuration_of_another_hash_is_not_held() -> None:
    """A status of something else says nothing of this."""
    said = replace(VIEW, config=ConfigStatus(ConfigState.APPLIED, numbered(b"x" * 32, 1)))
    assert stances.of_config(said, PLAN) is Stance.OPEN


def test_applied_is_believed_only_when_the_effective_configuration_agrees() -> None:
    """What it says it applied and does not run counts as failed; what was seen of another counts nothing."""
    said = replace(VIEW, config=ConfigStatus(ConfigState.APPLIED, ANOTHER_TRY))
    lie = EffectiveSeen(b"e" * 32, Agreement.DIFFERS, CONFIG.digest)
    assert stances.of_config(replace(said, effective=lie), PLAN) is Stance.FAILED
    elsewhere = replace(lie, intended=b"x" * 32)
    assert stances.of_config(replace(said, effective=elsewhere), PLAN) is Stance.HELD


def test_an_agent_without_a_status_is_believed_by_what_it_runs() -> None:
    """The effective configuration is all that such an agent says."""
    mute = replace(VIEW, capabilities=Capability.ACCEPTS_REMOTE_CONFIG)
    seen = EffectiveSeen(b"e" * 32, Agreement.AGREES, CONFIG.digest)
    assert stances.of_config(mute, PLAN) is Stance.OPEN
    assert stances.of_config(replace(mute, effective=seen), PLAN) is Stance.HELD
    assert stances.of_config(replace(VIEW, effective=seen), PLAN) is Stance.OPEN


@pytest.mark.parametrize(
    ("state", "stance"),
    [
        (ConnectionState.UNSET, Stance.OPEN),
        (ConnectionState.APPLYING, Stance.APPLYING),
        (ConnectionState.APPLIED, Stance.HELD),
        (ConnectionState.FAILED, Stance.FAILED),
    ],
)
def test_connections_by_their_status(state: ConnectionState, stance: Stance) -> None:
    """Whichever try it names."""
    said = replace(VIEW, connections=ConnectionStatus(state, numbered(SETTINGS.digest, 2)))
    assert stances.of_connections(said, PLAN) is stance
    assert stances.of_connections(VIEW, PLAN) is Stance.OPEN


def test_settings_without_a_status_are_offered_once() -> None:
    """A client that connects anew for each offer would otherwise do so for ever: that it was told is kept."""
    mute = replace(VIEW, capabilities=Capability.ACCEPTS_CONNECTION_SETTINGS)
    assert stances.of_connections(mute, PLAN) is Stance.OPEN
    told = stances.seen(mute, ConnectionOffer(SETTINGS, 2))
    assert told.connections == ConnectionStatus(ConnectionState.UNSET, numbered(SETTINGS.digest, 2))
    assert (stances.of_connections(told, PLAN), stances.is_mute(told)) == (Stance.HELD, True)
    other = replace(PLAN, connections=ConnectionSet(heartbeat_seconds=21))
    assert stances.of_connections(told, other) is Stance.OPEN
    assert stances.of_connections(replace(told, capabilities=ABLE), PLAN) is Stance.OPEN


def test_of_an_agent_that_reports_its_status_only_its_word_is_kept() -> None:
    """That it was offered settings is no word of its own; what an examination saw is kept of everybody."""
    assert stances.seen(VIEW, ConnectionOffer(SETTINGS, 1)) is VIEW
    found = EffectiveSeen(b"d" * 32, Agreement.AGREES, CONFIG.digest, "")
    assert stances.seen(VIEW, found) == replace(VIEW, effective=found)
    assert stances.seen(VIEW, Components(b"h")) == replace(VIEW, components=Components(b"h"))


def test_the_number_of_the_try_is_read_from_its_words() -> None:
    """Of this content only; of another, or of none, it is zero."""
    assert (
        stances.tried_config(replace(VIEW, config=ConfigStatus(ConfigState.FAILED, ANOTHER_TRY)), CONFIG) == 7
    )
    assert stances.tried_config(VIEW, CONFIG) == 0
    held = PackagesReport((), numbered(OFFER.hash, 4))
    assert stances.tried_packages(replace(VIEW, packages=held), OFFER.hash) == 4
    assert stances.tried_packages(replace(VIEW, packages=held), b"x" * 32) == 0
    failed = ConnectionStatus(ConnectionState.FAILED, numbered(SETTINGS.digest, 5))
    assert stances.tried_connections(replace(VIEW, connections=failed), SETTINGS) == 5
    assert stances.tried_connections(VIEW, SETTINGS) == 0


CLAIMED = ConfigStatus(ConfigState.APPLIED, numbered(CONFIG.digest, 1))
SEEN = EffectiveSeen(bytes(32), Agreement.DIFFERS, CONFIG.digest)
TELLS = replace(VIEW, capabilities=ABLE | Capability.REPORTS_EFFECTIVE_CONFIG)


@pytest.mark.parametrize(
    ("said", "view", "expected"),
    [
        (CLAIMED, TELLS, True),
        (CLAIMED, replace(TELLS, effective=replace(SEEN, intended=bytes(32))), True),
        (CLAIMED, replace(TELLS, effective=SEEN), False),
        (CLAIMED, VIEW, False),
        (None, TELLS, False),
        (replace(CLAIMED, state=ConfigState.FAILED), TELLS, False),
        (replace(CLAIMED, hash=numbered(bytes(32), 1)), TELLS, False),
    ],
)
def test_what_was_never_compared(said: ConfigStatus | None, view: AgentView, expected: object) -> None:
    """An agent that says applied and reports nothing anew is looked at again, once."""
    assert stances.is_unseen(said, view, CONFIG) is expected


REPORTED = {"": ConfigObject(b"receivers: {}", "text/yaml")}
KNOWN = replace(SEEN, digest=digest_of(REPORTED))


@pytest.mark.parametrize(
    ("seen", "config", "expected"),
    [
        (KNOWN, CONFIG, True),
        (replace(KNOWN, intended=b""), None, True),
        (None, CONFIG, False),
        (KNOWN, None, False),
        (replace(KNOWN, intended=bytes(32)), CONFIG, False),
        (SEEN, CONFIG, False),
    ],
)
def test_what_was_compared_before(
    seen: EffectiveSeen | None, config: RemoteConfig | None, expected: object
) -> None:
    """The same effective configuration with the same intention is not examined again."""
    assert stances.is_examined(REPORTED, replace(TELLS, effective=seen), config) is expected


def test_a_large_one_is_not_hashed_on_the_loop() -> None:
    """Whoever reports megabytes has them examined aside, whatever was seen before."""
    large = {"": ConfigObject(bytes(stances.HASHED_MAX_BYTES + 1))}
    seen = replace(SEEN, digest=digest_of(large))
    assert not stances.is_examined(large, replace(TELLS, effective=seen), CONFIG)
