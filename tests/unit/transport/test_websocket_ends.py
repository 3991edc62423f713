"""How WebSocket connections end: cut, timed out, stopped, broken, overloaded. Over real TLS on loopback."""

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from opamp.v1 import opamp_pb2
from uvicorn.server import ServerState
from websockets.frames import CloseCode

from distribution.errors import BusyError
from distribution.transport.websocket import UNREADABLE_MAX, AgentSocket
from distribution.transport.worker import Worker
from keys.certificate import Issued, Reason
from keys.errors import NotAdmittedError
from storage.errors import UnavailableError
from tests.fakes.certificates import csr, new_key
from tests.fakes.listening import Listening, listening
from tests.fakes.wire_client import (
    WAIT_SECONDS,
    close_of,
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


def test_trouble_of_ours_is_told_as_such(
    at: Listening, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A database that does not answer is not the agent's fault: it may ask again, the log has the cause."""

    def unavailable(*_args: object) -> Issued:
        raise UnavailableError("the disk at /secret is full")

    identity = at.enrolled()
    monkeypatch.setattr(at.work.authority, "renew", unavailable)
    with websocket(at, identity) as connection:
        request = request_for(csr(new_key(), identity.agent))
        tell(connection, said(identity.agent, connection_settings_request=request))
        error = heard(connection).error_response
        assert tell(connection, said(identity.agent, 1)).instance_uid == identity.agent.raw
    assert error.type == opamp_pb2.ServerErrorResponseType_Unavailable
    assert (error.error_message, error.retry_info.retry_after_nanoseconds) == (
        "temporarily unavailable",
        30_000_000_000,
    )
    assert "message could not be handled" in caplog.text


def test_promotion_that_fails_is_tried_with_the_next_connection(
    at: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the old credential could not be ended, the agent is asked to come again."""
    identity, key = at.enrolled(), new_key()
    issued = at.work.authority.renew(
        csr(key, identity.agent), identity.issued.serial, identity.agent, at.work.clock()
    )
    renewed = at.keep(identity.agent, key, issued)

    def unavailable(*_args: object) -> tuple[()]:
        raise UnavailableError("no turn")

    with monkeypatch.context() as broken:
        broken.setattr(at.work.authority, "promote", unavailable)
        with websocket(at, renewed) as connection:
            tell(connection, said(identity.agent))
            assert close_of(connection)[0] == CloseCode.TRY_AGAIN_LATER
    assert set(at.work.admission.serials_of(identity.agent)) == {identity.issued.serial, issued.serial}
    with websocket(at, renewed) as connection:
        tell(connection, said(identity.agent, 1))
        until(lambda: at.work.admission.serials_of(identity.agent) == (issued.serial,))


def test_credential_that_ends_is_found_on_a_silent_connection(
    at: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The regular check closes a connection whose certificate ran out, without waiting for a message."""
    identity = at.enrolled()
    with websocket(at, identity) as connection:
        tell(connection, said(identity.agent))
        with monkeypatch.context() as later:
            later.setattr(at.work.clock, "now", identity.issued.not_after + timedelta(seconds=1))
            at.check_now()
            code, reason = close_of(connection)
    assert code == CloseCode.POLICY_VIOLATION
    assert str(identity.issued.serial) in reason


def test_enrolling_does_not_last_for_ever(at: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's connection is closed when its time is over."""
    monkeypatch.setattr("distribution.transport.websocket.ENROLLING_SECONDS", -1.0)
    with websocket(at, token=at.work.token("slow")) as connection:
        tell(connection, said(at.new_agent()))
        at.check_now()
        assert close_of(connection)[0] == CloseCode.POLICY_VIOLATION


def test_revocation_reaches_the_socket_before_the_cut_returns(at: Listening) -> None:
    """When `cut` comes back, what the agent says is heard no more; then it reads why, and the end."""
    identity = at.enrolled()
    watch = at.watches.open(identity.agent, lambda: None)
    with websocket(at, identity) as connection:
        tell(connection, said(identity.agent))
        watch.take()
        revoked = at.work.authority.revoke(
            identity.agent, Reason.KEY_COMPROMISE, "operator:ann", at.work.clock()
        )
        assert at.hub.cut(revoked.serials, "agent was revoked") == 1
        assert at.hub.cut(revoked.serials, "agent was revoked") == 0
        error = heard(connection).error_response
        code, reason = close_of(connection)
    assert error.error_message == "connection is cut: agent was revoked"
    assert (code, reason) == (CloseCode.POLICY_VIOLATION, "agent was revoked")
    at.watches.close(watch)
    shown = watch.take()[-1]  # who watches sees the cut itself, not only what is refused later
    assert (shown["direction"], shown["said"]) == (
        "to agent",
        {"error": {"type": "unknown", "text": error.error_message}, "close": "agent was revoked"},
    )


def test_server_that_stops_says_so(tmp_path: Path) -> None:
    """Whoever is connected when the server stops is told to come again, and is not waited for."""
    with ExitStack() as stack:
        with listening(tmp_path) as here:
            identity = here.enrolled()
            connection = stack.enter_context(websocket(here, identity))
            tell(connection, said(identity.agent))
        assert close_of(connection)[0] == CloseCode.SERVICE_RESTART


def test_bug_ends_one_connection_and_not_the_server(
    at: Listening, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error that nobody foresaw is logged, told as ours, and closes the connection it came up in."""

    def bug(*_args: object) -> None:
        raise ValueError("secret detail")

    identity = at.enrolled()
    with websocket(at, identity) as connection, monkeypatch.context() as broken:
        broken.setattr(at.exchange, "hear", bug)
        error = tell(connection, said(identity.agent)).error_response
        assert close_of(connection)[0] == CloseCode.INTERNAL_ERROR
    assert error.error_message == "internal error"
    assert "secret detail" in caplog.text
    with websocket(at, identity) as connection:
        assert tell(connection, said(identity.agent)).instance_uid == identity.agent.raw


def test_full_queue_sends_the_agent_away_for_a_while(at: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate request that cannot be taken now is asked for again on a later connection."""
    identity = at.enrolled()
    with websocket(at, identity) as connection, monkeypatch.context() as full:
        full.setattr(Worker, "submit", _full)
        request = request_for(csr(new_key(), identity.agent))
        tell(connection, said(identity.agent, connection_settings_request=request))
        error = heard(connection).error_response
        assert close_of(connection)[0] == CloseCode.TRY_AGAIN_LATER
    assert error.type == opamp_pb2.ServerErrorResponseType_Unavailable


def test_full_queue_loses_no_more_than_a_package_event(
    at: Listening, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An event that cannot be journalled now is logged; the agent is answered. A refusal stays a refusal."""
    identity, other = at.enrolled(), at.new_agent()
    failed = opamp_pb2.PackageStatus(name="x", status=opamp_pb2.PackageStatusEnum_InstallFailed)
    with websocket(at, identity) as connection, monkeypatch.context() as full:
        full.setattr(Worker, "submit", _full)
        statuses = opamp_pb2.PackageStatuses(packages={"x": failed})
        reply = tell(connection, said(identity.agent, package_statuses=statuses))
        assert not reply.HasField("error_response")
        assert tell(connection, said(other, 1)).HasField("error_response")
        assert close_of(connection)[0] == CloseCode.POLICY_VIOLATION
    assert "effect is not carried out" in caplog.text
    assert "refusal could not be noted" in caplog.text


def test_promotion_of_what_was_revoked_meanwhile_is_a_cut(
    at: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the ledger says no after admission said yes, the connection is closed."""
    identity, key = at.enrolled(), new_key()
    who = identity.agent
    issued = at.work.authority.renew(csr(key, who), identity.issued.serial, who, at.work.clock())

    def gone(*_args: object) -> tuple[()]:
        raise NotAdmittedError("no longer live")

    monkeypatch.setattr(at.work.authority, "promote", gone)
    with websocket(at, at.keep(who, key, issued)) as connection:
        tell(connection, said(who))
        assert close_of(connection) == (CloseCode.POLICY_VIOLATION, "no longer live")


def _full(*_args: object) -> None:
    raise BusyError("10000 orders wait, no more are taken")


class StoppedReader:
    """A transport whose peer does not read; notes what is done to it."""

    def __init__(self) -> None:
        self.noted: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_args: self.noted.append(name)


def test_peer_that_does_not_read_is_not_heard(at: Listening) -> None:
    """While answers pile up nothing more is taken from the connection."""
    link = AgentSocket(config=object(), server_state=ServerState(), app_state={}, desk=object())  # type: ignore[arg-type] # none of it is touched
    transport = StoppedReader()
    link._transport = transport  # type: ignore[assignment] # as above

    async def story() -> None:
        link.pause_writing()
        link.resume_writing()
        link.buffer_updated(5)
        link.wake()
        link.check()
        link.eof_received()

    asyncio.run(story())
    assert transport.noted == ["pause_reading", "resume_reading"]


def test_late_outcome_finds_nobody(at: Listening) -> None:
    """What the worker finishes after the connection is gone is told to nobody."""
    link = AgentSocket(config=object(), server_state=ServerState(), app_state={}, desk=object())  # type: ignore[arg-type] # none of it is touched
    link._certified(None)
    link._deaf = True
    link._promoted(UnavailableError("no turn"))
    assert link.cut("late") == 0
    link.shutdown()


def test_who_sends_nothing_but_rubbish_is_not_heard_for_ever(at: Listening) -> None:
    """A few messages that cannot be read are answered; then the connection ends, whoever it is."""
    with websocket(at, token="t.x") as connection:
        for _ in range(UNREADABLE_MAX):
            connection.send(b"")
        code, reason = close_of(connection)
    assert (code, reason) == (CloseCode.POLICY_VIOLATION, f"{UNREADABLE_MAX} messages could not be read")
