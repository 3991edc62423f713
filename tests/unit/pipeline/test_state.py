"""What a pipeline remembers survives, whole."""

import hashlib
import threading
from pathlib import Path

import pytest

from distribution.errors import InvalidError
from distribution.pipeline import state
from distribution.pipeline.state import RoleState


def test_no_file_is_a_key_that_signed_nothing(tmp_path: Path) -> None:
    """The first run starts from zero."""
    assert state.load(tmp_path / "none") == RoleState(0, "", 0, b"")


def test_a_state_round_trips(tmp_path: Path) -> None:
    """Bytes and all."""
    path = tmp_path / "state.json"
    kept = RoleState(3, "ab", 4, b"\x00signed")
    state.save(path, kept)
    assert state.load(path) == kept
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]


def test_the_steps_of_a_signature() -> None:
    """Intended, signed, taken or refused: a version that was used stays used."""
    intended = RoleState(3, "ab", 3).intending(4)
    assert intended == RoleState(3, "ab", 4)
    signed = intended.signed(b"x")
    assert signed == RoleState(3, "ab", 4, b"x")
    assert signed.taken() == RoleState(4, hashlib.sha256(b"x").hexdigest(), 4)
    assert signed.refused() == RoleState(3, "ab", 4)


@pytest.mark.parametrize("raw", [b"{}", b"[]", b"nonsense", b'{"last_version":1}', b"\xff"])
def test_a_damaged_state_is_refused(tmp_path: Path, raw: bytes) -> None:
    """Forgetting what was signed would be worse than stopping."""
    path = tmp_path / "state.json"
    path.write_bytes(raw)
    with pytest.raises(InvalidError, match="is not one of ours"):
        state.load(path)


def test_a_state_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A folder in its place is not an empty memory."""
    with pytest.raises(InvalidError, match="cannot be read"):
        state.load(tmp_path)


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    """And no draft beside it."""
    target = tmp_path / "state.json"
    target.mkdir()
    (target / "kept").touch()
    with pytest.raises(OSError, match="directory"):
        state.replace_file(target, b"x")
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]


def test_the_lock_is_held_by_one(tmp_path: Path) -> None:
    """A second run waits until the first is done."""
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        waiting.set()
        with state.locked(tmp_path / "lock"):
            order.append("second")

    with state.locked(tmp_path / "lock"):
        thread = threading.Thread(target=second)
        thread.start()
        waiting.wait(5)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]


def test_fields_are_exact() -> None:
    """No more, no less, and an object."""
    assert state.require_fields({"a": 1}, {"a"}) == {"a": 1}
    with pytest.raises(TypeError):
        state.require_fields({"a": 1, "b": 2}, {"a"})
