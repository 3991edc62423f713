"""Telling the service manager that the server is ready or stops (sd_notify(3)), where there is one."""

import logging
import os
import socket
from collections.abc import Mapping
from typing import Final

_WORDS: Final = {"ready": b"READY=1", "stopping": b"STOPPING=1"}

logger = logging.getLogger(__name__)


def tell(state: str, environ: Mapping[str, str] = os.environ) -> None:
    """Tell "ready" or "stopping"; without `NOTIFY_SOCKET` nobody wants to know."""
    place = environ.get("NOTIFY_SOCKET", "")
    if not place.startswith(("/", "@")):
        return
    address = "\0" + place[1:] if place.startswith("@") else place  # unix(7): the abstract namespace
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.connect(address)
            sender.sendall(_WORDS[state])
    except OSError as exc:
        logger.warning("service manager could not be told", extra={"state": state, "reason": exc.strerror})
