"""What is done late for an agent that was revoked or reset: it brings nothing of the former holder back."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from opamp.v1 import opamp_pb2

from distribution.domain.agent import Plan
from distribution.domain.liveness import Liveness
from distribution.errors import ConflictError
from distribution.fleet import documents
from distribution.fleet.documents import Kind
from distribution.fleet.holders import Holders
from distribution.flows.reset import reset
from distribution.flows.revoke import revoke
from keys.certificate import Reason
from tests.fakes.besieged_agent import wait_until
from tests.fakes.certificates import agent
from tests.fakes.listening import Identity, Listening, listening
from tests.fakes.wire_client import answer, description, http_client, post, said, tell, websocket


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("listener")) as here:
        here.plans.plan = Plan(None, 30)
        yield here


def speaks(identity: Identity, sequence: int = 0) -> opamp_pb2.AgentToServer:
    """Return what it says of itself and of what it runs."""
    effective = opamp_pb2.EffectiveConfig()
    effective.config_map.config_map[""].body = b"of: its former holder"
    return said(identity.agent, sequence, agent_description=description(), effective_config=effective)


def say_over_http(at: Listening, identity: Identity) -> None:
    """Have it say that in a poll, and its words lie on the desk."""
    with http_client(at, identity) as pool:
        answer(post(pool, speaks(identity)))
    assert at.examiner.reached.wait(10)


def say_over_websocket(at: Listening, identity: Identity) -> None:
    """The same on a socket, which ends."""
    with websocket(at, identity) as connection:
        tell(connection, speaks(identity))
        assert at.examiner.reached.wait(10)


def reset_now(at: Listening, identity: Identity) -> None:
    """Take away all that it has, as an operator does."""
    reset(
        at.work.authority,
        at.hub,
        at.work.database,
        at.registry,
        identity.agent,
        lift_ban=False,
        leave_given_to_next_holder=False,
        actor="operator:ann",
        clock=at.work.clock,
        stopwatch=time.monotonic,
    )


def has_document(at: Listening, identity: Identity) -> bool:
    """Whether an effective configuration is kept of it."""
    with at.work.database.read() as connection:
        return documents.find(connection, identity.agent, Kind.EFFECTIVE) is not None


def is_worked_off(at: Listening) -> None:
    """Wait until what lay on the desk is done, by what another agent says after it."""
    last = at.enrolled()
    with websocket(at, last) as connection:
        tell(connection, speaks(last))
    wait_until(lambda: at.registry.find(last.agent).effective is not None)


def test_a_revoked_agent_does_not_count_as_connected_again(at: Listening) -> None:
    """What it polled with is examined when it is banned."""
    identity = at.enrolled()
    with at.examiner.held_up():
        say_over_http(at, identity)
        revoke(
            at.work.authority,
            at.hub,
            at.work.database,
            identity.agent,
            Reason.KEY_COMPROMISE,
            ban=True,
            actor="operator:ann",
            clock=at.work.clock,
            stopwatch=time.monotonic,
        )
    is_worked_off(at)
    assert not at.registry.find(identity.agent).connected
    assert at.registry.live(identity.agent) is not Liveness.CONNECTED


@pytest.mark.parametrize("say", [say_over_http, say_over_websocket], ids=["http", "websocket"])
def test_a_reset_agent_is_as_if_it_had_never_spoken(
    at: Listening, say: Callable[[Listening, Identity], None]
) -> None:
    """What its former holder reported waits to be examined; the next one is not taken for him."""
    identity = at.enrolled()
    with ThreadPoolExecutor(1) as operator:
        with at.examiner.held_up():
            say(at, identity)
            done = operator.submit(reset_now, at, identity)
            wait_until(lambda: at.registry.holders.number(identity.agent) == 1)
            wait_until(lambda: not at.hub.is_connected(identity.agent))
            assert not done.done(), "a reset does not wait for what is being written"
        done.result(10)
    is_worked_off(at)
    known = at.registry.find(identity.agent)
    assert (known.connected, known.description, known.effective) == (False, None, None)
    assert not has_document(at, identity)


def test_what_waits_behind_another_is_void(at: Listening) -> None:
    """A reset waits for nobody else's report; what lies behind that is not written any more."""
    first, identity = at.enrolled(), at.enrolled()
    with at.examiner.held_up():
        say_over_websocket(at, first)
        say_over_websocket(at, identity)
        reset_now(at, identity)
    is_worked_off(at)
    assert has_document(at, first)
    assert not has_document(at, identity)
    assert at.registry.find(identity.agent).description is None


def test_nothing_is_written_for_a_former_holder() -> None:
    """His words wait in a queue when he ends."""
    holders, who = Holders(), agent(1)
    number = holders.number(who)
    with holders.held(who, number):
        pass
    holders.end(who)
    with pytest.raises(ConflictError, match="was reset"), holders.held(who, number):
        raise AssertionError("it would be written")
    assert holders.number(agent(2)) == 0, "another agent's number"


def test_the_next_holder_who_came_too_early(at: Listening) -> None:
    """He is let in before the reset has come to its end: he is not void for as long as he stays."""
    identity = at.enrolled()
    with websocket(at, identity) as connection:
        tell(connection, speaks(identity))
        at.registry.holders.end(identity.agent)
        assert "connect again" in tell(connection, speaks(identity, 1)).error_response.error_message
    with http_client(at, identity) as pool:
        answer(post(pool, speaks(identity)))
        at.registry.holders.end(identity.agent)
        assert answer(post(pool, speaks(identity, 1))).capabilities, "his conversation begins anew"
    with websocket(at, identity) as connection:
        assert not tell(connection, speaks(identity)).HasField("error_response")
