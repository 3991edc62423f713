"""Altered bytes in the store: whatever was changed there, no agent runs it, and the old version runs on.

Whoever can write the store has no key at all, so the signatures stand as they were.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.agent_world import path_of
from tests.fakes.besieged_agent import Besieged, besieged, repository
from tests.fakes.tuf_repository import TufRepository

NEW = path_of("1.1.0")


@pytest.fixture
def tuf() -> TufRepository:
    return repository()


@pytest.fixture
def agent(tmp_path: Path, tuf: TufRepository) -> Iterator[Besieged]:
    with besieged(tmp_path, tuf) as found:
        yield found


def one_bit(data: bytes) -> bytes:
    return data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]


@pytest.mark.parametrize(
    ("alter", "named"),
    [
        (one_bit, "with digest"),
        (lambda data: data[:-1], "bytes with digest"),
        (lambda data: data + b"\n", "more than the signed"),
        (lambda _: b"", "0 bytes with digest"),
    ],
    ids=["one_bit", "truncated", "longer", "empty"],
)
def test_the_bytes_of_a_release(
    agent: Besieged, tuf: TufRepository, alter: Callable[[bytes], bytes], named: str
) -> None:
    """Bytes that differ from the signed ones are not installed."""
    name = tuf.target_file(NEW)
    tuf.files[name] = alter(tuf.files[name])
    agent.hear(agent.message(agent.world.offered("1.1.0")))
    agent.require_refused(f"target {NEW}", named)


def test_the_bytes_of_another_release(agent: Besieged, tuf: TufRepository) -> None:
    """The right bytes under the wrong name are wrong bytes."""
    tuf.files[tuf.target_file(NEW)] = tuf.files[tuf.target_file(path_of("0.9.0"))]
    agent.hear(agent.message(agent.world.offered("1.1.0")))
    signed = tuf.release.targets[NEW].hashes["sha256"]
    other = tuf.release.targets[path_of("0.9.0")].hashes["sha256"]
    agent.require_refused(f"target {NEW}", signed, other)


def test_a_release_that_was_deleted(agent: Besieged, tuf: TufRepository) -> None:
    """Missing bytes are a failed download, named by their address."""
    name = tuf.target_file(NEW)
    del tuf.files[name]
    agent.hear(agent.message(agent.world.offered("1.1.0")))
    agent.require_refused(name, "404")


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "acme", "acme-guard"])
def test_the_metadata_of_a_role(agent: Besieged, tuf: TufRepository, role: str) -> None:
    """A role whose expiry was put off does not verify."""
    tuf.add_release(path_of("1.2.0"), b"new")
    tuf.publish()
    name = max(
        (name for name in tuf.files if name.endswith((f".{role}.json", f"/{role}.json"))),
        key=lambda each: int(each.split("/")[1].split(".")[0]) if each.split("/")[1][0].isdigit() else 0,
    )
    document = json.loads(tuf.files[name])
    document["signed"]["expires"] = "2999-01-01T00:00:00Z"
    tuf.files[name] = json.dumps(document).encode()
    agent.hear(agent.message(agent.world.offered("1.1.0")))
    agent.require_refused("does not verify from the pinned root", role)


@pytest.mark.parametrize(
    "garbage", [b"", b"\x00\xff", b"{}", b"[" * 10_000], ids=["empty", "binary", "{}", "deep"]
)
def test_garbage_for_metadata(agent: Besieged, tuf: TufRepository, garbage: bytes) -> None:
    """What is no metadata at all is refused as quietly as what is badly signed."""
    tuf.files["metadata/timestamp.json"] = garbage
    agent.hear(agent.message(agent.world.offered("1.1.0")))
    agent.require_refused("package metadata")


def test_metadata_without_end(agent: Besieged, tuf: TufRepository) -> None:
    """Metadata longer than any of ours is cut, not read into memory."""
    tuf.files["metadata/timestamp.json"] += b" " * 20_000
    agent.hear(agent.message(agent.world.offered("1.1.0")))
    agent.require_refused("package metadata cannot be fetched", "16384", "metadata/timestamp.json")


def test_the_mended_store_is_used_again(agent: Besieged, tuf: TufRepository) -> None:
    """A refusal for altered bytes is no verdict on the release: with the right bytes it is installed."""
    name = tuf.target_file(NEW)
    whole = tuf.files[name]
    tuf.files[name] = one_bit(whole)
    agent.hear(agent.message(agent.world.offered("1.1.0")))
    agent.require_refused("with digest")
    tuf.files[name] = whole
    agent.world.until(lambda: agent.world.package().version == "1.1.0")
