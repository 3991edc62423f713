"""transport/listeners.py: what cannot be listened at is named before anything is served."""

import asyncio
import socket
from collections.abc import Iterator

import pytest
import uvicorn

from distribution.errors import SettingsError
from distribution.transport.listeners import Listener, serve


async def nothing(scope: object, receive: object, send: object) -> None:
    """Serve nobody."""


def listener(name: str, host: str, port: int) -> Listener:
    return Listener(name, uvicorn.Config(nothing, host=host, port=port, lifespan="off"))


@pytest.fixture
def port() -> Iterator[int]:
    """A port that is bound, as ours are, and that nobody listens at."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def refusal(*listeners: Listener) -> str:
    told: list[str] = []
    with pytest.raises(SettingsError) as caught:
        asyncio.run(serve(listeners, [], told.append))
    assert "ready" not in told
    return str(caught.value)


@pytest.mark.parametrize(
    ("one", "other"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "0.0.0.0")]
)
def test_two_listeners_on_one_port_are_both_named(port: int, one: str, other: str) -> None:
    """Both could be bound, and the second fails only when it listens: nobody would know which it was."""
    said = refusal(listener("agents", one, port), listener("downloads", other, port))
    assert said == (
        f"agents listener at {one}:{port} and downloads listener at {other}:{port} "
        "have the same port, each needs one of its own"
    )


def test_one_port_of_two_addresses_is_no_collision(port: int) -> None:
    """What goes wrong then is something else: here the third listener's port is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = taken.getsockname()[1]
        said = refusal(
            listener("agents", "127.0.0.1", port),
            listener("downloads", "127.0.0.2", port),
            listener("operators", "127.0.0.1", busy),
        )
    assert said == f"operators listener cannot bind 127.0.0.1:{busy}: Address already in use"


def test_who_is_bound_as_well_and_is_faster_is_no_traceback(port: int) -> None:
    """Another program begins to listen between our binding and our listening."""
    late = listener("agents", "127.0.0.1", port)
    with late.bind() as bound, socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(SettingsError, match=f"agents listener cannot listen at 127.0.0.1:{port}: Addr"):
            asyncio.run(late.serve(sockets=[bound]))
