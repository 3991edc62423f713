"""keys/certificate.py."""

import pytest

from keys.certificate import Serial
from keys.errors import RefusedError


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
