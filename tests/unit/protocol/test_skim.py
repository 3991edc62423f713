"""protocol/skim.py: fields are counted as the parser will find them."""

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from opamp.v1 import opamp_pb2

from distribution.errors import MalformedError
from distribution.protocol import skim
from distribution.protocol.skim import require_few_fields

AGENT = opamp_pb2.AgentToServer


def described() -> opamp_pb2.AgentToServer:
    """Return a message of every kind of field: numbers, text, messages in messages, maps."""
    message = AGENT(instance_uid=bytes(16), sequence_num=300, capabilities=2**64 - 1)
    message.health.start_time_unix_nano = 1 << 63
    for name in ("a", "b"):
        message.health.component_health_map[name].component_health_map["x"].status = "y" * 200
    pair = message.agent_description.identifying_attributes.add(key="k")
    pair.value.double_value = 1.5
    message.effective_config.config_map.config_map[""].body = b"\xff" * 70_000
    return message


def fields_of(body: bytes, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how many fields are counted."""
    most = 0
    while True:
        monkeypatch.setattr(skim, "FIELDS_MAX", most)
        try:
            require_few_fields(body, AGENT)
        except MalformedError as exc:
            if str(exc) != f"message of {len(body)} bytes has more than {most} fields":
                raise
            most += 1
        else:
            return most


def test_fields_are_counted_in_all_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of maps' entries and of messages in messages too; bytes and text are one, however long."""
    message = AGENT(capabilities=1)
    assert fields_of(message.SerializeToString(), monkeypatch) == 1
    message.health.component_health_map["a"].component_health_map["b"].healthy = True
    # capabilities; health, entry, key, value, entry, key, value, healthy
    assert fields_of(message.SerializeToString(), monkeypatch) == 9
    message.effective_config.config_map.config_map["c"].body = b"\x0a\x00" * 10_000
    # effective_config, config_map, entry, key, value, body
    assert fields_of(message.SerializeToString(), monkeypatch) == 15


def test_what_is_not_known_is_one_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of any wire type that there is: a number, eight bytes, what says how long it is, four bytes."""
    unknown = b"\xa0\x06\x80\x01" + b"\xa1\x06" + bytes(8) + b"\xa2\x06\x02\x0a\x00" + b"\xa5\x06" + bytes(4)
    AGENT.FromString(unknown)
    assert fields_of(unknown, monkeypatch) == 4


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"\x0a", "ends early"),
        (b"\x10\x80", "ends early"),
        (b"\x0a\x05abcd", "ends after its message"),
        (b"\x09" + bytes(7), "ends after its message"),
        (b"\x1a\x02\x0a\x01\x10\x00", "ends after its message"),  # a pair longer than its description
        (b"\x10" + b"\x80" * 10 + b"\x00", "more than 10 bytes"),
        (b"\x0b\x0c", "wire type 3"),
        (b"\x0e", "wire type 6"),
    ],
)
def test_what_is_no_message_is_refused(body: bytes, why: str) -> None:
    """The parser would refuse it too, but for groups, which no message of ours has."""
    with pytest.raises(MalformedError, match=why):
        require_few_fields(body, AGENT)


@settings(deadline=None)
@given(st.data())
def test_what_parses_is_not_refused(data: st.DataObject) -> None:
    """A message that was tampered with is refused by the parser too, or passes here."""
    body = bytearray(described().SerializeToString()[: data.draw(st.integers(0, 400))])
    for _ in range(data.draw(st.integers(0, 3))):
        if body:
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        AGENT.FromString(bytes(body))
    except DecodeError:
        return
    try:
        require_few_fields(bytes(body), AGENT)
    except MalformedError as exc:
        if "wire type 3" not in str(exc):  # a group: the parser skips one that it does not know
            raise
