"""transport/notify.py: what the service manager hears."""

import logging
import socket
from pathlib import Path

import pytest

from distribution.transport.notify import tell


@pytest.mark.parametrize("abstract", [False, True])
def test_states_are_told(tmp_path: Path, *, abstract: bool) -> None:
    """Each state is one datagram, to a path or to the abstract namespace."""
    place = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + place if abstract else place)
        manager.settimeout(10)
        for state, word in (("ready", b"READY=1"), ("stopping", b"STOPPING=1")):
            tell(state, {"NOTIFY_SOCKET": "@" + place if abstract else place})
            assert manager.recv(100) == word


def test_nobody_wants_to_know(caplog: pytest.LogCaptureFixture) -> None:
    """Without a manager nothing happens."""
    tell("ready", {})
    assert not caplog.records


def test_a_manager_that_is_gone_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the server goes on."""
    with caplog.at_level(logging.WARNING):
        tell("ready", {"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    assert [record.getMessage() for record in caplog.records] == ["service manager could not be told"]
