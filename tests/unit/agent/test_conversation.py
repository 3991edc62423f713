"""Covers distribution/agent/conversation.py and messages.py: what is said when, and what is heard."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from opamp.v1 import opamp_pb2

from distribution.agent.conversation import (
    Conversation,
    Heard,
    Numbers,
    Offered,
    Refused,
    Restart,
    Settings,
    SettingsStatus,
)
from distribution.agent.messages import CAPABILITIES, About
from distribution.agent.report import HealthReport, PackageReport, Progress, Report, Standing
from distribution.domain.agent import PackageState
from distribution.domain.package import PackageType
from distribution.errors import MalformedError
from distribution.protocol.reports import read_report
from tests.fakes.certificates import agent

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
ABOUT = About(agent(), "collector", "linux", "amd64", "host-7")
REPORT = Report(
    packages=(
        PackageReport("p", Standing.INSTALLED, "1.0.0", b"one"),
        PackageReport("q", Standing.DOWNLOADING, "", b"", "2.0.0", b"two", "", Progress(12.5, 99.0)),
        PackageReport("r", Standing.FAILED, "1.0.0", b"x", "v" * 5000, b"y", "e" * 5000),
    ),
    offer_hash=b"all",
    health=HealthReport(well=True, status="running", since=NOW),
    version="1.0.0",
)


def conversation() -> Conversation:
    return Conversation(ABOUT, Numbers(), lambda: NOW)


def test_the_first_message_says_everything_and_the_server_understands_it() -> None:
    """Description, capabilities, health and packages, as the server's own reader takes them."""
    message = conversation().next(REPORT, SettingsStatus(b"s", applied=True))
    assert message is not None
    report = read_report(message)
    assert report.description is not None
    assert report.description.platform == "linux-amd64"
    assert report.description.identifying["service.version"] == "1.0.0"
    assert report.health is not None
    assert report.health.healthy
    assert report.packages is not None
    assert [package.state for package in report.packages.packages] == [
        PackageState.INSTALLED,
        PackageState.DOWNLOADING,
        PackageState.FAILED,
    ]
    assert report.packages.offer_hash == b"all"
    assert message.capabilities == CAPABILITIES
    assert message.health.start_time_unix_nano == 1767323045678901000
    assert message.package_statuses.packages["q"].download_details.download_percent == 12.5
    assert len(message.package_statuses.packages["r"].error_message) == 1000
    assert message.connection_settings_status.status == opamp_pb2.ConnectionSettingsStatuses_APPLIED


def test_later_messages_say_what_changed_and_are_numbered() -> None:
    """Nothing new, no message; a change says only itself; a heartbeat says nothing."""
    talk = conversation()
    first = talk.next(REPORT, None)
    assert talk.next(REPORT, None) is None
    ill = replace(REPORT, health=HealthReport(well=False, status="down", error="gone"))
    second = talk.next(ill, None)
    beat = talk.heartbeat()
    assert first is not None
    assert second is not None
    assert [message.sequence_num for message in (first, second, beat)] == [0, 1, 2]
    assert second.HasField("health")
    assert not second.HasField("package_statuses")
    assert not second.HasField("agent_description")
    assert beat.ByteSize() < 40
    third = talk.next(replace(ill, version="1.1.0"), None)
    assert third is not None
    assert third.HasField("agent_description")


def test_the_numbers_go_on_over_connections() -> None:
    """A new connection is a new conversation of the same agent."""
    numbers = Numbers()
    Conversation(ABOUT, numbers, lambda: NOW).heartbeat()
    assert Conversation(ABOUT, numbers, lambda: NOW).heartbeat().sequence_num == 1


def test_everything_is_said_again_when_the_server_asks() -> None:
    """ReportFullState makes the next message a first one."""
    talk = conversation()
    talk.next(REPORT, None)
    flag = opamp_pb2.ServerToAgentFlags_ReportFullState
    assert talk.take(opamp_pb2.ServerToAgent(flags=flag)) == [Heard()]
    again = talk.next(REPORT, None)
    assert again is not None
    assert again.HasField("agent_description")
    assert again.HasField("package_statuses")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (SettingsStatus(b"h", applied=False), opamp_pb2.ConnectionSettingsStatuses_APPLYING),
        (SettingsStatus(b"h", applied=False, error="no"), opamp_pb2.ConnectionSettingsStatuses_FAILED),
    ],
)
def test_the_standing_of_settings_is_reported(status: SettingsStatus, expected: int) -> None:
    """Stored is applying, refused is failed with its reason."""
    talk = conversation()
    talk.next(REPORT, None)
    message = talk.next(REPORT, status)
    assert message is not None
    assert message.connection_settings_status.status == expected
    assert message.connection_settings_status.error_message == status.error


def test_requests_and_goodbyes() -> None:
    """A certificate request carries the CSR, the last message says that it is the last."""
    talk = conversation()
    asked = talk.ask_certificate(b"csr").connection_settings_request.opamp.certificate_request
    assert asked.csr == b"csr"
    assert talk.goodbye().HasField("agent_disconnect")


def test_an_error_says_nothing_else() -> None:
    """With an error set, the rest of the message is not read; the pause is in seconds."""
    error = opamp_pb2.ServerErrorResponse(
        type=opamp_pb2.ServerErrorResponseType_Unavailable,
        error_message="busy",
        retry_info=opamp_pb2.RetryInfo(retry_after_nanoseconds=2_500_000_000),
    )
    message = opamp_pb2.ServerToAgent(error_response=error, packages_available=offer())
    assert conversation().take(message) == [Refused("busy", unavailable=True, retry_after=2.5)]
    error = opamp_pb2.ServerErrorResponse(type=opamp_pb2.ServerErrorResponseType_BadRequest)
    message = opamp_pb2.ServerToAgent(error_response=error)
    assert conversation().take(message) == [Refused("", unavailable=False, retry_after=None)]


def test_a_command_is_taken_alone() -> None:
    """OpAMP: a message with a command is not read further."""
    command = opamp_pb2.ServerToAgentCommand(type=opamp_pb2.CommandType_Restart)
    message = opamp_pb2.ServerToAgent(command=command, packages_available=offer())
    assert conversation().take(message) == [Heard(), Restart()]
    unknown = opamp_pb2.ServerToAgent(packages_available=offer())
    unknown.command.type = 7  # type: ignore[assignment]
    assert conversation().take(unknown) == [Heard()]


def offer() -> opamp_pb2.PackagesAvailable:
    """Return an offer of one package with a downgrade mark."""
    package = opamp_pb2.PackageAvailable(type=opamp_pb2.PackageType_Addon, version="1.0.0", hash=b"h")
    package.file.content_hash = b"d" * 32
    package.file.headers.headers.add(key="quartermaster-DOWNGRADE", value="1.0.0")
    return opamp_pb2.PackagesAvailable(packages={"p": package}, all_packages_hash=b"a")


def test_offers_and_settings_are_read_as_they_are() -> None:
    """What the server offers becomes values; nothing of it is judged here."""
    message = opamp_pb2.ServerToAgent(packages_available=offer())
    message.connection_settings.hash = b"s"
    message.connection_settings.opamp.destination_endpoint = "wss://x"
    message.connection_settings.opamp.certificate.cert = b"pem"
    message.connection_settings.opamp.heartbeat_interval_seconds = 7
    heard, settings, offered = conversation().take(message)
    assert (heard, settings) == (Heard(), Settings(b"s", "wss://x", b"pem", 7))
    assert isinstance(offered, Offered)
    wanted = offered.offer.packages["p"]
    assert (wanted.type, wanted.version, wanted.downgrade) == (PackageType.ADDON, "1.0.0", "1.0.0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda packages: setattr(packages.packages["p"], "type", 5), "with the unknown type 5"),
        (lambda packages: setattr(packages.packages["p"], "version", "9" * 300), "a value of length 300"),
        (lambda packages: [packages.packages[f"p{n}"] for n in range(300)], "offer has 301 packages"),
    ],
    ids=["type", "long", "many"],
)
def test_an_offer_that_cannot_be_one_is_refused_whole(change: object, message: str) -> None:
    """Unknown types and absurd sizes are refused before anything is kept of them."""
    packages = offer()
    change(packages)  # type: ignore[operator]
    with pytest.raises(MalformedError, match=message):
        conversation().take(opamp_pb2.ServerToAgent(packages_available=packages))
