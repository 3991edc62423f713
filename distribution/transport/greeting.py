"""The TLS handshake of one connection, as a server, on a socket that does not block."""

import asyncio
import socket
import ssl


async def shake_hands(sock: socket.socket, context: ssl.SSLContext, seconds: float) -> ssl.SSLSocket:
    """Return the socket with TLS on it, as a server.

    Args:
        sock: does not block; it is the returned one's from here on, and closed if this fails.
        context: TLS 1.3 only.
        seconds: how long it may take.

    Raises:
        OSError: the handshake failed, ssl.SSLError among them; TimeoutError: it took too long.
    """
    try:
        sock.getpeername()  # who is gone already would be left open by the class
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sealed = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
    except BaseException:
        sock.close()
        raise
    try:
        async with asyncio.timeout(seconds):
            while not await _stepped(sealed):
                pass
    except BaseException:
        sealed.close()
        raise
    return sealed


async def _stepped(sealed: ssl.SSLSocket) -> bool:
    """Go on with a handshake as far as it goes, and wait for the socket; return whether it is through."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    try:
        sealed.do_handshake()
    except ssl.SSLWantReadError:
        watch, forget = loop.add_reader, loop.remove_reader
    except ssl.SSLWantWriteError:
        watch, forget = loop.add_writer, loop.remove_writer
    else:
        return True
    watch(sealed, _wake, ready)
    try:
        await ready
    finally:
        forget(sealed)
    return False


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
