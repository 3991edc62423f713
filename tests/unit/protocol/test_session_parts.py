"""The conversation beyond packages: configuration, connections, components, commands."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from distribution.domain.agent import AgentView, Capability, Components, Description, Plan, Report, Restart
from distribution.domain.attempts import numbered
from distribution.domain.configuration import ConfigObject, ConfigState, ConfigStatus, RemoteConfig
from distribution.domain.connections import ConnectionSet, ConnectionState, ConnectionStatus
from distribution.protocol.effects import Equip, Examine, KeepComponents
from distribution.protocol.pacing import RETRY_FIRST
from distribution.protocol.session import Session, Standing, push, step

UID = UUID("0192f2a1-7c3e-7abc-8def-0123456789ab")
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
ABLE = (
    Capability.REPORTS_STATUS
    | Capability.ACCEPTS_REMOTE_CONFIG
    | Capability.REPORTS_REMOTE_CONFIG
    | Capability.ACCEPTS_CONNECTION_SETTINGS
    | Capability.REPORTS_CONNECTION_STATUS
    | Capability.ACCEPTS_RESTART
)
HERE = Description({"service.name": "otelcol"})
CONFIG = RemoteConfig({"": ConfigObject(b"receivers: {}")}, "base@1")
SETTINGS = ConnectionSet(heartbeat_seconds=20)
QUIET = Plan(None, 30)


def _report(sequence: int = 0, **said: object) -> Report:
    return replace(Report(UID, sequence, ABLE), **said)  # type: ignore[arg-type] # any part of a report


def _greeted(plan: Plan = QUIET) -> Session:
    return step(Session(AgentView(UID), Standing.CURRENT), _report(description=HERE), plan, NOW).session


def test_configuration_is_offered_once_and_settles_when_applied() -> None:
    """Then heartbeats are answered barely."""
    plan = Plan(None, 30, config=CONFIG)
    first = step(_greeted(), _report(1), plan, NOW)
    assert first.reply.config is not None
    assert (first.reply.config.config, first.reply.config.attempt) == (CONFIG, 1)
    assert step(first.session, _report(2), plan, NOW).reply.bare
    applied = ConfigStatus(ConfigState.APPLIED, numbered(CONFIG.digest, 1))
    settled = step(first.session, _report(2, config_status=applied), plan, NOW)
    assert settled.session.settled is plan


def test_failed_configuration_is_offered_again_under_another_hash() -> None:
    """After the wait, with the next number; not before."""
    plan = Plan(None, 30, config=CONFIG)
    first = step(_greeted(), _report(1), plan, NOW)
    failed = ConfigStatus(ConfigState.FAILED, numbered(CONFIG.digest, 1), "bad receiver")
    second = step(first.session, _report(2, config_status=failed), plan, NOW)
    assert second.reply.config is None
    third = step(second.session, _report(3), plan, NOW + RETRY_FIRST)
    assert third.reply.config is not None
    assert third.reply.config.attempt == 2


def test_a_changed_configuration_is_pushed() -> None:
    """A wake-up offers it without waiting for a message."""
    told = push(_greeted(), Plan(None, 30, config=CONFIG), NOW)
    assert told.reply.config is not None


def test_connection_settings_are_equipped_and_not_repeated() -> None:
    """The effect completes the offer; once applied nothing is due."""
    plan = Plan(None, 30, connections=SETTINGS)
    first = step(_greeted(), _report(1), plan, NOW)
    assert first.effects == (Equip(SETTINGS, 1),)
    assert step(first.session, _report(2), plan, NOW).effects == ()
    applied = ConnectionStatus(ConnectionState.APPLIED, numbered(SETTINGS.digest, 1))
    assert step(first.session, _report(2, connection_status=applied), plan, NOW).session.settled is plan


def test_effective_configuration_is_examined_against_what_is_intended() -> None:
    """Whatever the plan says now is what it is compared with."""
    reported = {"": ConfigObject(b"receivers: {}")}
    turn = step(_greeted(), _report(1, effective=reported), Plan(None, 30, config=CONFIG), NOW)
    assert Examine(reported, CONFIG) in turn.effects


def test_components_are_asked_for_once_a_hash() -> None:
    """A hash that is new is asked about; its list is kept; the same hash is not asked about again."""
    asked = step(_greeted(), _report(1, components=Components(b"h")), QUIET, NOW)
    assert asked.reply.components
    assert not step(asked.session, _report(2, components=Components(b"h")), QUIET, NOW).reply.components
    listed = Components(b"h", "{}")
    kept = step(asked.session, _report(2, components=listed), QUIET, NOW)
    assert kept.effects == (KeepComponents(listed),)
    again = replace(kept.session, asked_components=b"")
    assert not step(again, _report(3, components=Components(b"h")), QUIET, NOW).reply.components


def test_restart_is_told_once_and_alone() -> None:
    """What else is due waits for the next message."""
    plan = Plan(None, 30, config=CONFIG, restart=Restart(1))
    told = step(_greeted(), _report(1), plan, NOW)
    assert (told.reply.restart, told.reply.config, told.reply.full_state) == (True, None, False)
    after = step(told.session, _report(2), plan, NOW)
    assert (after.reply.restart, after.reply.config is not None) == (False, True)
    assert step(after.session, _report(3), replace(plan, restart=Restart(2)), NOW).reply.restart


def test_a_gap_beside_a_restart_is_asked_about_afterwards() -> None:
    """The command stands alone; the full state is asked for with the next answer."""
    told = step(_greeted(), _report(9), Plan(None, 30, restart=Restart(1)), NOW)
    assert (told.reply.restart, told.reply.full_state) == (True, False)
    assert step(told.session, _report(10), QUIET, NOW + timedelta(seconds=1)).reply.full_state


def test_restart_is_not_told_to_whom_does_not_accept_it() -> None:
    """It would be passed over, with everything else in its message."""
    mute = _report(1, capabilities=Capability.REPORTS_STATUS)
    assert not step(_greeted(), mute, Plan(None, 30, restart=Restart(1)), NOW).reply.restart


def test_a_leaving_agent_is_offered_nothing() -> None:
    """Its last words are kept and acknowledged."""
    turn = step(_greeted(), _report(1, disconnect=True), Plan(None, 30, config=CONFIG), NOW)
    assert turn.reply.bare
    assert not turn.session.view.connected
