"""Threat: one agent reports so much, so often, that nobody else gets a certificate, or memory runs out."""

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence

import pytest
from opamp.v1 import opamp_pb2
from websockets.exceptions import InvalidStatus

from distribution.domain.agent import Components
from distribution.errors import BusyError
from distribution.flows.enrol import Caller
from distribution.flows.orders import Order, Outcome
from distribution.protocol import parts, wire
from distribution.protocol.effects import Examine, KeepComponents
from distribution.transport import desk
from distribution.transport import worker as module
from distribution.transport.worker import Worker
from tests.fakes.certificates import agent, csr, new_key
from tests.fakes.configured import yaml
from tests.fakes.listening import Listening, listening
from tests.fakes.wire_client import description, heard, http_client, post, request_for, said, tell, websocket
from tests.fakes.yardstick import in_walks

WALKS_MOST = 30.0
"""Of `yardstick.walk`: to measure a list takes about 5 of them, to go through it 150."""

LARGE = Examine({"": yaml("x" * (4 << 20))}, None)


class Held:
    """An examiner that is held up until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def examine(self, *_said: object) -> None:
        """Wait."""
        self.begun.set()
        self.go.wait(30)


@pytest.fixture
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("listener")) as here:
        yield here


def nothing(orders: Sequence[Order]) -> list[Outcome]:
    return [None] * len(orders)


def test_reports_of_one_agent_that_are_never_done_with() -> None:
    """What one agent reported and nobody has looked at yet stays small; others' reports are taken."""
    worker = Worker(nothing)
    for _ in range(module.ONE_MAX_BYTES // (4 << 20)):
        worker.submit(Order(Caller(), agent(1), LARGE))
    with pytest.raises(BusyError, match=f"bytes of agent {agent(1)} wait"):
        worker.submit(Order(Caller(), agent(1), LARGE))
    worker.submit(Order(Caller(), agent(2), LARGE))
    worker.submit(Order(Caller(), agent(2), KeepComponents(Components(b"h", "{}"))))


def test_reports_of_very_many_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that waits is bounded in bytes, not only in orders; once it is looked at there is room again."""
    monkeypatch.setattr(module, "WAITING_MAX_BYTES", 64 << 20)

    async def main() -> None:
        worker = Worker(nothing)
        for number in range(1, 17):
            worker.submit(Order(Caller(), agent(number), LARGE))
        with pytest.raises(BusyError, match=f"{64 << 20} in all"):
            worker.submit(Order(Caller(), agent(17), LARGE))
        worker.start(asyncio.get_running_loop())
        await asyncio.to_thread(worker.stop)  # comes back when all is done
        worker.submit(Order(Caller(), agent(17), LARGE))

    asyncio.run(main())


def test_reports_that_hold_up_the_end() -> None:
    """A server that stops does not first look at all that one agent reported."""
    begun, go, seen = threading.Event(), threading.Event(), list[int]()

    def slowly(orders: Sequence[Order]) -> list[Outcome]:
        begun.set()
        go.wait(10)
        seen.append(len(orders))
        return nothing(orders)

    async def main() -> None:
        worker = Worker(slowly, together=1)
        worker.start(asyncio.get_running_loop())
        for _ in range(4):
            worker.submit(Order(Caller(), agent(1), LARGE))
        await asyncio.to_thread(begun.wait, 10)
        stopping = asyncio.create_task(asyncio.to_thread(worker.stop, drop=True))
        while worker._waiting.qsize() > 1:  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.005)
        go.set()
        await stopping

    asyncio.run(main())
    assert seen == [1]


def test_a_report_that_takes_for_ever_to_look_at(at: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one agent's configuration is looked at, another's certificate is signed."""
    held = Held()
    monkeypatch.setattr(at.exchange.perform.__self__, "_examiner", held)  # type: ignore[attr-defined] # bound
    try:
        first = at.enrolled()
        with websocket(at, first) as one:
            effective = opamp_pb2.EffectiveConfig()
            effective.config_map.config_map[""].body = b"a: 1"
            tell(one, said(first.agent, agent_description=description(), effective_config=effective))
            assert held.begun.wait(10)
            other = at.enrolled()
            with websocket(at, other) as connection:
                reply = tell(
                    connection,
                    said(other.agent, connection_settings_request=request_for(csr(new_key(), other.agent))),
                )
                while not reply.HasField("connection_settings"):
                    reply = heard(connection)
    finally:
        held.go.set()


@pytest.mark.parametrize("end", [b"", b"\xff"], ids=["to the end", "and say nothing"])
def test_messages_that_take_long_to_read(at: Listening, monkeypatch: pytest.MonkeyPatch, end: bytes) -> None:
    """Their agent is not heard for a while, on no connection; the others are."""
    one, other = at.enrolled(), at.enrolled()
    effective = opamp_pb2.EffectiveConfig()
    for number in range(20_000):
        effective.config_map.config_map[f"{number:x}"].body = b""
    with websocket(at, one) as connection, http_client(at, one) as pool:
        tell(connection, said(one.agent, agent_description=description()))
        with monkeypatch.context() as patch:
            patch.setattr(desk, "REST_TIMES", 1e9)
            patch.setattr(desk, "HEAVY_SECONDS", 0.0)
            connection.send(wire.encode_ws(said(one.agent, 1, effective_config=effective)) + end)
            heard(connection)
        connection.send(wire.encode_ws(said(one.agent, 2)))
        with pytest.raises(TimeoutError):
            connection.recv(timeout=0.5)
        assert post(pool, said(one.agent, 3)).status == 429
        with pytest.raises(InvalidStatus, match="429"), websocket(at, one):
            pass
        with websocket(at, other) as others:
            assert not tell(others, said(other.agent)).HasField("error_response")


def test_a_list_of_very_many_components() -> None:
    """It is not listed on the event loop; that it was too long is kept in its place."""
    message = opamp_pb2.AvailableComponents(hash=b"h")
    for number in range(60_000):
        message.components[f"{number:x}"].metadata.add(key="a")
    kept = parts.components(message)
    assert in_walks(lambda: parts.components(message)) < WALKS_MOST
    assert kept.listed is not None
    assert json.loads(kept.listed) == {"too_long": message.ByteSize()}
