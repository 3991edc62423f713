"""How often and of what a collector's opampextension speaks by itself, heard by a server of the tests."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from opamp.v1 import opamp_pb2

from tests.interop.certificates import make_server_files
from tests.interop.collector_host import CollectorHost
from tests.interop.programs import wait_for
from tests.interop.scripted_server import Said, ScriptedServer, Visit, scripted_server, until

BARE = 3
"""Fields of a message without news: uid, number and capabilities."""

BEAT_SECONDS = 30.0
SLACK_SECONDS = 4.0
"""By which the news before a beat may be heard late."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ScriptedServer]:
    """A server of the tests that takes this host's certificate."""
    own = make_server_files(tmp_path)
    (tmp_path / "cert.pem").write_bytes(own.certificate.read_bytes())
    (tmp_path / "key.pem").write_bytes(own.key.read_bytes())
    with scripted_server(tmp_path / "server", own) as running:
        (tmp_path / "ca.pem").write_bytes(running.ca.read_bytes())
        yield running


@pytest.fixture
def host(server: ScriptedServer, tmp_path: Path) -> CollectorHost:
    """A host whose collector speaks to that server."""
    return CollectorHost(str(uuid4()), tmp_path, server.url)


def test_it_beats_unasked(server: ScriptedServer, host: CollectorHost) -> None:
    """Half a minute after its last news it says that it is there, though it claims no heartbeats."""
    with host.collector("beats.log") as program:
        visit = server.visit(1, program)
        news = len(until("its health", lambda: well(visit), program))

        def beat() -> int | None:
            bare = (len(one.ListFields()) == BARE for one in visit.said[news:])
            return next((number for number, found in enumerate(bare, news) if found), None)

        number = until("a beat", beat, program)
        assert visit.said[number].sequence_num == number
        silent = visit.said_at[number] - visit.said_at[number - 1]
        assert BEAT_SECONDS - SLACK_SECONDS <= silent < 2 * BEAT_SECONDS
        assert not visit.said[0].capabilities & opamp_pb2.AgentCapabilities_ReportsHeartbeat


def test_its_parts_are_told_as_they_change(server: ScriptedServer, host: CollectorHost) -> None:
    """While it stops it tells its health several times, always with other states; the last is a goodbye."""
    with host.collector("health.log") as program:
        visit = server.visit(1, program)
        before = len(until("its health", lambda: well(visit), program))
        program.end()
        wait_for("the end of its connection", lambda: visit.over or None, alive=lambda: None)
    last = visit.said[before:]
    told = [one.health.SerializeToString(deterministic=True) for one in last if one.HasField("health")]
    assert len(set(told)) == len(told) > 1
    assert last[-1].HasField("agent_disconnect")
    pipeline = last[-1].health.component_health_map["pipeline:traces"]
    assert pipeline.component_health_map["receiver:nop"].status == "StatusStopped"


def well(visit: Visit) -> list[Said] | None:
    """Return all that was said in a visit, once a collector that is well was told of."""
    return list(visit.said) if any(one.health.healthy for one in visit.said) else None
