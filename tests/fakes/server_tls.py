"""TLS of a listener on loopback, and the CA by which a host knows it."""

import itertools
import ssl
from datetime import UTC, datetime
from pathlib import Path

from distribution.transport.tls import server_context
from keys.ca_setup import create_hierarchy
from keys.profile import serial_from


def server_tls(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server's context, and the file of its CA."""
    offline, online = folder / "offline", folder / "online"
    offline.mkdir()
    online.mkdir()
    numbers = itertools.count(1)
    places = create_hierarchy(
        trust_domain="fleet.example",
        hosts=["127.0.0.1"],
        offline=offline,
        online=online,
        new_serial=lambda: serial_from(b"\x01" * 15 + bytes([next(numbers)])),
        now=datetime.now(UTC),
    )
    context = server_context(certificate=places.server_certificate, key=places.server_key)
    return context, places.root_certificate
