"""Certificates by an operator's order, used over a real listener: the first, the next, after a revocation."""

import time
from collections.abc import Callable, Iterator

import pytest
from websockets.exceptions import InvalidStatus
from websockets.frames import CloseCode

from keys.certificate import Issued, Reason
from keys.identity import AgentId
from tests.fakes.certificates import new_key, pem, request_builder
from tests.fakes.listening import Identity, Listening, listening
from tests.fakes.wire_client import (
    answer,
    close_of,
    description,
    http_client,
    post,
    said,
    tell,
    websocket,
)

OPERATOR = "operator:ann"


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("listener")) as here:
        yield here


def _ordered(at: Listening, who: AgentId, **labels: str) -> Identity:
    """Have a request that names the agent as its common name certified, as a file would bring it."""
    key = new_key()
    request = pem(request_builder(common_names=[str(who)]), key)
    issued: Issued = at.work.authority.certify(request, None, labels, OPERATOR, at.work.clock())
    return at.keep(who, key, issued)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("transport", ["websocket", "http"])
def test_a_file_makes_an_agent(at: Listening, transport: str) -> None:
    """It is let in by it at once, with the order's labels, and no token was ever shown."""
    who = at.new_agent()
    mine = _ordered(at, who, ring="a")
    first = said(who, agent_description=description())
    if transport == "websocket":
        with websocket(at, mine) as connection:
            reply = tell(connection, first)
    else:
        with http_client(at, mine) as pool:
            reply = answer(post(pool, first))
    assert (reply.HasField("error_response"), AgentId.from_bytes(reply.instance_uid)) == (False, who)
    view = at.registry.view(who)
    assert (view.platform, dict(view.labels)) == ("linux-amd64", {"ring": "a"})


@pytest.mark.parametrize("transport", ["websocket", "http"])
def test_the_next_file_takes_the_first_ones_place(at: Listening, transport: str) -> None:
    """Both are let in until the next one is used; then the old connection is cut and the old file refused."""
    who = at.new_agent()
    old, new = _ordered(at, who), _ordered(at, who)
    with websocket(at, old) as before:
        tell(before, said(who, 0, agent_description=description()))
        if transport == "websocket":
            with websocket(at, new) as connection:
                assert not tell(connection, said(who, 1)).HasField("error_response")
                code, reason = close_of(before)
        else:
            with http_client(at, new) as pool:
                assert post(pool, said(who, 1)).status == 200
                code, reason = close_of(before)
    assert (code, "was superseded" in reason) == (CloseCode.POLICY_VIOLATION, True)
    assert at.work.admission.serials_of(who) == (new.issued.serial,)
    with pytest.raises(InvalidStatus) as caught, websocket(at, old):
        pass
    assert caught.value.response.status_code == 401


def test_an_agent_that_enrolled_by_token_goes_on_with_a_file(at: Listening) -> None:
    """However it came in, the order is its next certificate."""
    enrolled = at.enrolled()
    mine = _ordered(at, enrolled.agent)
    with websocket(at, mine) as connection:
        tell(connection, said(enrolled.agent, agent_description=description()))
        _until(lambda: at.work.admission.serials_of(enrolled.agent) == (mine.issued.serial,))


def test_a_token_and_a_file_beside_each_other(at: Listening) -> None:
    """The certificate counts; the token alone still lets the same agent in; one revocation ends both."""
    who = at.new_agent()
    presented = at.work.bearer(who, "beside-a-file")
    mine = _ordered(at, who)
    with websocket(at, mine, bearer=presented) as by_file, websocket(at, bearer=presented) as by_token:
        tell(by_file, said(who, 0, agent_description=description()))
        tell(by_token, said(who, 1, agent_description=description()))
        gone = at.work.authority.revoke(who, Reason.KEY_COMPROMISE, OPERATOR, at.work.clock())
        assert at.hub.cut(gone.credentials, f"agent {who} was revoked") == 2
        assert {close_of(by_file)[0], close_of(by_token)[0]} == {CloseCode.POLICY_VIOLATION}


def test_a_file_that_was_made_before_a_revocation_is_worth_nothing(at: Listening) -> None:
    """The next certificate that was never used ends with the current one."""
    who = at.new_agent()
    _ordered(at, who)
    waiting = _ordered(at, who)
    at.work.authority.revoke(who, Reason.KEY_COMPROMISE, OPERATOR, at.work.clock())
    with pytest.raises(InvalidStatus) as caught, websocket(at, waiting):
        pass
    assert caught.value.response.status_code == 401
