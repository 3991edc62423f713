"""OpAMP over WebSocket, over real TLS on loopback."""

import time
from collections.abc import Callable

import pytest
from opamp.v1 import opamp_pb2
from websockets.exceptions import InvalidStatus
from websockets.frames import CloseCode

from distribution.domain.agent import Plan
from distribution.errors import PolicyError
from distribution.fleet import agents
from distribution.protocol.offers import SERVER_CAPABILITIES
from keys.certificate import Issued
from tests.fakes.certificates import csr, new_key
from tests.fakes.databases import journalled
from tests.fakes.listening import Listening
from tests.fakes.offers import an_offer
from tests.fakes.wire_client import (
    WAIT_SECONDS,
    close_of,
    description,
    heard,
    request_for,
    said,
    tell,
    websocket,
)

pytestmark = pytest.mark.usefixtures("quiet_plan")


def until(condition: Callable[[], object]) -> None:
    """Wait for what another thread is about to do."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not happen")
        time.sleep(0.005)


def test_agent_is_greeted_and_remembered(at: Listening) -> None:
    """The first message is answered with the server's capabilities, and the fleet knows the agent."""
    identity = at.enrolled()
    with websocket(at, identity) as connection:
        reply = tell(connection, said(identity.agent, agent_description=description()))
        assert (reply.instance_uid, reply.capabilities) == (identity.agent.raw, SERVER_CAPABILITIES)
        view = at.registry.find(identity.agent)
        assert (view.connected, view.platform) == (True, "linux-amd64")
        bare = opamp_pb2.ServerToAgent(instance_uid=identity.agent.raw)
        assert [tell(connection, said(identity.agent, number)) for number in (1, 2)] == [bare, bare]
    until(lambda: not at.registry.find(identity.agent).connected)


def test_offer_comes_with_the_first_answer_and_again_when_woken(at: Listening) -> None:
    """A plan is offered once; a changed one is pushed at once, without a message of the agent."""
    identity = at.enrolled()
    at.plans.plan = Plan(an_offer("1.0.0"), 30)
    with websocket(at, identity) as connection:
        first = tell(connection, said(identity.agent, agent_description=description()))
        second = tell(connection, said(identity.agent, 1))
        at.plans.plan = Plan(an_offer("1.1.0"), 30)
        at.hub.wake()
        pushed = heard(connection)
    assert first.packages_available.packages["otelcol"].version == "1.0.0"
    assert not second.HasField("packages_available")
    assert pushed.packages_available.packages["otelcol"].version == "1.1.0"


def test_wake_of_one_agent_reads_its_new_labels(at: Listening) -> None:
    """An operator's labels reach the plan with the wake-up that follows them, and nobody else is woken."""
    one, other = at.enrolled(), at.enrolled()
    with websocket(at, one) as first, websocket(at, other) as second:
        tell(first, said(one.agent, agent_description=description()))
        tell(second, said(other.agent, agent_description=description()))
        at.registry.introduce(one.agent)
        with at.work.database.write() as connection:
            agents.set_labels(connection, one.agent, {"ring": "canary"})
        at.plans.plan = Plan(an_offer("2.0.0"), 30)
        at.plans.asked.clear()
        at.hub.wake([one.agent])
        assert heard(first).packages_available.packages["otelcol"].version == "2.0.0"
        assert [(view.uid, view.labels) for view in at.plans.asked] == [(one.agent.uuid, {"ring": "canary"})]
        assert not tell(second, said(other.agent, 1)).HasField("packages_available")


@pytest.mark.parametrize("error", [PolicyError("two channels fit"), KeyError("bug")], ids=["ours", "bug"])
def test_plan_that_cannot_be_decided_offers_nothing(at: Listening, error: Exception) -> None:
    """An error in deciding never becomes an offer, not even an empty one; the agent's view says why."""
    identity = at.enrolled()
    at.plans.error = error
    with websocket(at, identity) as connection:
        reply = tell(connection, said(identity.agent, agent_description=description()))
    assert not reply.HasField("packages_available")
    assert at.registry.find(identity.agent).problem in ("two channels fit", "internal error")


def test_stranger_enrolls_and_returns_with_its_certificate(at: Listening) -> None:
    """A token and a request become complete settings with a certificate that opens the door."""
    who, key, token = at.new_agent(), new_key(), at.work.token("stranger")
    at.plans.plan = Plan(an_offer(), 30)
    with websocket(at, token=token) as connection:
        hello = tell(connection, said(who, connection_settings_request=request_for(csr(key, who))))
        offered = heard(connection).connection_settings
    assert not hello.HasField("packages_available")
    settings = offered.opamp
    assert settings.destination_endpoint == "wss://127.0.0.1:4320/v1/opamp"
    assert (settings.tls.ca_pem_contents, settings.heartbeat_interval_seconds) == (at.work.ca.root_pem, 30)
    held = at.work.credentials(who)[0]
    assert settings.certificate.cert == held.chain_pem
    identity = at.keep(
        who, key, Issued(held.serial, who, held.slot, held.chain_pem, held.not_before, held.not_after)
    )
    with websocket(at, identity) as connection:
        news = said(who, 1, agent_description=description())
        assert tell(connection, news).HasField("packages_available")


def test_enrolling_peer_changes_nothing_that_is_known(at: Listening) -> None:
    """Whom a stranger says he is changes nothing at the agent of that name."""
    identity = at.enrolled()
    with websocket(at, identity) as mine:
        tell(mine, said(identity.agent, agent_description=description()))
        before = at.registry.find(identity.agent)
        with websocket(at, token=at.work.token("impostor")) as other:
            tell(other, said(identity.agent, 7, agent_disconnect=opamp_pb2.AgentDisconnect()))
        assert at.registry.find(identity.agent) == before


def test_renewed_credential_is_promoted_by_its_first_message(at: Listening) -> None:
    """The next certificate becomes the current one when it is used; the old one's connections are cut."""
    identity, key = at.enrolled(), new_key()
    who = identity.agent
    with websocket(at, identity) as old:
        tell(old, said(who, connection_settings_request=request_for(csr(key, who))))
        chain = heard(old).connection_settings.opamp.certificate.cert
        held = next(held for held in at.work.credentials(who) if held.chain_pem == chain)
        renewed = at.keep(
            who, key, Issued(held.serial, who, held.slot, chain, held.not_before, held.not_after)
        )
        with websocket(at, renewed) as new:
            tell(new, said(who, 1))
            code, reason = close_of(old)
            assert tell(new, said(who, 2)).instance_uid == who.raw
            assert at.registry.find(who).connected
    assert (code, reason) == (
        CloseCode.POLICY_VIOLATION,
        f"its certificate was superseded by serial {held.serial}",
    )
    assert at.work.admission.serials_of(who) == (held.serial,)


def test_refused_request_is_answered_and_ends_a_strangers_connection(at: Listening) -> None:
    """A token that admits nobody is said to, as a bad request, and the connection is closed."""
    who = at.new_agent()
    with websocket(at, token="nobody.secret") as connection:
        tell(connection, said(who, connection_settings_request=request_for(csr(new_key(), who))))
        error = heard(connection).error_response
        code, _ = close_of(connection)
    assert error.type == opamp_pb2.ServerErrorResponseType_BadRequest
    assert "token" in error.error_message
    assert code == CloseCode.POLICY_VIOLATION


def test_package_events_are_journalled(at: Listening) -> None:
    """What an agent installs or fails to install is in the journal, by whom and what."""
    identity, offer = at.enrolled(), an_offer("3.1.4")
    package = offer.packages[0]
    at.plans.plan = Plan(offer, 30)
    statuses = opamp_pb2.PackageStatuses(
        packages={
            "otelcol": opamp_pb2.PackageStatus(
                name="otelcol",
                agent_has_version="3.1.4",
                agent_has_hash=package.hash,
                status=opamp_pb2.PackageStatusEnum_Installed,
            )
        },
        server_provided_all_packages_hash=offer.hash,
    )
    with websocket(at, identity) as connection:
        tell(connection, said(identity.agent, package_statuses=statuses))
        until(lambda: "package.installed" in at.kinds())
    entry = next(entry for entry in journalled(at.work.database) if entry.kind == "package.installed")
    assert (entry.actor, entry.subject) == (f"agent:{identity.agent}", "package:acme/otelcol@3.1.4")
    assert entry.detail["path"] == "acme/otelcol/3.1.4/linux-amd64/otelcol"


def test_wrong_path_is_not_found(at: Listening) -> None:
    """Only the one path speaks OpAMP."""
    with pytest.raises(InvalidStatus) as refused, websocket(at, at.enrolled(), path="/elsewhere"):
        pass
    assert refused.value.response.status_code == 404


def test_peer_that_shows_nothing_is_told_how_to_enroll(at: Listening) -> None:
    """Without a certificate and without a token there is 401, with the scheme of a token."""
    with pytest.raises(InvalidStatus) as refused, websocket(at):
        pass
    response = refused.value.response
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Enrollment")


def test_token_beyond_reason_is_none(at: Listening) -> None:
    """A token that is longer than any of ours is as good as nothing."""
    with pytest.raises(InvalidStatus) as refused, websocket(at, token="x" * 300):
        pass
    assert refused.value.response.status_code == 401


def test_ping_is_answered(at: Listening) -> None:
    """Control frames are the library's, and the connection goes on after them."""
    identity = at.enrolled()
    with websocket(at, identity) as connection:
        assert connection.ping(b"here").wait(WAIT_SECONDS)
        assert tell(connection, said(identity.agent)).instance_uid == identity.agent.raw
