"""A token of the operators' API that is guessed, over, or reaches too far: refused and journalled."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from distribution.flows import operators
from storage import journal
from storage.journal import Entry
from tests.fakes.operators_api import Api, operators_api

FLOOD = 300


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with operators_api(tmp_path) as api:
        yield api


def refused(api: Api) -> list[Entry]:
    """Return the journalled refusals; the journal itself is whole."""
    with api.services.database.read() as connection:
        journal.verify(connection, None)
    return [entry for entry in api.journal() if entry.kind == "operator.refused"]


def guess(api: Api, *tokens: str) -> set[int]:
    """Call with each of these tokens at once; return the statuses."""

    async def knock() -> set[int]:
        transport = httpx.ASGITransport(app=api.app, client=("192.0.2.7", 1))
        async with httpx.AsyncClient(transport=transport, base_url="https://qm") as client:
            calls = [
                client.get("/api/v1/agents", headers={"Authorization": f"Bearer {token}"}) for token in tokens
            ]
            return {answer.status_code for answer in await asyncio.gather(*calls)}

    return asyncio.run(knock())


def test_a_guessed_token(api: Api) -> None:
    """The secret is guessed for a name that exists: 401, and an entry that says from where."""
    api.token("security")
    assert guess(api, "op0.guessed") == {401}
    [entry] = refused(api)
    assert (entry.actor, entry.subject) == ("peer", "unknown token")
    assert "GET /agents from 192.0.2.7" in str(entry.detail["why"])


def test_a_flood_of_guesses(api: Api) -> None:
    """However many are tried, with whatever names, the journal grows by one entry, and work goes on."""
    assert guess(api, *(f"op{number}.guessed" for number in range(FLOOD))) == {401}
    assert len(refused(api)) == 1
    assert api.call("GET", "/api/v1/agents", "read").status_code == 200
    api.work.clock.advance(timedelta(hours=1))
    assert guess(api, "op.guessed") == {401}
    assert refused(api)[-1].detail["left_out"] == FLOOD - 1


@pytest.mark.parametrize("end", ["revoked", "expired"])
def test_a_token_that_is_over(api: Api, end: str) -> None:
    """Its secret is right and its time is over: 401, and an entry that names the operator and the time."""
    token = api.token("read")
    if end == "revoked":
        operators.revoke(api.services.database, "op0", actor="operator:root", now=api.work.clock())
    else:
        api.work.clock.advance(timedelta(days=30))
    assert guess(api, token) == {401}
    [entry] = refused(api)
    assert (entry.actor, entry.subject) == ("operator:op0", "operator:op0")
    assert f"token of operator 'op0' {'was ' if end == 'revoked' else ''}{end} at" in str(entry.detail["why"])


def test_a_scope_that_does_not_reach(api: Api) -> None:
    """A pipeline tries to revoke an agent: 403, an entry with operator and both scopes; the agent stays."""
    who = api.enroll()
    body = {"reason": "key_compromise"}
    for _ in range(3):
        answer = api.call("POST", f"/api/v1/agents/{who}/revoke", "publish:acme", json=body)
        assert api.error(answer)[:2] == (403, "forbidden")
    [entry] = refused(api)
    assert (entry.actor, entry.subject) == ("operator:op0", "operator:op0")
    assert "operator 'op0' holds publish:acme, this needs security" in str(entry.detail["why"])
    assert "agent.revoked" not in api.kinds()


def test_a_flood_over_other_publishers_names(api: Api) -> None:
    """One pipeline that tries every publisher's name leaves one entry, not one a name."""
    for number in range(20):
        answer = api.call(
            "PUT", f"/api/v1/publishers/p{number}/roles/p{number}", "publish:acme", content=b"x"
        )
        assert answer.status_code == 403
    [entry] = refused(api)
    assert "holds publish:acme, this needs publish:p0" in str(entry.detail["why"])
