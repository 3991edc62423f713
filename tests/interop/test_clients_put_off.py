"""When clients on other libraries come again after a refusal: when they are told, or by a rule of their own.

The reports that were refused come again with the next message: nothing is lost on these clients.
"""

import http
from pathlib import Path

import pytest

from distribution.demo.cluster import Cluster
from tests.interop.between import Arrival, Between
from tests.interop.matrix import Client, Column, saw
from tests.interop.programs import Program, wait_for
from tests.interop.strangers import Stranger, java_agent, node_agent, stranger

UNAVAILABLE = http.HTTPStatus.SERVICE_UNAVAILABLE
NODE_LEAST_SECONDS = 30.0
NODE_JITTER = 0.11
JAVA_FIRST_SECONDS = 1.0
"""Of the pause that our program gave its library, which doubles it with each failure."""


@pytest.fixture
def agent(world: Cluster, tmp_path: Path) -> Stranger:
    """An agent with a bearer token."""
    return stranger(world, tmp_path)


def arrivals(way: Between, status: int, count: int, program: Program) -> list[Arrival]:
    """Wait until so many requests got a status, and return them."""

    def enough() -> list[Arrival] | None:
        found = way.answered(status)
        return found if len(found) >= count else None

    return wait_for(f"{count} times {status}", enough, alive=program.gone)


@pytest.mark.parametrize(
    ("status", "told", "seconds"),
    [
        (http.HTTPStatus.SERVICE_UNAVAILABLE, "45", 45.0),
        (http.HTTPStatus.TOO_MANY_REQUESTS, "45", 45.0),
        (http.HTTPStatus.SERVICE_UNAVAILABLE, "5", NODE_LEAST_SECONDS),
        (http.HTTPStatus.INTERNAL_SERVER_ERROR, "45", NODE_LEAST_SECONDS),
        (http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "45", NODE_LEAST_SECONDS),
    ],
    ids=["503", "429", "503-soon", "500", "413"],
)
def test_node_waits_as_it_is_told(agent: Stranger, status: int, told: str, seconds: float) -> None:
    """After 429 and 503 it waits for what it is told, after others half a minute; never less than that."""
    with agent.on_the_way() as (late, way):
        way.answer(status, {"Retry-After": told})
        with node_agent(late) as program:
            next_one = program.wait_for_event("scheduled", lambda one: one["failures"] == 1)
            assert next_one["seconds"] == pytest.approx(seconds, rel=NODE_JITTER)
    saw(
        Client.NODE,
        Column.RECONNECT,
        "put off with 429 or 503 it waits for what Retry-After says, and half a minute at least",
    )


def test_java_over_http_waits_as_it_is_told(agent: Stranger) -> None:
    """It comes again after what it was told, not earlier, and says again what was refused."""
    with agent.on_the_way() as (late, way):
        way.answer(UNAVAILABLE, {"Retry-After": "4"})
        with java_agent(late, "http") as program:
            [first] = arrivals(way, UNAVAILABLE, 1, program)
            late.until_connected(program)
            again = arrivals(way, http.HTTPStatus.OK, 1, program)[0]
        assert again.at - first.at >= 4
        assert b"java-agent" in first.body
        assert b"java-agent" in again.body
    saw(Client.JAVA, Column.RECONNECT, "put off over HTTP it waits for what Retry-After says")


def test_java_over_websocket_goes_by_its_own_pause(agent: Stranger) -> None:
    """What a refused handshake says it passes over; its own pause grows with each refusal."""
    with agent.on_the_way() as (late, way):
        for _ in range(3):
            way.answer(UNAVAILABLE, {"Retry-After": "60"})
        with java_agent(late, "ws") as program:
            first, second, third = (one.at for one in arrivals(way, UNAVAILABLE, 3, program))
        assert second - first >= JAVA_FIRST_SECONDS
        assert third - second >= 2 * JAVA_FIRST_SECONDS
    saw(
        Client.JAVA,
        Column.RECONNECT,
        "put off over WebSocket it goes by its own growing pause, whatever the refused handshake says",
    )
