"""Covers distribution/agent/session.py and client.py: one session, and coming back after it."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from opamp.v1 import opamp_pb2

from distribution.errors import MalformedError, UnreachableError
from keys.errors import NotAdmittedError
from keys.policy import approve
from tests.fakes.agent_certificates import chain
from tests.fakes.certificates import DOMAIN, NOW, SmallCa, agent, small_ca
from tests.fakes.client_story import OK, Story, settings


@pytest.fixture(scope="module")
def ca() -> SmallCa:
    return small_ca()


@pytest.fixture
def story(tmp_path: Path, ca: SmallCa) -> Story:
    return Story(tmp_path, ca)


Play = Callable[[Story], Coroutine[None, None, None]]


def test_the_first_answer_promotes_the_next_credential(story: Story) -> None:
    """A credential becomes current only when the server accepted a connection with it."""

    async def play(story: Story) -> None:
        await story.until(lambda: not story.credentials.usable(NOW)[0].is_next)

    story.tell(play)
    assert story.links[0].said[0].HasField("agent_description")
    assert story.links[0].said[-1].HasField("agent_disconnect")
    assert story.links[0].closed


def test_changes_are_reported_when_they_happen_and_heartbeats_in_between(story: Story) -> None:
    """A woken session says what is new; an idle one says that it lives."""

    async def play(story: Story) -> None:
        await story.until(lambda: len(story.links) == 1)
        story.desk.report = replace(story.desk.report, version="2.0.0")
        story.wake()
        await story.until(lambda: any(m.HasField("agent_description") for m in story.links[0].said[1:]))
        await story.until(lambda: any(not m.HasField("health") for m in story.links[0].said))

    story.tell(play, heartbeat_seconds=0.05)


def test_offers_and_commands_reach_the_keeper(story: Story) -> None:
    """An offer is handed over as it came, a restart command is passed on."""
    offer = opamp_pb2.ServerToAgent()
    offer.packages_available.all_packages_hash = b"all"
    restart = opamp_pb2.ServerToAgent()
    restart.command.type = opamp_pb2.CommandType_Restart

    async def play(story: Story) -> None:
        await story.until(lambda: len(story.links) == 1)
        story.links[0].say(offer)
        story.links[0].say(restart)
        await story.until(lambda: story.desk.restarts == 1)

    story.tell(play)
    assert [wanted.hash for wanted in story.desk.offers] == [b"all"]


def test_a_certificate_is_renewed_and_proven_before_it_is_applied(story: Story) -> None:
    """At two thirds of its life a new certificate is asked for, stored, connected with, and then applied."""
    story.credentials.promote(story.credentials.usable(NOW)[0])
    story.now = NOW + timedelta(days=5)

    def answer(message: opamp_pb2.AgentToServer) -> list[opamp_pb2.ServerToAgent]:
        csr = message.connection_settings_request.opamp.certificate_request.csr
        if not csr:
            return [OK]
        approved = approve(csr, expected=agent(), trust_domain=DOMAIN)
        return [settings(cert=chain(story.ca, agent(), approved.public_key), heartbeat=9)]

    story.answer = answer

    async def play(story: Story) -> None:
        await story.until(lambda: story.desk.settings is not None and story.desk.settings.applied)
        await story.until(lambda: len(story.links) == 2 and len(story.links[1].said) >= 2)

    story.tell(play)
    assert [credential.is_next for credential in story.opened] == [False, True]
    [current] = story.credentials.usable(story.now)
    assert (current.is_next, current.name) == (False, story.opened[1].name)
    assert not story.opened[0].key.exists()
    statuses = [m.connection_settings_status.status for m in story.links[1].said]
    assert statuses[0] == opamp_pb2.ConnectionSettingsStatuses_APPLYING
    assert opamp_pb2.ConnectionSettingsStatuses_APPLIED in statuses


@pytest.mark.parametrize(
    ("offer", "error"),
    [
        (
            settings(endpoint="wss://evil.example/v1/opamp"),
            "endpoint 'wss://evil.example/v1/opamp' is not the",
        ),
        (settings(cert=b"no pem"), "certificate that the server sent is not an agent's"),
    ],
    ids=["endpoint", "certificate"],
)
def test_settings_that_would_move_the_agent_are_refused(
    story: Story, offer: opamp_pb2.ServerToAgent, error: str
) -> None:
    """Another endpoint or a bad certificate fails the offer; connection and credential stay."""
    story.credentials.promote(story.credentials.usable(NOW)[0])
    story.credentials.request(agent())

    async def play(story: Story) -> None:
        await story.until(lambda: len(story.links) == 1)
        story.links[0].say(offer)
        await story.until(lambda: story.desk.settings is not None)
        await story.until(lambda: story.links[0].said[-1].HasField("connection_settings_status"))

    story.tell(play)
    assert story.desk.settings is not None
    assert error in story.desk.settings.error
    assert len(story.links) == 1
    assert len(story.credentials.usable(NOW)) == 1


def test_settings_without_a_certificate_change_the_heartbeat_alone(story: Story) -> None:
    """An offer without a certificate never takes ours away; the one we hold is no news."""

    async def play(story: Story) -> None:
        await story.until(lambda: len(story.links) == 1)
        story.links[0].say(settings(endpoint="https://agents.example:4320/v1/opamp"))
        await story.until(lambda: story.desk.settings is not None and story.desk.settings.applied)
        story.desk.settings = None
        story.links[0].say(settings(cert=story.opened[0].chain.read_bytes(), heartbeat=0))
        await story.until(lambda: story.desk.settings is not None and story.desk.settings.applied)

    story.tell(play)
    assert len(story.links) == 1


def test_an_offered_heartbeat_outlives_its_connection(story: Story) -> None:
    """What was reported as applied holds on the next connection too; the host's own is a minute here."""

    async def play(story: Story) -> None:
        await story.until(lambda: len(story.links) == 1)
        story.links[0].say(settings(heartbeat=1))
        await story.until(lambda: story.desk.settings is not None and story.desk.settings.applied)
        story.links[0].break_off(UnreachableError("broke off"))
        await story.until(lambda: len(story.links) == 2 and len(story.links[1].said) > 1)

    story.tell(play)
    assert not story.links[1].said[1].HasField("health")


def test_a_next_credential_that_is_refused_gives_way_to_the_current_one(story: Story) -> None:
    """Refused twice, the next credential is passed over, and dropped once the current one was accepted."""
    story.credentials.promote(story.credentials.usable(NOW)[0])
    story.store_next()
    story.refuse = lambda credential: NotAdmittedError("401") if credential.is_next else None

    async def play(story: Story) -> None:
        await story.until(lambda: len(story.links) == 1 and len(story.credentials.usable(NOW)) == 1)

    story.tell(play)
    assert [credential.is_next for credential in story.opened] == [True, True, False]


def test_a_lost_server_is_tried_again_for_ever(story: Story) -> None:
    """Whatever ends a session, the client comes back."""
    errors = [UnreachableError("gone"), NotAdmittedError("401"), MalformedError("garbage"), None]
    story.refuse = lambda _: errors.pop(0) if errors else None

    async def play(story: Story) -> None:
        await story.until(lambda: len(story.links) == 1)
        story.links[0].break_off(UnreachableError("broke off"))
        await story.until(lambda: len(story.links) == 2)

    story.tell(play)
    assert len(story.opened) == 5


def test_the_servers_pause_is_kept(story: Story) -> None:
    """A pause that the server asked for is never cut short, by whichever way it was asked."""
    waited: list[float] = []
    unavailable = opamp_pb2.ServerToAgent()
    unavailable.error_response.type = opamp_pb2.ServerErrorResponseType_Unavailable
    unavailable.error_response.retry_info.retry_after_nanoseconds = 300_000_000
    refused = opamp_pb2.ServerToAgent()
    refused.error_response.type = opamp_pb2.ServerErrorResponseType_BadRequest

    async def play(story: Story) -> None:
        await story.until(lambda: len(story.links) == 1)
        story.links[0].say(refused)
        story.links[0].say(unavailable)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await story.until(lambda: len(story.links) == 2)
        waited.append(loop.time() - began)

    story.tell(play)
    assert waited[0] >= 0.3


def test_without_a_valid_certificate_the_client_waits(story: Story) -> None:
    """An expired certificate opens no connection; stopping does not wait for the pause to end."""
    story.now = datetime(2030, 1, 1, tzinfo=UTC)

    async def play(story: Story) -> None:
        await asyncio.sleep(0)

    story.tell(play, reconnect_max_seconds=3600)
    assert story.opened == []


def test_a_damaged_credential_is_not_the_end(story: Story) -> None:
    """A file that cannot be read is reported and looked at again."""
    [credential] = story.credentials.usable(NOW)
    whole = credential.chain.read_bytes()
    credential.chain.write_text("x")

    async def play(story: Story) -> None:
        await asyncio.sleep(0.02)
        credential.chain.write_bytes(whole)
        await story.until(lambda: len(story.links) == 1)

    story.tell(play)
