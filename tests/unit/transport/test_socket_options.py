"""What the kernel is told of each agent's socket, once for all that are accepted."""

import socket
from pathlib import Path

from tests.fakes.listening import listening
from tests.fakes.wire_client import said, tell, websocket


def test_a_connection_has_what_the_listener_was_given(tmp_path: Path) -> None:
    """Small answers are not held back; a peer that vanished is found within two minutes."""
    with listening(tmp_path) as at:
        known = at.enrolled()
        with websocket(at, known) as connection:
            assert tell(connection, said(known.agent)).capabilities
            (link,) = at.hub._links
            bare = link.transport.get_extra_info("socket")
            assert bare.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert bare.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            idle, between, tries = (
                bare.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            )
            assert idle + between * tries <= 120
