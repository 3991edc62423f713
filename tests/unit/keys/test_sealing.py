"""keys/sealing.py."""

import pytest
from cryptography.fernet import Fernet

from keys.errors import CustodyError
from keys.sealing import KEYS_MAX, Seal, new_seal_key


def test_what_is_sealed_opens_and_cannot_be_read() -> None:
    """The text is not in what lies in the database; equal texts do not look alike there."""
    seal = Seal([new_seal_key().strip()], "x")
    one, two = seal.seal("Basic s3cret"), seal.seal("Basic s3cret")
    assert "s3cret" not in one
    assert one != two
    assert (seal.open(one), seal.open(two)) == ("Basic s3cret", "Basic s3cret")


def test_a_new_first_line_is_a_rotation() -> None:
    """The newest key seals, older ones still open."""
    old, new = new_seal_key().strip(), new_seal_key().strip()
    before = Seal([old], "x").seal("text")
    both = Seal([new, old], "x")
    assert both.open(before) == "text"
    assert Seal([new], "x").open(both.seal("text")) == "text"


def test_another_key_opens_nothing() -> None:
    """A database without its seal file gives nothing away; nor does a changed text open."""
    sealed = Seal([new_seal_key().strip()], "x").seal("text")
    for wrong in (sealed, sealed[:-8] + "AAAAAAA=", "no token at all"):
        with pytest.raises(CustodyError, match="seal 'file:seal' does not open") as caught:
            Seal([new_seal_key().strip()], "file:seal").open(wrong)
        assert "text" not in str(caught.value)


@pytest.mark.parametrize("lines", [[], [Fernet.generate_key()] * (KEYS_MAX + 1)])
def test_a_seal_has_some_keys(lines: list[bytes]) -> None:
    """None or too many are no seal."""
    with pytest.raises(CustodyError, match=f"has {len(lines)} keys, expected 1 to 16"):
        Seal(lines, "x")


@pytest.mark.parametrize("line", [b"short", b"\xff" * 44, b"-" * 43, b"secretsecretsecret"])
def test_a_line_that_is_no_key(line: bytes) -> None:
    """It is refused, and not shown."""
    with pytest.raises(CustodyError, match="no key of 32 bytes in base64") as caught:
        Seal([line], "x")
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
