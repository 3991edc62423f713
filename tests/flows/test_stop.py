"""A stop does not wait for ever: what is still open when its time is over is cut, and the stop goes on."""

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from distribution.protocol import wire
from keys.certificate import Issued
from keys.errors import RefusedError
from tests.fakes.certificates import csr, new_key
from tests.fakes.listening import prepared, running
from tests.fakes.wire_client import close_of, request_for, said, websocket

WAIT_SECONDS = 20


def test_a_connection_that_does_not_close_in_time_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It waits for its certificate, which does not come; its socket is ended, and the stop goes on."""
    begun, go = threading.Event(), threading.Event()

    def enroll(*_asking: Any) -> Issued:
        begun.set()
        go.wait(WAIT_SECONDS)
        raise RefusedError("it took too long")

    with prepared(tmp_path) as (at, config), ExitStack() as stack:
        monkeypatch.setattr(at.work.authority, "enroll", enroll)
        config.timeout_graceful_shutdown = 1
        at.port = stack.enter_context(running(config))
        who = at.new_agent()
        with websocket(at, token=at.work.token("t1")) as connection:
            asking = request_for(csr(new_key(), who))
            connection.send(wire.encode_ws(said(who, connection_settings_request=asking)))
            assert begun.wait(WAIT_SECONDS)
            stopping = threading.Thread(target=stack.close)
            stopping.start()
            assert close_of(connection) == (0, "")
            go.set()
            stopping.join(WAIT_SECONDS)
            assert not stopping.is_alive()
    [told] = [one for one in caplog.records if one.getMessage() == "connections are cut: they took too long"]
    assert vars(told)["connections"] == 1
