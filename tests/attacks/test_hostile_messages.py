"""Messages no honest agent sends, through the real exchange: a defined answer, soon, in little memory."""

import asyncio
import json
import math
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import uvicorn
from opamp.v1 import anyvalue_pb2, opamp_pb2

from distribution.domain.agent import AgentView, Health
from distribution.fleet.registry import Registry
from distribution.protocol import wire
from distribution.protocol.asking import ASK_EVERY
from distribution.protocol.reports import from_websocket
from tests.fakes.certificates import agent
from tests.fakes.frames import frame
from tests.fakes.in_process import UPGRADE, Wire, answers, at_work, frames
from tests.fakes.listening import Identity, Listening, prepared
from tests.fakes.operators_api import operators_api
from tests.fakes.wire_client import ABLE, description, said

SECONDS_MOST = 5.0
"""How long one message may take on a machine that is far too busy; milliseconds on an idle one."""

BYTES_MOST = 64 << 20
"""What taking a message may need at its worst, for each of the cases here."""

LARGEST = 64 << 20
PROTOBUF_DEPTH = 100
BAD = opamp_pb2.ServerErrorResponseType_BadRequest

Prepared = tuple[Listening, uvicorn.Config]
Case = Callable[[Identity], bytes]


@pytest.fixture
def prepared_here(tmp_path: Path) -> Iterator[Prepared]:
    with prepared(tmp_path, max_bytes=LARGEST) as here:
        yield here


def hear(
    prepared_here: Prepared, *payloads: Callable[[Identity], bytes]
) -> tuple[list[opamp_pb2.ServerToAgent], Wire, Identity]:
    """Send these messages on one connection; return the answers. Each is bounded in time and memory."""
    here, config = prepared_here
    identity = here.enrolled()

    async def story() -> tuple[list[opamp_pb2.ServerToAgent], Wire]:
        async with at_work(config) as state:
            wired = Wire(config, state, identity)
            wired.feed(UPGRADE)
            assert wired.take().startswith(b"HTTP/1.1 101 ")
            got: list[opamp_pb2.ServerToAgent] = []
            for make in payloads:
                got += bounded(wired, frame(make(identity)))
            wired.hang_up()
            return got, wired

    got, wired = asyncio.run(story())
    return got, wired, identity


def bounded(wired: Wire, sent: bytes) -> list[opamp_pb2.ServerToAgent]:
    """Have the server take bytes, and require that it was soon done and needed little."""
    tracemalloc.start()
    try:
        began, before = time.perf_counter(), tracemalloc.get_traced_memory()[0]
        wired.feed(sent)
        took, most = time.perf_counter() - began, tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert took < SECONDS_MOST
    assert most < BYTES_MOST + 4 * len(sent)
    out = wired.take()
    assert frames(out), "nothing was answered"
    return answers(out)


def encoded(build: Callable[[opamp_pb2.AgentToServer], object]) -> Case:
    """Return a case: a full message with something done to it."""

    def make(identity: Identity) -> bytes:
        message = said(identity.agent, 1, agent_description=description())
        build(message)
        return wire.encode_ws(message)

    return make


def nested(depth: int) -> Case:
    """Return the case of a health report whose parts have parts, `depth` deep; built from the inside."""

    def make(identity: Identity) -> bytes:
        fields = opamp_pb2.ComponentHealth.DESCRIPTOR.fields_by_name
        parts = varint(fields["component_health_map"].number << 3 | 2)
        inner = b"\x08\x01"
        for _ in range(depth):
            entry = b"\x0a\x01x" + b"\x12" + varint(len(inner)) + inner
            inner = parts + varint(len(entry)) + entry
        plain = said(identity.agent, 1, agent_description=description()).SerializeToString()
        number = opamp_pb2.AgentToServer.DESCRIPTOR.fields_by_name["health"].number
        return b"\x00" + plain + varint(number << 3 | 2) + varint(len(inner)) + inner

    return make


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def not_utf8(identity: Identity) -> bytes:
    made = encoded(lambda message: message.health.MergeFrom(opamp_pb2.ComponentHealth(status="mark-of-it")))
    return made(identity).replace(b"mark-of-it", b"\xc3\x28\xed\xa0\x80\xff\xfe..."[:10])


@pytest.mark.parametrize(
    "case",
    [
        not_utf8,
        nested(10_000),
        lambda identity: wire.encode_ws(said(identity.agent, 1)) + b"\xff",
        lambda identity: b"\x00" + b"\xff" * 1000,
    ],
    ids=["no UTF-8", "health 10,000 deep", "a tag without a value", "one endless varint"],
)
def test_what_is_no_message_is_refused(prepared_here: Prepared, case: Case) -> None:
    """It is answered with BAD_REQUEST, and the connection goes on."""
    got, _, identity = hear(prepared_here, case, encoded(lambda _message: None))
    assert [one.error_response.type for one in got[:1]] == [BAD]
    assert got[0].error_response.error_message
    assert got[1].instance_uid == identity.agent.raw
    assert prepared_here[0].registry.view(identity.agent).health is None


def test_health_as_deep_as_it_parses(prepared_here: Prepared) -> None:
    """What the parser still takes is cut when it is kept."""
    got, _, identity = hear(prepared_here, nested(PROTOBUF_DEPTH // 2 - 5))
    assert got[0].instance_uid == identity.agent.raw
    health = prepared_here[0].registry.view(identity.agent).health
    assert health is not None
    assert health.components
    assert depth_of(health.components) < PROTOBUF_DEPTH // 2 - 5


def depth_of(components: Mapping[str, Health]) -> int:
    """Return how deep the parts of parts go."""
    return max((1 + depth_of(part.components) for part in components.values()), default=0)


def test_a_map_of_a_million_keys(prepared_here: Prepared) -> None:
    """It is parsed and cut, or refused; what is kept of it is small."""

    def grow(message: opamp_pb2.AgentToServer) -> None:
        for number in range(1_000_000):
            message.health.component_health_map[str(number)].healthy = True

    got, _, identity = hear(prepared_here, encoded(grow))
    assert got[0].instance_uid == identity.agent.raw or got[0].error_response.type == BAD
    health = prepared_here[0].registry.view(identity.agent).health
    assert health is None or len(health.components) < 10_000


NUMBERS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "-0.0": -0.0, "5e-324": 5e-324}


def odd(message: opamp_pb2.AgentToServer) -> None:
    """Add attributes that are called as they are to be shown."""
    for key, value in NUMBERS.items():
        message.agent_description.non_identifying_attributes.append(
            anyvalue_pb2.KeyValue(key=key, value=anyvalue_pb2.AnyValue(double_value=value))
        )


def test_numbers_that_are_none(prepared_here: Prepared) -> None:
    """NaN and infinities in attributes are kept as the text of each, and read back as that."""
    got, _, identity = hear(prepared_here, encoded(odd))
    here = prepared_here[0]
    assert got[0].instance_uid == identity.agent.raw
    assert here.registry.flush() == 1
    again = Registry(here.work.database, here.work.admission.labels_of)
    found = again.find(identity.agent).description
    assert found is not None
    assert {key: found.attributes.get(key) for key in NUMBERS} == {key: key for key in NUMBERS}


def test_numbers_that_are_none_are_shown(tmp_path: Path) -> None:
    """What the API answers is JSON as it is defined, which has no NaN, and has them as text."""
    message = said(agent(1), 1, agent_description=description())
    odd(message)
    reported = from_websocket(wire.encode_ws(message))
    with operators_api(tmp_path) as api:
        who = api.enroll(1)
        api.services.registry.keep(AgentView(who.uuid, description=reported.description))
        told = api.call("GET", f"/api/v1/agents/{who}", "read").text
    shown = json.loads(told, parse_constant=lambda found: pytest.fail(f"{found} is no JSON"))
    assert {key: shown["attributes"].get(key) for key in NUMBERS} == {key: key for key in NUMBERS}


def test_capabilities_that_contradict_the_message(prepared_here: Prepared) -> None:
    """Whoever reports what it said it cannot, or claims every bit there is, is answered like others."""

    def claims(capabilities: int) -> Case:
        def contradict(message: opamp_pb2.AgentToServer) -> None:
            message.capabilities = capabilities
            message.package_statuses.server_provided_all_packages_hash = b"x" * 32
            message.remote_config_status.last_remote_config_hash = b"x" * 32

        return encoded(contradict)

    got, _, identity = hear(prepared_here, claims(0), claims(1), claims(2**64 - 1), claims(ABLE))
    assert [one.instance_uid for one in got] == [identity.agent.raw] * 4
    assert not any(one.HasField("packages_available") or one.HasField("remote_config") for one in got)


def test_sequence_numbers_said_again(prepared_here: Prepared) -> None:
    """What comes twice, backwards or from the end of all numbers is answered; the state is asked for once.

    Again only when a while has passed; and with the full state the numbers are followed from there.
    """
    clock = prepared_here[0].work.clock

    def numbered(sequence: int) -> Case:
        return lambda identity: wire.encode_ws(said(identity.agent, sequence))

    def later(identity: Identity) -> bytes:
        clock.now += ASK_EVERY
        return numbered(2**64 - 1)(identity)

    def followed(identity: Identity) -> bytes:
        well = opamp_pb2.ComponentHealth(healthy=True)  # a bare heartbeat is answered later, with others
        return wire.encode_ws(said(identity.agent, 2, health=well))

    full = encoded(lambda _message: None)
    first = [full, numbered(2), numbered(2), numbered(1), numbered(2**64 - 1), numbered(0)]
    got, _, identity = hear(prepared_here, *first, later, full, followed)
    assert [one.instance_uid for one in got] == [identity.agent.raw] * 9
    asked = [one.flags & opamp_pb2.ServerToAgentFlags_ReportFullState for one in got]
    assert asked == [0, 0, 1, 0, 0, 0, 1, 0, 0]
    assert not any(one.HasField("error_response") for one in got)


def test_rubbish_does_not_go_on_for_ever(prepared_here: Prepared) -> None:
    """A connection on which nothing can be read is ended with a reason."""
    here, config = prepared_here
    identity = here.enrolled()

    async def story() -> bytes:
        async with at_work(config) as state:
            wired = Wire(config, state, identity)
            wired.feed(UPGRADE)
            wired.take()
            for _ in range(100):
                wired.feed(frame(b"\x00\xff\xff"))
            wired.hang_up()
            return wired.take()

    *_, (code, reason) = frames(asyncio.run(story()))
    assert (code, b"could not be read" in reason) == (8, True)
