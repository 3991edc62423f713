"""Outside the door: alive, ready, and metrics of the API's own registry."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from distribution.domain.agent import AgentView, Health
from distribution.transport.operators.services import Check
from storage.errors import UnavailableError
from tests.fakes.certificates import agent
from tests.fakes.operators_api import Api, operators_api


def broken() -> None:
    raise UnavailableError("disk full at /srv/secret")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with operators_api(tmp_path, Check("database", lambda: None)) as api:
        yield api


def test_alive_and_ready_need_no_token(api: Api) -> None:
    """Probes have none."""
    assert api.call("GET", "/healthz").json() == {"status": "ok"}
    assert api.call("GET", "/readyz").json() == {"status": "ready", "checks": {"database": "ok"}}


def test_not_ready_names_the_check_and_nothing_more(tmp_path: Path) -> None:
    """What is wrong in detail goes to the log, not to strangers."""
    with operators_api(tmp_path, Check("store", broken), Check("database", lambda: None)) as api:
        answer = api.call("GET", "/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"] == {"store": "failed", "database": "ok"}
        assert "secret" not in answer.text


def test_metrics_show_requests_fleet_and_catalogue(api: Api) -> None:
    """Counters are by route and status, gauges are read when asked for."""
    api.services.registry.keep(AgentView(agent(1).uuid, connected=True, health=Health(healthy=False)))
    api.services.registry.keep(AgentView(agent(2).uuid))
    api.services.registry.flush()
    api.call("GET", "/api/v1/whoami", "read")
    api.call("GET", "/api/v1/agents/x")
    found = api.call("GET", "/metrics").text
    assert 'quartermaster_agents{state="known"} 2.0' in found
    assert 'quartermaster_agents{state="connected"} 1.0' in found
    assert 'quartermaster_agents{state="unhealthy"} 1.0' in found
    assert 'requests_total{method="GET",route="/whoami",status="200"} 1.0' in found
    assert 'requests_total{method="GET",route="/agents/{uid}",status="401"} 1.0' in found
    assert "quartermaster_catalogue_verified 1.0" in found
    assert "quartermaster_snapshot_version 2.0" in found


def test_metrics_say_when_the_catalogue_has_expired(api: Api) -> None:
    """An alarm can be set on it."""
    api.work.clock.advance(timedelta(days=400))
    assert "quartermaster_catalogue_verified 0.0" in api.call("GET", "/metrics").text
