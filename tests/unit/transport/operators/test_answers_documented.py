"""Every good answer is what the document says of its route: each is made once, where there is something."""

import http
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from distribution.domain.agent import (
    AgentView,
    Capability,
    Components,
    Description,
    Health,
    PackageReport,
    PackagesReport,
    PackageState,
)
from distribution.domain.configuration import (
    Agreement,
    ConfigObject,
    ConfigState,
    ConfigStatus,
    EffectiveSeen,
)
from distribution.domain.connections import ConnectionState, ConnectionStatus
from distribution.flows.configuration.effective import Examiner
from distribution.transport.operators.about import ABOUT
from keys.certificate import Passage
from tests.fakes.certificates import NOW, agent, csr, new_key, pem, request_builder
from tests.fakes.operators_api import Api, digest, operators_api

ALL = "read fleet security publish:acme"
FILE = "acme/otelcol/{version}/linux-amd64/otelcol"
DAY = 86_400
ELSEWHERE = {
    ("PUT", "/publishers"): "needs a delegation that the offline keys signed: tests/unit/flows",
    ("PUT", "/publishers/{name}/roles/{role}"): "needs a signed role: test_uploads.py",
}
"""Routes whose good answer takes more than a body, and where it is made."""


class Walk:
    """Calls routes and compares each answer with its model."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.seen: set[tuple[str, str]] = set(ELSEWHERE)

    def __call__(self, method: str, path: str, **more: object) -> httpx.Response:
        """Call a route, given by its path with `|value` behind each parameter, such as `/agents/{uid}|x`."""
        route, _, values = path.partition("|")
        filled = route
        for value in filter(None, values.split("|")):
            begin, end = filled.index("{"), filled.index("}")
            filled = filled[:begin] + value + filled[end + 1 :]
        found = self.api.call(method, f"/api/v1{filled}", ALL, **more)  # type: ignore[arg-type] # any option
        about = ABOUT[(method, route)]
        assert found.status_code in (about.status, *about.also), found.text
        assert found.status_code < http.HTTPStatus.BAD_REQUEST
        about.answers.model_validate_json(found.content)
        self.seen.add((method, route))
        return found


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    with operators_api(tmp_path) as api:
        api.world.release("acme", {FILE.format(version="1.0.0"): b"bytes"})
        api.services.catalogues.reload(NOW)
        yield Walk(api)


def told(number: int) -> AgentView:
    """Return an agent that said everything."""
    package = PackageReport("otelcol", PackageState.FAILED, "1.0.0", offered_version="1.1.0", error="x")
    return AgentView(
        agent(number).uuid,
        description=Description({"service.name": "col"}, {"os.type": "linux", "host.arch": "amd64"}),
        capabilities=Capability(0xFFFF),
        health=Health(False, "down", "x", {"pipe": Health(True, components={"exporter": Health(True)})}),
        packages=PackagesReport((package,), error="x"),
        connected=True,
        last_seen=NOW,
        config=ConfigStatus(ConfigState.FAILED, b"h", "x"),
        effective=EffectiveSeen(b"d", Agreement.DIFFERS, b"i", "x"),
        connections=ConnectionStatus(ConnectionState.APPLIED, b"h", "x"),
        components=Components(b"c"),
        custom_capabilities=frozenset({"x"}),
    )


def test_every_good_answer_is_documented(walk: Walk) -> None:
    """No field more, none less, none of another type; and no route is left out."""
    people(walk)
    agents(walk)
    choices(walk)
    configurations(walk)
    records(walk)
    grants(walk)
    ends(walk)
    assert sorted(set(ABOUT) - walk.seen) == []


def people(walk: Walk) -> None:
    walk("POST", "/enrollment-tokens", json={"lifetime_seconds": DAY})
    walk("GET", "/enrollment-tokens")
    walk("DELETE", "/enrollment-tokens/{token_id}|token-1")
    walk("GET", "/whoami")
    walk("POST", "/operators", json={"name": "ann", "scopes": ["read"], "lifetime_seconds": DAY})
    walk("GET", "/operators")
    walk("DELETE", "/operators/{name}|ann")


def agents(walk: Walk) -> None:
    who = walk.api.enroll(1, ring="a")
    walk.api.services.registry.keep(told(1))
    walk.api.services.registry.flush()
    listed = walk("GET", "/agents", params={"limit": "5"})
    assert listed.json()["agents"]
    walk("GET", "/agents/count")
    walk("GET", f"/agents/{{uid}}|{who}")
    walk("GET", f"/agents/{{uid}}/explain|{who}")
    walk("GET", f"/agents/{{uid}}/components|{who}")
    walk("GET", f"/agents/{{uid}}/watch|{who}", params={"seconds": "0"})
    walk("PATCH", f"/agents/{{uid}}|{who}", json={"labels": {"ring": "b"}})


def choices(walk: Walk) -> None:
    where = {"publisher": "acme", "package": "otelcol", "version": "1.0.0", "selector": {"ring": "b"}}
    walk("PUT", "/channels/{name}|stable", json=where)
    walk("GET", "/channels")
    walk("GET", "/channels/{name}|stable")
    walk("DELETE", "/channels/{name}|stable")
    target = {"kind": "own_metrics", "endpoint": "https://otlp.example/v1/metrics", "headers": {"A": "b"}}
    walk("PUT", "/connections/{name}|m", json=target)
    walk("GET", "/connections")
    walk("GET", "/connections/{name}|m")
    walk("GET", f"/agents/{{uid}}/connections|{agent(1)}")
    walk("DELETE", "/connections/{name}|m")


def configurations(walk: Walk) -> None:
    who = agent(1)
    for text in ("a: 1", "a: 2"):
        walk("POST", "/configurations/{name}/versions|base", json=version(text))
    walk("GET", "/configurations")
    walk("GET", "/configurations/{name}/versions|base")
    walk("GET", "/configurations/{name}/versions/{number}|base|1")
    walk("POST", "/configurations/{name}/versions/{number}/validate|base|1")
    for number in (1, 2):
        where = {"configuration": "base", "version": number}
        walk("PUT", "/config-assignments/{name}|base", json=where)
    walk("POST", "/config-assignments/{name}/back|base")
    walk("GET", "/config-assignments")
    walk("GET", "/config-assignments/{name}|base")
    walk("PATCH", f"/agents/{{uid}}/config-values|{who}", json={"values": {"site": "x"}})
    walk.api.services.config_board.reload()
    effective = {"": ConfigObject(b"a: 3", "text/yaml")}
    services = walk.api.services
    Examiner(services.database, services.config_board.declared).examine(who, effective, None, NOW)
    whole = walk("GET", f"/agents/{{uid}}/configuration|{who}").json()
    assert whole["intended"]
    assert whole["effective"]
    assert whole["differences"]
    assert whole["values"]
    assert walk("GET", "/config-status").json()["agents"]
    walk("DELETE", "/config-assignments/{name}|base")


def version(text: str) -> dict[str, object]:
    """Return the body that writes a version of this YAML."""
    return {"objects": [{"key": "", "content_type": "text/yaml", "body": text}]}


def records(walk: Walk) -> None:
    for path in ("/releases", "/publishers", "/trust", "/journal", "/openapi.json"):
        walk("GET", path)
    walk("POST", "/journal/verify")
    body = b"more bytes"
    path = FILE.format(version="1.1.0")
    walk("PUT", f"/publishers/{{name}}/files/{{path:path}}|acme|{path}", content=body, headers=digest(body))


def grants(walk: Walk) -> None:
    request = pem(request_builder(common_names=["host-7"]), new_key()).decode()
    walk("POST", "/certificates", json={"csr": request, "uid": str(agent(5))})
    made = walk("POST", "/bearer-tokens", json={"new": True, "lifetime_seconds": DAY}).json()
    walk("GET", f"/agents/{{uid}}/bearer-tokens|{made['agent']}")
    walk("DELETE", f"/bearer-tokens/{{token_id}}|{made['token_id']}")
    walk("PUT", f"/gateways/{{uid}}|{agent(1)}", json={"admits": "listed"})
    walk("POST", f"/gateways/{{uid}}/agents|{agent(1)}", json={"uid": str(agent(9))})
    walk("GET", "/gateways")
    walk("GET", f"/gateways/{{uid}}|{agent(1)}")
    waiting(walk)
    walk("DELETE", f"/gateways/{{uid}}|{agent(1)}")


def waiting(walk: Walk) -> None:
    """Let a request wait for its approval, as one that came through a gateway does."""
    who, gateway = agent(9), agent(1)
    authority = walk.api.work.authority
    assert authority.enroll_through(csr(new_key(), who), Passage(who, gateway), NOW) is None
    [found] = walk("GET", "/certificate-requests").json()["requests"]
    walk("POST", f"/certificate-requests/{{uid}}/approve|{who}", json={"key": found["key"]})


def ends(walk: Walk) -> None:
    registry = walk.api.services.registry
    able = replace(registry.find(agent(1)), connected=True, capabilities=Capability.ACCEPTS_RESTART)
    registry.keep(able)
    walk("POST", f"/agents/{{uid}}/restart|{agent(1)}")
    walk("POST", f"/agents/{{uid}}/revoke|{agent(1)}", json={})
    walk("POST", f"/agents/{{uid}}/reset|{agent(1)}", json={})
