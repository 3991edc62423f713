"""Covers distribution/agent/state.py: the state survives being written, and nothing else passes for one."""

import json

import pytest

from distribution.agent.rules import Wanted, WantedSet
from distribution.agent.state import Failure, Installed, State, Trial, from_json, to_json
from distribution.domain.package import Digest, PackageType, Version
from distribution.errors import HostError

ONE = Installed(Version.parse("1.0.0"), Digest(b"1" * 32), PackageType.TOP_LEVEL, "acme/c/1/c", b"hash")
TWO = Installed(Version.parse("2.0.0-rc.1"), Digest(b"2" * 32), PackageType.TOP_LEVEL, "acme/c/2/c", b"")
OFFER = WantedSet(
    {
        "c": Wanted("c", PackageType.TOP_LEVEL, "not\0a version", b"short", b"\xff", "1.0.0"),
        "d": Wanted("d", PackageType.ADDON, "1.0.0", b"", b""),
    },
    b"all",
)


@pytest.mark.parametrize(
    "state",
    [
        State(),
        State(healthy={"c": ONE}, offer=OFFER),
        State(
            {"c": ONE}, {"c": TWO}, Trial({"c": TWO}, "c", 3), (Failure("c", "1", b"s", b"o", "why"),), OFFER
        ),
    ],
    ids=["new", "healthy", "on_trial"],
)
def test_what_is_written_is_read(state: State) -> None:
    """Every state comes back as it was, hostile words of an offer included."""
    assert from_json(to_json(state), "state.json") == state


def test_every_file_of_every_set_is_named() -> None:
    """What the state names is what must not be removed: healthy, previous and on trial."""
    state = State({"c": ONE}, {"c": TWO}, Trial({"c": ONE, "d": TWO}, "d"))
    assert state.files == {"acme/c/1/c", "acme/c/2/c"}
    assert state.running == {"c": ONE, "d": TWO}
    assert State({"c": ONE}).running == {"c": ONE}


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"format": 1}', b"\xff"])
def test_anything_else_is_refused_by_name(raw: bytes) -> None:
    """A file that is no state is named; the agent does not begin anew over it."""
    with pytest.raises(HostError, match=r"state\.json is not an agent's state"):
        from_json(raw, "state.json")


def test_a_newer_format_is_refused_with_both_numbers() -> None:
    """A state of a later program is not guessed at."""
    newer = {**json.loads(to_json(State())), "format": 2}
    with pytest.raises(HostError, match=r"has format 2, this agent reads 1"):
        from_json(json.dumps(newer).encode(), "state.json")
