"""The threat: somebody gets in by a bearer token that is not his, or that is no token any more.

Each case is tried on both transports over a real listener and ends in 401; nothing of a secret is written.
"""

import logging
from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidStatus

from keys.certificate import BearerId, Reason
from keys.identity import AgentId
from tests.fakes.authority import BEARER_SECRET
from tests.fakes.certificates import agent
from tests.fakes.databases import journalled, journalled_once
from tests.fakes.listening import PATH, Identity, Listening, listening
from tests.fakes.wire_client import answer, close_of, description, http_client, post, said, tell, websocket

ATTACKER = agent(7777)


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("listener")) as here:
        here.work.bearer(here.new_agent(), "live")
        here.work.bearer(here.new_agent(), "revoked")
        here.work.grants.revoke_token(BearerId("revoked"), "operator:ann", here.work.clock())
        of_a_banned = here.new_agent()
        here.work.bearer(of_a_banned, "banned")
        here.work.authority.revoke(
            of_a_banned, Reason.KEY_COMPROMISE, "operator:ann", here.work.clock(), ban=True
        )
        yield here


GUESSES = {
    "an_unknown_id": f"nobody.{BEARER_SECRET}",
    "a_wrong_secret": "live." + "A" * 43,
    "a_secret_cut_short": f"live.{BEARER_SECRET[:-1]}",
    "a_secret_with_more": f"live.{BEARER_SECRET}x",
    "the_id_alone": "live",
    "an_empty_secret": "live.",
    "the_stored_hash": "live." + "0" * 64,
    "a_revoked_one": f"revoked.{BEARER_SECRET}",
    "one_of_a_banned_agent": f"banned.{BEARER_SECRET}",
    "upper_case": f"LIVE.{BEARER_SECRET}",
    "a_long_one": "live." + "x" * 240,
    "a_path": f"../live.{BEARER_SECRET}",
}


def _refused(at: Listening, **how: str) -> str:
    """Try to connect; return the words of the 401."""
    with pytest.raises(InvalidStatus) as caught, websocket(at, **how):  # type: ignore[arg-type] # words
        pass
    assert caught.value.response.status_code == 401
    return bytes(caught.value.response.body or b"").decode()


@pytest.mark.parametrize("guess", GUESSES.values(), ids=list(GUESSES))
def test_guessing_with(at: Listening, guess: str) -> None:
    """Every wrong token is refused in the same words: nobody learns which part was right."""
    assert _refused(at, bearer=guess) == "bearer token is not one of ours\n"
    with http_client(at) as pool:
        response = post(pool, said(ATTACKER, agent_description=description()), bearer=guess)
        assert (response.status, response.data) == (401, b"bearer token is not one of ours\n")
    assert at.registry.view(ATTACKER).description is None


@pytest.mark.parametrize("query", ["access_token=", "token=", "authorization=Bearer%20", "bearer="])
def test_a_token_in_the_address(at: Listening, query: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is not looked at, and it is not written down: addresses end in logs on the way."""
    with caplog.at_level(logging.DEBUG):
        path = f"{PATH}?{query}live.{BEARER_SECRET}"
        assert "neither a client certificate" in _refused(at, path=path)
        with http_client(at) as pool:
            response = pool.request(
                "POST", path, body=b"", headers={"Content-Type": "application/x-protobuf"}
            )
            assert response.status == 401
    # The client's own libraries, and the shell's log of requests, which the listener turned off for good.
    foreign = ("urllib3", "websockets", "uvicorn.access")
    assert not logging.getLogger("uvicorn.access").propagate
    mine = [record for record in caplog.records if not record.name.startswith(foreign)]
    assert BEARER_SECRET not in repr([record.__dict__ for record in mine])


def test_guesses_do_not_fill_the_journal(at: Listening) -> None:
    """A hundred of them are one entry within the hour, and no secret is in any."""
    with http_client(at) as pool:
        for number in range(100):
            post(pool, said(ATTACKER), bearer=f"live.{number:043d}")
    assert len(journalled_once(at.work.database, "connection.refused", "peer with a bearer token")) == 1
    everything = repr(journalled(at.work.database))
    assert BEARER_SECRET not in everything
    assert f"{7:043d}" not in everything


def test_anothers_token_beside_a_certificate(at: Listening) -> None:
    """The certificate counts: whose token it is plays no part, and a bad certificate is not made good."""
    mine: Identity = at.enrolled()
    with websocket(at, mine, bearer=f"live.{BEARER_SECRET}") as connection:
        reply = tell(connection, said(mine.agent, agent_description=description()))
        assert AgentId.from_bytes(reply.instance_uid) == mine.agent
        assert close_of_other(at, connection, mine)
    at.work.authority.revoke(mine.agent, Reason.KEY_COMPROMISE, "operator:ann", at.work.clock())
    with pytest.raises(InvalidStatus) as caught, websocket(at, mine, bearer=f"live.{BEARER_SECRET}"):
        pass
    assert caught.value.response.status_code == 401


def close_of_other(at: Listening, connection: object, mine: Identity) -> bool:
    """Say that the holder of the certificate is another agent; it is refused as without the token."""
    error = tell(connection, said(ATTACKER, 1)).error_response  # type: ignore[arg-type] # a connection
    assert str(mine.agent) in error.error_message
    return close_of(connection)[0] == 1008  # type: ignore[arg-type] # a connection


def test_an_enrollment_token_is_no_bearer_token_nor_the_other_way_round(at: Listening) -> None:
    """Each kind is looked for among its own."""
    enrolling = at.work.token("t-enrolls")
    assert _refused(at, bearer=enrolling) == "bearer token is not one of ours\n"
    who = at.new_agent()
    presented = at.work.bearer(who, "enrolls-nobody")
    with http_client(at) as pool:
        response = post(pool, said(who, agent_description=description()), token=presented)
        assert answer(response).HasField("agent_identification") is False
    assert at.registry.view(who).description is None


def test_a_stored_database_opens_nothing(at: Listening) -> None:
    """Whoever reads the rows has a hash of 256 random bits, and no secret."""
    [row] = at.work.grants.tokens_of(at.work.admission.prove(f"live.{BEARER_SECRET}")[1].agent)
    assert BEARER_SECRET.encode() not in row.secret_sha256
    assert _refused(at, bearer=f"live.{row.secret_sha256.hex()}") == "bearer token is not one of ours\n"
