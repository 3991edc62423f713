"""Watching and explaining over HTTP, over a real socket where the end of one matters."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from distribution.domain.agent import AgentView, Report
from distribution.flows import operators
from distribution.flows.watch import WATCHING_MAX
from distribution.protocol.offers import Reply
from keys.identity import AgentId
from tests.fakes.certificates import NOW, agent
from tests.fakes.operators_api import Api, operators_api

WAIT_SECONDS = 20.0


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with operators_api(tmp_path) as api:
        yield api


@pytest.fixture
def address(api: Api) -> Iterator[str]:
    """The API on a socket of its own, in a thread."""
    config = uvicorn.Config(
        api.app, host="127.0.0.1", port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started)
    [bound] = server.servers[0].sockets
    yield f"http://127.0.0.1:{bound.getsockname()[1]}/api/v1"
    server.should_exit = True
    thread.join(WAIT_SECONDS)


def until(condition: Callable[[], object]) -> None:
    """Wait for what another thread is about to do."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not happen")
        time.sleep(0.005)


def headers(api: Api) -> dict[str, str]:
    return {"Authorization": f"Bearer {api.token('read')}"}


def lines(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in answer.iter_lines():
        if line:
            yield json.loads(line)


def speak(api: Api, who: AgentId, sequence: int = 1) -> None:
    """Let the agent say something, as its listener would note it."""
    api.services.watches.heard("ws", who.uuid, Report(who.uuid, sequence), Reply(who.uuid, greeting=True))


def test_messages_are_shown_as_they_come(api: Api, address: str) -> None:
    """The first line says who is watched; each message and answer is a line, at once."""
    who = api.enroll()
    with httpx.stream(
        "GET", f"{address}/agents/{who}/watch", headers=headers(api), timeout=WAIT_SECONDS
    ) as answer:
        assert answer.headers["content-type"].startswith("application/x-ndjson")
        told = lines(answer)
        assert next(told)["said"] == {"agent": str(who), "live": "gone"}
        speak(api, who)
        assert [next(told)["direction"] for _ in range(2)] == ["from agent", "to agent"]
        speak(api, who, 2)
        assert next(told)["said"] == {"sequence": 2}


def test_a_watch_ends_with_the_one_who_watches(
    api: Api, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the connection closes nobody watches any more, also if the agent says nothing."""
    monkeypatch.setattr("distribution.transport.operators.watching.ALIVE_SECONDS", 0.02)
    who = api.enroll()
    with httpx.stream(
        "GET", f"{address}/agents/{who}/watch", headers=headers(api), timeout=WAIT_SECONDS
    ) as answer:
        told = lines(answer)
        next(told)
        assert api.services.watches
        answer.close()
    until(lambda: not api.services.watches)


def test_a_watch_ends_with_the_operators_token(
    api: Api, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that is revoked shows nothing more, however long the watch was to last."""
    monkeypatch.setattr("distribution.transport.operators.watching.ALIVE_SECONDS", 0.02)
    who, shown = api.enroll(), headers(api)
    api.token("security")
    with httpx.stream("GET", f"{address}/agents/{who}/watch", headers=shown, timeout=WAIT_SECONDS) as answer:
        told = lines(answer)
        next(told)
        operators.revoke(api.services.database, "op0", actor="operator:op1", now=NOW)
        assert list(told) == []
    until(lambda: not api.services.watches)


def test_a_watch_lasts_as_long_as_was_asked(api: Api) -> None:
    """After that it ends by itself, and what was dropped is told."""
    who = api.enroll()
    answers: list[httpx.Response] = []
    path = f"/api/v1/agents/{who}/watch?seconds=1"
    asking = threading.Thread(target=lambda: answers.append(api.call("GET", path, "read")))
    asking.start()
    until(lambda: api.services.watches)
    [watch] = api.services.watches._by_agent[who.uuid]
    watch._dropped = 3
    speak(api, who)
    asking.join(WAIT_SECONDS)
    told = [json.loads(line) for line in answers[0].text.splitlines() if line]
    assert sorted(line["direction"] for line in told) == ["dropped", "from agent", "to agent", "watching"]
    assert [line["said"] for line in told if line["direction"] == "dropped"] == [{"messages": 3}]
    assert not api.services.watches


def test_a_watch_that_cannot_be_is_refused(api: Api) -> None:
    """A stranger, a time that is too long, one watch too many."""
    who = api.enroll()
    assert api.call("GET", f"/api/v1/agents/{agent(9)}/watch", "read").status_code == 404
    assert api.call("GET", f"/api/v1/agents/{who}/watch?seconds=3601", "read").status_code == 400
    for number in range(WATCHING_MAX):
        api.services.watches.open(agent(number + 1), lambda: None)
    assert api.error(api.call("GET", f"/api/v1/agents/{who}/watch", "read"))[:2] == (503, "busy")


def test_an_agent_is_explained(api: Api) -> None:
    """What is wanted, what it has, and why nothing is due."""
    who = api.enroll()
    api.services.registry.keep(AgentView(who.uuid, last_seen=NOW))
    found = api.call("GET", f"/api/v1/agents/{who}/explain", "read").json()
    assert (found["uid"], found["wants"]) == (str(who), ["nothing"])
    assert found["holds"][0].endswith("last heard at 2026-06-01T12:00:00Z")
    assert found["why"][0].startswith("it is not connected")
    assert api.call("GET", f"/api/v1/agents/{agent(9)}/explain", "read").status_code == 404
