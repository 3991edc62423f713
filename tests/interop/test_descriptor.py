"""Our protocol definitions have the names and numbers of the published Go library."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from opamp.v1 import anyvalue_pb2, opamp_pb2

_KINDS = {
    getattr(FieldDescriptor, name): name.removeprefix("TYPE_").lower()
    for name in dir(FieldDescriptor)
    if name.startswith("TYPE_")
}
FILES = (opamp_pb2.DESCRIPTOR, anyvalue_pb2.DESCRIPTOR)


def _local(one: Descriptor | EnumDescriptor) -> str:
    return one.full_name.removeprefix(f"{one.file.package}.")


def _messages(messages: Iterator[Descriptor]) -> Iterator[Descriptor]:
    for message in messages:
        yield message
        yield from _messages(iter(message.nested_types))


def ours() -> dict[str, dict[str, Any]]:
    """Return the names and numbers of our definitions, in the form the Go program prints."""
    messages = [one for file in FILES for one in _messages(iter(file.message_types_by_name.values()))]
    enums = [one for file in FILES for one in file.enum_types_by_name.values()]
    enums += [one for message in messages for one in message.enum_types]
    return {
        "messages": {
            _local(message): {
                field.name: {
                    "number": field.number,
                    "kind": _KINDS[field.type],
                    "repeated": field.is_repeated,
                    "oneof": field.containing_oneof.name if field.containing_oneof else "",
                }
                for field in message.fields
            }
            for message in messages
        },
        "enums": {_local(enum): {value.name: value.number for value in enum.values} for enum in enums},
    }


@pytest.fixture(scope="module")
def theirs(opamp_go_client: Path) -> dict[str, dict[str, Any]]:
    """The names and numbers inside the published library."""
    done = subprocess.run([opamp_go_client, "-descriptor"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[0])


@pytest.mark.parametrize("kind", ["messages", "enums"])
def test_names_and_numbers_are_the_published_ones(theirs: dict[str, dict[str, Any]], kind: str) -> None:
    """Every message, field, enum and value of the library is ours under the same number, and back."""
    assert ours()[kind] == theirs[kind]
    assert theirs[kind]
