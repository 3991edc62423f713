"""A connection that is gone leaves no circle of references behind, so its memory is free at once.

What is in a circle waits for the garbage collector, and the full collection that finds it is put off for long
(`compose.pauses`). A TLS connection in a circle keeps its buffers and OpenSSL's state: a storm of
connections that come and go would hold a hundred megabytes that nobody needs. The circle is TLS's: it keeps
the protocol's methods, and the protocol keeps the transport.
"""

import asyncio


class Nobody(asyncio.BufferedProtocol):
    """The protocol of a transport whose own is gone; nothing is called on it any more."""


_NOBODY = Nobody()


def let_go(transport: asyncio.BaseTransport) -> None:
    """Have a transport forget the protocol that it was used by; call it last, once the connection is lost."""
    transport.set_protocol(_NOBODY)
