"""One connection's conversation, without I/O: what to say next, and what the server's words mean.

Rules: the first message says everything (OpAMP "Agent Status Compression"), later ones only what changed;
the numbers go up by one a message across connections; a message with an error or a command says nothing
else that counts. What this agent does not do (configuration, telemetry settings, another uid) is not read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from opamp.v1 import opamp_pb2

from distribution.agent import messages
from distribution.agent.link import RETRY_AFTER_MAX_SECONDS
from distribution.agent.messages import About
from distribution.agent.report import HealthReport, Report
from distribution.agent.rules import WantedSet


@dataclass(frozen=True, slots=True)
class Offered:
    """The server offers packages."""

    offer: WantedSet


@dataclass(frozen=True, slots=True)
class Settings:
    """The server offers connection settings; of these only certificate and heartbeat can be taken."""

    hash: bytes
    endpoint: str
    chain_pem: bytes
    heartbeat_seconds: int


@dataclass(frozen=True, slots=True)
class Restart:
    """The server asks to restart the program."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The server answered with an error. `retry_after` in seconds, if it said so."""

    text: str
    unavailable: bool
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class Heard:
    """The server answered, and not with an error: it accepts this connection."""


Event = Offered | Settings | Restart | Refused | Heard


@dataclass(frozen=True, slots=True)
class SettingsStatus:
    """Where the last offered connection settings stand; `error` is empty unless they failed."""

    hash: bytes
    applied: bool
    error: str = ""


class Numbers:
    """The message numbers of one agent process."""

    def __init__(self) -> None:
        self._last = -1

    def next(self) -> int:
        """Return the next number."""
        self._last += 1
        return self._last


@dataclass(frozen=True, slots=True)
class _Said:
    """What the server was told on this connection."""

    packages: opamp_pb2.PackageStatuses
    health: HealthReport
    version: str
    settings: SettingsStatus | None


class Conversation:
    """What was said on one connection. A new connection is a new conversation."""

    def __init__(self, about: About, numbers: Numbers, now: Callable[[], datetime]) -> None:
        self._about = about
        self._numbers = numbers
        self._now = now
        self._said: _Said | None = None

    def next(self, report: Report, settings: SettingsStatus | None) -> opamp_pb2.AgentToServer | None:
        """Return a message with what is new, everything at first; None if there is nothing to say."""
        said, message = self._said, self._message()
        saying = _Said(messages.package_statuses(report), report.health, report.version, settings)
        if said is None or said.version != saying.version:
            message.agent_description.CopyFrom(messages.description(self._about, report.version))
        if said is None or said.health != saying.health:
            message.health.CopyFrom(messages.health(report.health, self._now()))
        if said is None or said.packages != saying.packages:
            message.package_statuses.CopyFrom(saying.packages)
        if settings is not None and (said is None or said.settings != settings):
            message.connection_settings_status.CopyFrom(_status(settings))
        if saying == said:
            return None
        self._said = saying
        return self._numbered(message)

    def heartbeat(self) -> opamp_pb2.AgentToServer:
        """Return a message that says nothing new."""
        return self._numbered(self._message())

    def ask_certificate(self, csr_pem: bytes) -> opamp_pb2.AgentToServer:
        """Return a message that asks for a certificate."""
        message = self._message()
        message.connection_settings_request.CopyFrom(messages.certificate_request(csr_pem))
        return self._numbered(message)

    def goodbye(self) -> opamp_pb2.AgentToServer:
        """Return the last message of a connection."""
        message = self._message()
        message.agent_disconnect.SetInParent()
        return self._numbered(message)

    def take(self, message: opamp_pb2.ServerToAgent) -> list[Event]:
        """Return what a message means. Raises MalformedError for an offer or settings that cannot be one."""
        if message.HasField("error_response"):
            return [_refused(message.error_response)]
        events: list[Event] = [Heard()]
        if message.HasField("command"):
            # OpAMP "ServerToAgent.command": nothing else of such a message is processed.
            restart = message.command.type == opamp_pb2.CommandType_Restart
            return [*events, Restart()] if restart else events
        if message.flags & opamp_pb2.ServerToAgentFlags_ReportFullState:
            self._said = None
        if message.HasField("connection_settings") and message.connection_settings.HasField("opamp"):
            events.append(_settings(message.connection_settings))
        if message.HasField("packages_available"):
            events.append(Offered(messages.wanted_set(message.packages_available)))
        return events

    def _message(self) -> opamp_pb2.AgentToServer:
        return opamp_pb2.AgentToServer(instance_uid=self._about.agent.raw, capabilities=messages.CAPABILITIES)

    def _numbered(self, message: opamp_pb2.AgentToServer) -> opamp_pb2.AgentToServer:
        message.sequence_num = self._numbers.next()
        return message


def _refused(error: opamp_pb2.ServerErrorResponse) -> Refused:
    retry = None
    if error.HasField("retry_info"):
        retry = min(error.retry_info.retry_after_nanoseconds / 1e9, RETRY_AFTER_MAX_SECONDS)
    unavailable = error.type == opamp_pb2.ServerErrorResponseType_Unavailable
    return Refused(error.error_message[: messages.TEXT_MAX_CHARS], unavailable, retry)


def _settings(offers: opamp_pb2.ConnectionSettingsOffers) -> Settings:
    opamp = offers.opamp
    return Settings(
        hash=messages.require_hash(offers.hash),
        endpoint=opamp.destination_endpoint,
        chain_pem=opamp.certificate.cert,
        heartbeat_seconds=opamp.heartbeat_interval_seconds,
    )


def _status(settings: SettingsStatus) -> opamp_pb2.ConnectionSettingsStatus:
    if settings.error:
        standing = opamp_pb2.ConnectionSettingsStatuses_FAILED
    elif settings.applied:
        standing = opamp_pb2.ConnectionSettingsStatuses_APPLIED
    else:
        standing = opamp_pb2.ConnectionSettingsStatuses_APPLYING
    return opamp_pb2.ConnectionSettingsStatus(
        last_connection_settings_hash=settings.hash,
        status=standing,
        error_message=settings.error[: messages.TEXT_MAX_CHARS],
    )
