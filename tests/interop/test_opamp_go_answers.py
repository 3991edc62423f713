"""What agents on opamp-go do with each kind of refusal, and that nothing stays lost by it.

Over HTTP only 200 is success to them, and 429 and 503 are a reason to send the same again; after any other
status that message is gone for good. The server finds out by the gap in the numbers.
"""

import http
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from opamp.v1 import opamp_pb2

from distribution.demo.cluster import Cluster
from distribution.protocol.pacing import ASK_EVERY
from tests.interop.between import Arrival, Between, between
from tests.interop.go_agent import LIBRARIES, GoAgent, Library, Row, enrolled, until
from tests.interop.matrix import Client
from tests.interop.programs import Program, wait_for

HTTP = [library for library in LIBRARIES if library.transport == "http"]
SOCKET = [library for library in LIBRARIES if library.transport == "ws"]
FOLLOWING = [library for library in HTTP if library.client is Client.OPAMP_GO_24_HTTP]
UNWELL = b"told to be unwell"
RETRY_SECONDS = 2
GZIP = b"\x1f\x8b"
LARGE_BYTES = 5 << 20
OWN_PAUSE_SECONDS = 0.2
"""The least that its own pause can be after two failures is a little more."""

BEATS = 3
LOST = (
    http.HTTPStatus.INTERNAL_SERVER_ERROR,
    http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    http.HTTPStatus.UNAUTHORIZED,
    http.HTTPStatus.NOT_FOUND,
)
AGAIN = {
    Client.OPAMP_GO_24_HTTP: http.HTTPStatus.SERVICE_UNAVAILABLE,
    Client.OPAMP_GO_23_HTTP: http.HTTPStatus.TOO_MANY_REQUESTS,
}


@pytest.fixture(scope="module", params=HTTP, ids=lambda library: str(library.client))
def poller(
    request: pytest.FixtureRequest, world: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> GoAgent:
    """An enrolled agent that polls, on each version of the library."""
    return enrolled(world, request.param, tmp_path_factory.mktemp("poller"))


@contextmanager
def on_the_way(world: Cluster, agent: GoAgent, folder: Path) -> Iterator[Between]:
    """Put something between an agent and the server."""
    files = (agent.folder / "cert.pem", agent.folder / "key.pem")
    netloc = urlsplit(agent.url).netloc
    with between(folder / "between", netloc, agent.folder / "ca.pem", files) as way:
        yield way


def unwell(row: Row) -> Row | None:
    """Find an agent that is not well."""
    return row if row["health"] and not row["health"]["healthy"] else None


def well(row: Row) -> Row | None:
    """Find an agent that is connected and well."""
    return row if row["connected"] and row["health"] and row["health"]["healthy"] else None


def several(taken: list[Arrival]) -> list[Arrival] | None:
    """Find more than one request."""
    return taken if len(taken) > 1 else None


def answered(way: Between, status: int, program: Program) -> Arrival:
    """Wait until a request got a status, and return it."""
    return wait_for(f"a {status}", lambda: next(iter(way.answered(status)), None), alive=program.gone)


def test_what_is_lost_is_asked_for(world: Cluster, poller: GoAgent, tmp_path: Path) -> None:
    """After such a status it drops the message; the gap makes the server ask for everything, once."""
    statuses = LOST if poller.library in FOLLOWING else (*LOST, http.HTTPStatus.TEMPORARY_REDIRECT)
    with ExitStack() as running:
        way = running.enter_context(on_the_way(world, poller, tmp_path))
        program = running.enter_context(poller.through(way).running("lost.log"))
        until(world, poller.uid, "it in good health", well, program)
        asked = program.count("effective_asked")
        way.answer(statuses[0], having=UNWELL)
        program.signal(signal.SIGUSR2)
        lost = {answered(way, statuses[0], program).body}
        for status in statuses[1:]:
            way.answer(status, {"Location": poller.url})
        lost |= {answered(way, status, program).body for status in statuses}
        assert len(lost) == len(statuses)
        until(world, poller.uid, "what was lost", unwell, program)
        assert [one for one in way.answered(http.HTTPStatus.OK) if one.body in lost] == []
        # Once; once more where a busy machine took longer for its answer than the server waits for it.
        assert asked < program.count("effective_asked") <= asked + 2


def test_what_is_put_off_comes_again(world: Cluster, poller: GoAgent, tmp_path: Path) -> None:
    """After 503 or 429 it sends the same again, not before the time it was told; nothing is asked for."""
    status = AGAIN[poller.library.client]
    with ExitStack() as running:
        way = running.enter_context(on_the_way(world, poller, tmp_path))
        program = running.enter_context(poller.through(way).running("again.log"))
        until(world, poller.uid, "it in good health", well, program)
        asked = program.count("effective_asked")
        way.answer(status, {"Retry-After": str(RETRY_SECONDS)}, UNWELL)
        program.signal(signal.SIGUSR2)
        first = answered(way, status, program)
        until(world, poller.uid, "what was put off", unwell, program)
        again = wait_for("what was put off", lambda: way.after(first), alive=program.gone)
        assert again.body == first.body
        assert again.at - first.at >= RETRY_SECONDS
        assert program.count("effective_asked") == asked


@pytest.mark.parametrize("poller", FOLLOWING, indirect=True, ids=lambda library: str(library.client))
def test_a_poll_is_redirected(world: Cluster, poller: GoAgent, tmp_path: Path) -> None:
    """The newer library sends it again to where it was told, for this once; nothing is lost."""
    with ExitStack() as running:
        way = running.enter_context(on_the_way(world, poller, tmp_path))
        program = running.enter_context(poller.through(way).running("redirect.log"))
        until(world, poller.uid, "it in good health", well, program)
        asked = program.count("effective_asked")
        way.answer(http.HTTPStatus.TEMPORARY_REDIRECT, {"Location": poller.url}, UNWELL)
        program.signal(signal.SIGUSR2)
        redirected = answered(way, http.HTTPStatus.TEMPORARY_REDIRECT, program)
        until(world, poller.uid, "what was redirected", unwell, program)
        wait_for("its next poll", lambda: way.after(redirected), alive=program.gone)
        assert program.count("effective_asked") == asked


def test_it_may_pack_what_it_sends(world: Cluster, poller: GoAgent, tmp_path: Path) -> None:
    """Each of its requests is packed, and read all the same."""
    with ExitStack() as running:
        way = running.enter_context(on_the_way(world, poller, tmp_path))
        program = running.enter_context(poller.through(way).running("packed.log", "-compress"))
        until(world, poller.uid, "it in good health", well, program)
        program.signal(signal.SIGUSR2)
        until(world, poller.uid, "ill health", unwell, program)
        taken = wait_for(
            "both answers", lambda: several(way.answered(http.HTTPStatus.OK)), alive=program.gone
        )
        assert all(one.body.startswith(GZIP) for one in taken)


def test_it_leaves_without_a_word(world: Cluster, poller: GoAgent, tmp_path: Path) -> None:
    """Stopped, one that polls says no goodbye; the server has its silence to go by."""
    with on_the_way(world, poller, tmp_path) as way:
        with poller.through(way).running("end.log") as program:
            until(world, poller.uid, "it in good health", well, program)
            answered(way, http.HTTPStatus.OK, program)
        said = [opamp_pb2.AgentToServer.FromString(one.body) for one in way.answered(http.HTTPStatus.OK)]
    assert not any(one.HasField("agent_disconnect") for one in said)


@pytest.mark.parametrize("library", LIBRARIES[:2], ids=lambda library: str(library.client))
def test_a_report_over_the_limit_is_no_loop(world: Cluster, library: Library, tmp_path: Path) -> None:
    """What is too large ends its connection, or is lost; asked for again at once it would go on for ever."""
    agent, heard = enrolled(world, library, tmp_path), set()
    refusal, began = "1009" if library.transport == "ws" else "413", time.monotonic()
    with agent.start("large.log", "-pad", str(LARGE_BYTES)) as program:

        def stays(row: Row) -> Row | None:
            if program.text().count(refusal) >= 2 and row["connected"]:
                heard.add(row["last_seen"])
            return row if len(heard) > BEATS else None

        until(world, agent.uid, "several beats", stays, program)
        # Twice; once more for each pause that is over by now on a busy machine.
        times = range(2, 3 + int((time.monotonic() - began) / ASK_EVERY.total_seconds()))
        assert program.text().count(refusal) in times
        assert program.count("effective_asked") in times
        if library.transport == "ws":
            assert program.count("connected") - 1 in times


def test_a_handshake_is_put_off_refused_and_redirected(world: Cluster, tmp_path: Path) -> None:
    """It comes again after what it was told, backs off from a 401 by itself, and follows to another place.

    It would pack its frames (RFC 7692), which the server does not agree to; it comes without.
    """
    agents, ways = [], []
    with ExitStack() as running:
        for number, library in enumerate(SOCKET):
            folder = tmp_path / str(number)
            folder.mkdir()
            agents.append(enrolled(world, library, folder))
            ways.append(running.enter_context(on_the_way(world, agents[-1], folder)))
            ways[-1].answer(http.HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": str(RETRY_SECONDS)})
            ways[-1].answer(http.HTTPStatus.UNAUTHORIZED)
            ways[-1].answer(http.HTTPStatus.TEMPORARY_REDIRECT, {"Location": agents[-1].url})
        started = [
            running.enter_context(agent.through(way).start("steps.log", "-compress"))
            for agent, way in zip(agents, ways, strict=True)
        ]
        for agent, way, program in zip(agents, ways, started, strict=True):
            until(world, agent.uid, "it at the server itself", well, program)
            put_off, unknown, redirected = (way.answered(status)[0] for status in (503, 401, 307))
            assert unknown.at - put_off.at >= RETRY_SECONDS
            assert redirected.at - unknown.at > OWN_PAUSE_SECONDS
            assert way.after(redirected) is None
