"""WebSocket frames as a client may send them, right and wrong."""

from websockets.utils import apply_mask

MASK = b"\x11\x22\x33\x44"


def frame(
    payload: bytes = b"",
    *,
    first: int = 0x82,
    masked: bool = True,
    length: int | None = None,
    form: int | None = None,
) -> bytes:
    """Return one frame.

    Args:
        payload: what it carries.
        first: its first byte: FIN, reserved bits, opcode.
        masked: as a client must.
        length: what the header says, if not the truth.
        form: 7, 16 or 64: in how many bits the header says it; the shortest that fits by default.
    """
    said = len(payload) if length is None else length
    bits = form or (7 if said < 126 else 16 if said < 1 << 16 else 64)
    mark = 0x80 if masked else 0
    if bits == 7:
        header = bytes((first, mark | said))
    elif bits == 16:
        header = bytes((first, mark | 126)) + said.to_bytes(2, "big")
    else:
        header = bytes((first, mark | 127)) + said.to_bytes(8, "big")
    return header + (MASK + apply_mask(payload, MASK) if masked else payload)
