"""transport/front.py: one buffer for all, and everything handed on as it came."""

import asyncio

import pytest

from distribution.transport.front import Front

SIZE = 16


class Transport(asyncio.Transport):
    """Stands for a connection."""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.used_by = protocol


class Http:
    """Notes what uvicorn's protocol would be called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.transport: object = None

    def connection_made(self, transport: object) -> None:
        self.transport = transport
        self.calls.append(("made", transport))

    def data_received(self, data: bytes) -> None:
        self.calls.append(("data", data))

    def eof_received(self) -> None:
        self.calls.append(("eof",))

    def pause_writing(self) -> None:
        self.calls.append(("pause",))

    def resume_writing(self) -> None:
        self.calls.append(("resume",))

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append(("lost", exc))


def front_of(http: Http, scratch: bytearray) -> Front:
    return Front(http, scratch)  # type: ignore[arg-type] # what is used of it


def receive(front: Front, data: bytes) -> None:
    """Do as the loop does: write into the buffer that is lent, and say how much."""
    buffer = front.get_buffer(-1)
    buffer[: len(data)] = data
    front.buffer_updated(len(data))


def test_what_came_is_handed_on_and_stays_as_it_was() -> None:
    """A copy: the next bytes, of this connection or another, are written over it."""
    scratch = bytearray(SIZE)
    one, other = Http(), Http()
    first, second = front_of(one, scratch), front_of(other, scratch)
    receive(first, b"GET / HTTP/1.1\r\n")
    receive(second, b"abc")
    receive(first, b"")
    assert one.calls == [("data", b"GET / HTTP/1.1\r\n"), ("data", b"")]
    assert other.calls == [("data", b"abc")]
    assert all(type(call[1]) is bytes for call in one.calls + other.calls)


def test_nothing_of_an_earlier_read_comes_along() -> None:
    """What another connection left in the buffer behind the end is not handed on."""
    scratch = bytearray(SIZE)
    one, other = Http(), Http()
    receive(front_of(one, scratch), b"secret of one..")
    receive(front_of(other, scratch), b"x")
    assert other.calls == [("data", b"x")]


@pytest.mark.parametrize("hint", [-1, 0, 1, SIZE * 1000])
def test_the_same_buffer_is_lent_whatever_is_asked_for(hint: int) -> None:
    """None is made for a connection, however much is to come."""
    scratch = bytearray(SIZE)
    assert front_of(Http(), scratch).get_buffer(hint) is scratch


def test_all_else_is_as_it_is() -> None:
    """The protocol behind hears of everything, once and in order."""
    http, transport, gone = Http(), Transport(), ConnectionResetError("reset")
    front = front_of(http, bytearray(SIZE))
    transport.set_protocol(front)
    front.connection_made(transport)
    front.pause_writing()
    front.resume_writing()
    front.eof_received()
    front.connection_lost(gone)
    assert http.calls == [("made", transport), ("pause",), ("resume",), ("eof",), ("lost", gone)]
    assert not isinstance(transport.used_by, (Front, Http))  # it is let go of, last of all


def test_it_keeps_nothing_back_from_who_fails() -> None:
    """What goes wrong behind it is the loop's to see, which ends the connection."""

    class Broken(Http):
        def data_received(self, data: bytes) -> None:
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        receive(front_of(Broken(), bytearray(SIZE)), b"x")
