"""Guided fuzzing of frames, HTTP heads and messages: no crash, no hang, no growth, always a defined answer.

A minute of one core in `make test`, a million inputs in all in `make soak`. A failure names the seed.
"""

import asyncio
import contextlib
import gc
import logging
import os
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
import uvicorn
from opamp.v1 import opamp_pb2
from uvicorn.server import ServerState

from distribution.protocol import wire
from distribution.transport.frames import FrameReader
from tests.fakes.certificates import csr
from tests.fakes.frames import frame
from tests.fakes.guided import Guided
from tests.fakes.in_process import UPGRADE, Wire, at_work, frames
from tests.fakes.listening import PATH, Identity, Listening, prepared
from tests.fakes.wire_client import description, request_for, said

CAP: Final = 300
SLOW_SECONDS: Final = 2.0
"""One input may take no longer, on a machine that is far too busy."""

GROWTH_BYTES: Final = 48 << 20
"""From the middle of a run to its end."""

ROOMS: Final = (
    "/distribution/protocol/",
    "/distribution/transport/",
    "/distribution/flows/",
    "/distribution/domain/",
)
TURN: Final = 200
"""Inputs between two turns of the event loop, in which the worker's outcomes come."""

CLOSE: Final = 8
STATUS: Final = re.compile(rb"HTTP/1\.1 [1-5][0-9][0-9] ")

Prepared = tuple[Listening, uvicorn.Config]


@pytest.fixture
def chance() -> random.Random:
    seed = int(os.environ.get("QM_TEST_SEED", "0")) or int.from_bytes(os.urandom(4), "big")
    sys.stdout.write(f"QM_TEST_SEED={seed} repeats these inputs\n")
    return random.Random(seed)


@pytest.fixture(autouse=True)
def errors(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing is logged as an error; what is less is not kept, or the log would be what grows."""
    caplog.set_level(logging.ERROR)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        caplog.set_level(logging.ERROR, name)
    yield
    assert [record.getMessage() for record in caplog.get_records("call")] == []


@pytest.fixture
def prepared_here(tmp_path: Path) -> Iterator[Prepared]:
    with prepared(tmp_path, max_bytes=1 << 16) as here:
        yield here


def resident() -> int:
    """Return this process's memory in bytes."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Limits:
    """Watches a run: each input's time, and what the process grows by from its middle on."""

    def __init__(self, inputs: int, progress: Callable[[int], None]) -> None:
        self._middle = inputs // 2
        self._before = 0
        self._progress = progress

    @contextlib.contextmanager
    def one(self, number: int) -> Iterator[None]:
        """Watch one input."""
        if number == self._middle:
            self._before = resident()
        began = time.perf_counter()
        yield
        assert time.perf_counter() - began < SLOW_SECONDS
        self._progress(number)

    def require_no_growth(self) -> None:
        """Require that the second half left no more behind than caches."""
        assert resident() - self._before < GROWTH_BYTES


@pytest.mark.rounds(45_000, 45_000, 300_000)
def test_frames(chance: random.Random, rounds: int, progress: Callable[[int], None]) -> None:
    """However a stream is cut, the same messages come out, and what is kept is never more than the cap."""
    seeds = [
        frame(b"abc") * 3,
        frame(b"ab", first=0x02) + frame(b"hi", first=0x89) + frame(b"cd", first=0x80),
        frame(b"x" * 200) + frame(b"bye", first=0x88),
        frame(b"x" * 290),
        frame(b"text", first=0x81),
    ]
    guided, limits = Guided(seeds, ROOMS, chance), Limits(rounds, progress)
    for number in range(rounds):
        with limits.one(number):
            guided.run(guided.next(), lambda data: read_both_ways(data, chance))
    limits.require_no_growth()
    assert guided.lines > 40


def read_both_ways(data: bytes, chance: random.Random) -> None:
    """Read a stream at once and in pieces."""
    whole, pieces = FrameReader(CAP), FrameReader(CAP)
    expected = whole.feed(memoryview(data))
    found, at = [], 0
    while at < len(data) and not pieces.ended:
        size = chance.choice((1, 2, 7, 50, 1000))
        found += pieces.feed(memoryview(data[at : at + size]))
        at += size
        assert len(pieces._pending) <= CAP + 14
    assert all(len(message) <= CAP for message in found)
    assert (found, pieces.ended) == (expected, whole.ended)


def messages(identity: Identity) -> list[bytes]:
    """Return a message of each kind."""
    who = identity.agent
    health = opamp_pb2.ComponentHealth(healthy=True, status="ok", start_time_unix_nano=1)
    health.component_health_map["part"].last_error = "no"
    config = opamp_pb2.EffectiveConfig()
    config.config_map.config_map["a.yaml"].body = b"receivers: {otlp: {}}"
    config.config_map.config_map["a.yaml"].content_type = "text/yaml"
    packages = opamp_pb2.PackageStatuses(server_provided_all_packages_hash=b"h" * 32)
    packages.packages["collector"].agent_has_version = "1.0.0"
    settings = opamp_pb2.ConnectionSettingsStatus(last_connection_settings_hash=b"h" * 32)
    parts: list[dict[str, object]] = [
        {},
        {"agent_description": description()},
        {"health": health},
        {"effective_config": config},
        {"package_statuses": packages},
        {"remote_config_status": opamp_pb2.RemoteConfigStatus(last_remote_config_hash=b"h" * 32)},
        {"connection_settings_status": settings},
        {"connection_settings_request": request_for(csr(identity.key, who))},
        {"custom_capabilities": opamp_pb2.CustomCapabilities(capabilities=["io.example.a"])},
        {"custom_message": opamp_pb2.CustomMessage(capability="io.example.a", type="t", data=b"d")},
        {"available_components": opamp_pb2.AvailableComponents(hash=b"h")},
        {"agent_disconnect": opamp_pb2.AgentDisconnect()},
        {"flags": 1},
    ]
    return [wire.encode_ws(said(who, number, **part)) for number, part in enumerate(parts)]


async def each(
    config: uvicorn.Config, rounds: int, act: Callable[[ServerState, int], None], limits: Limits
) -> None:
    """Have something done so many times beside a listener at work, which gets its turn in between."""
    async with at_work(config) as state:
        for number in range(rounds):
            with limits.one(number):
                act(state, number)
            if number % TURN == 0:
                await asyncio.sleep(0)
        assert len(state.connections) <= 1


@pytest.mark.rounds(60_000, 60_000, 400_000)
def test_messages(
    prepared_here: Prepared, chance: random.Random, rounds: int, progress: Callable[[int], None]
) -> None:
    """Each message of a connected agent is answered by a message or by the end of the connection."""
    here, config = prepared_here
    identity = here.enrolled()
    guided, limits = Guided(messages(identity), ROOMS, chance), Limits(rounds, progress)
    current: list[Wire] = []

    def act(state: ServerState, _number: int) -> None:
        if not current:
            here.load.late = 0.0  # it is we who keep the loop busy; newcomers would be sent away for it
            current.append(Wire(config, state, identity))
            current[0].feed(UPGRADE)
            assert current[0].take().startswith(b"HTTP/1.1 101 ")
        wired, payload = current[0], guided.next()
        guided.run(frame(payload), wired.feed)
        if guided.kept[-1] == frame(payload):
            guided.kept[-1] = payload
        require_answer(wired)
        if wired.closed:
            current.pop().hang_up()

    asyncio.run(each(config, rounds, act, limits))
    limits.require_no_growth()
    assert guided.lines > 300


def require_answer(wired: Wire) -> None:
    """Something was said, all of it is whole, and what ends the connection says why."""
    said_now = frames(wired.take())
    assert said_now
    for code, payload in said_now:
        if code == 2:
            wire.decode_ws(payload, opamp_pb2.ServerToAgent)
    assert wired.closed == (said_now[-1][0] == CLOSE)


def requests(identity: Identity) -> list[bytes]:
    """Return requests of each kind."""
    body = wire.encode_http(said(identity.agent, 1, agent_description=description()), compress=False)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {wire.CONTENT_TYPE}\r\n".encode()
    whole = head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    packed = wire.encode_http(said(identity.agent, 2), compress=True)
    gzipped = head + f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode() + packed
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    return [
        whole,
        gzipped,
        chunked,
        UPGRADE,
        whole + gzipped,
        head + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
        b"GET " + PATH.encode() + b" HTTP/1.1\r\nHost: x\r\nAuthorization: Enrollment a.b\r\n\r\n",
    ]


@pytest.mark.rounds(50_000, 50_000, 300_000)
def test_http_heads(
    prepared_here: Prepared, chance: random.Random, rounds: int, progress: Callable[[int], None]
) -> None:
    """Whatever is sent, the answer is HTTP, or there is none yet; nothing is left of the connection."""
    here, config = prepared_here
    identity = here.enrolled()
    guided, limits = Guided(requests(identity), ROOMS, chance), Limits(rounds, progress)

    async def story() -> None:
        async with at_work(config) as state:
            for number in range(rounds):
                with limits.one(number):
                    await one_request(config, state, identity if number % 4 else None, guided)
            await asyncio.sleep(0)
            assert not state.connections

    asyncio.run(story())
    limits.require_no_growth()
    assert guided.lines > 200


async def one_request(
    config: uvicorn.Config, state: ServerState, identity: Identity | None, guided: Guided
) -> None:
    """Send one input on a connection of its own, wait for what it led to, and hang up."""
    wired = Wire(config, state, identity)
    guided.run(guided.next(), wired.feed)
    for _ in range(20):
        if not state.tasks:
            break
        await asyncio.sleep(0)
    out = wired.take()
    assert not out or STATUS.match(out), out[:100]
    wired.hang_up()
    if state.tasks:
        await asyncio.wait(list(state.tasks), timeout=SLOW_SECONDS)
    assert not state.tasks
