"""keys/certificate.py."""

import pytest

from keys.certificate import BearerId, Passage, Reason, Revoked, Serial, kind_of
from keys.errors import RefusedError
from tests.fakes.certificates import NOW, agent


def test_a_serial_is_shown_and_read_in_hexadecimal() -> None:
    """The text of a serial reads back as the same serial."""
    serial = Serial.parse("0fed")
    assert serial == Serial(0x0FED)
    assert str(serial) == "fed"


@pytest.mark.parametrize("number", [0, -1, 1 << 159])
def test_a_serial_is_positive_and_within_twenty_octets(number: int) -> None:
    """RFC 5280 4.1.2.2: zero, negative and too long serials are refused."""
    with pytest.raises(RefusedError, match="20 octets"):
        Serial(number)


def test_the_longest_serial_is_one() -> None:
    """159 bits are twenty octets with the sign."""
    assert Serial((1 << 159) - 1).number.bit_length() == 159


def test_other_text_is_no_serial() -> None:
    """What is not hexadecimal is refused, and shown."""
    with pytest.raises(RefusedError, match="'xyz' is not hexadecimal"):
        Serial.parse("xyz")


@pytest.mark.parametrize("text", ["", "A", "-a", "a.b", "a" * 65, "a\n", "\u00e9"])
def test_a_bearer_id_is_plain(text: str) -> None:
    """It stands in journals, in addresses and before the dot of a token."""
    with pytest.raises(RefusedError, match="is not lower-case letters, digits and hyphens"):
        BearerId(text)


def test_credentials_are_told_apart_by_kind() -> None:
    """A serial, a token and a passage are never equal, and each has its name in the journal."""
    passage = Passage(agent(1), agent(2))
    kinds = {kind_of(each): str(each) for each in (Serial(0xAB), BearerId("ab"), passage)}
    assert kinds == {"serial": "ab", "bearer": "ab", "passage": f"{agent(2)}/{agent(1)}"}
    assert len({Serial(0xAB), BearerId("ab"), passage}) == 3


def test_all_that_a_revocation_took_is_to_be_cut() -> None:
    """Serials, tokens and passages alike."""
    passage = Passage(agent(1), agent(2))
    gone = Revoked(agent(), (Serial(1),), Reason.UNSPECIFIED, NOW, (BearerId("b"),), (passage,))
    assert gone.credentials == (Serial(1), BearerId("b"), passage)
