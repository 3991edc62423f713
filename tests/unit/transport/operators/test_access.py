"""The door: every route names its scopes, and each scope that does not suffice is refused by name."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.routing import Route

from distribution.flows import operators
from tests.fakes.operators_api import Api, operators_api

SCOPES = ("read", "fleet", "security", "publish:acme", "publish:other")
SEEING = {"read", "fleet", "security"}
PLACES = {
    "uid": "01890000-0000-7000-8000-000000000001",
    "name": "acme",
    "token_id": "t1",
    "role": "acme",
    "path": "acme/otelcol/1.0.0/linux-amd64/otelcol",
}
SUFFICIENT: dict[tuple[str, str], set[str]] = {
    ("POST", "/enrollment-tokens"): {"security"},
    ("GET", "/enrollment-tokens"): SEEING,
    ("DELETE", "/enrollment-tokens/{token_id}"): {"security"},
    ("GET", "/agents"): SEEING,
    ("GET", "/agents/count"): SEEING,
    ("GET", "/agents/{uid}/watch"): SEEING,
    ("GET", "/agents/{uid}/components"): SEEING,
    ("GET", "/agents/{uid}/explain"): SEEING,
    ("GET", "/agents/{uid}"): SEEING,
    ("PATCH", "/agents/{uid}"): {"fleet"},
    ("POST", "/agents/{uid}/revoke"): {"security"},
    ("POST", "/agents/{uid}/reset"): {"security"},
    ("POST", "/agents/{uid}/restart"): {"fleet"},
    ("POST", "/certificates"): {"security"},
    ("GET", "/certificate-requests"): SEEING,
    ("POST", "/certificate-requests/{uid}/approve"): {"security"},
    ("POST", "/bearer-tokens"): {"security"},
    ("GET", "/agents/{uid}/bearer-tokens"): SEEING,
    ("DELETE", "/bearer-tokens/{token_id}"): {"security"},
    ("GET", "/gateways"): SEEING,
    ("GET", "/gateways/{uid}"): SEEING,
    ("PUT", "/gateways/{uid}"): {"security"},
    ("DELETE", "/gateways/{uid}"): {"security"},
    ("POST", "/gateways/{uid}/agents"): {"security"},
    ("GET", "/channels"): SEEING,
    ("GET", "/channels/{name}"): SEEING,
    ("PUT", "/channels/{name}"): {"fleet"},
    ("DELETE", "/channels/{name}"): {"fleet"},
    ("GET", "/configurations"): SEEING,
    ("POST", "/configurations/{name}/versions"): {"fleet"},
    ("GET", "/configurations/{name}/versions"): SEEING,
    ("GET", "/configurations/{name}/versions/{number}"): SEEING,
    ("POST", "/configurations/{name}/versions/{number}/validate"): {"fleet"},
    ("GET", "/config-assignments"): SEEING,
    ("GET", "/config-assignments/{name}"): SEEING,
    ("PUT", "/config-assignments/{name}"): {"fleet"},
    ("DELETE", "/config-assignments/{name}"): {"fleet"},
    ("POST", "/config-assignments/{name}/back"): {"fleet"},
    ("GET", "/config-status"): SEEING,
    ("GET", "/agents/{uid}/configuration"): SEEING,
    ("PATCH", "/agents/{uid}/config-values"): {"fleet"},
    ("GET", "/connections"): SEEING,
    ("GET", "/connections/{name}"): SEEING,
    ("PUT", "/connections/{name}"): {"fleet"},
    ("DELETE", "/connections/{name}"): {"fleet"},
    ("GET", "/agents/{uid}/connections"): SEEING,
    ("GET", "/releases"): set(SCOPES),
    ("GET", "/publishers"): set(SCOPES),
    ("PUT", "/publishers"): {"security"},
    ("PUT", "/publishers/{name}/files/{path:path}"): {"publish:acme"},
    ("PUT", "/publishers/{name}/roles/{role}"): {"publish:acme"},
    ("GET", "/trust"): set(SCOPES),
    ("GET", "/openapi.json"): set(SCOPES),
    ("GET", "/journal"): SEEING,
    ("POST", "/journal/verify"): {"security"},
    ("GET", "/whoami"): set(SCOPES),
    ("POST", "/operators"): {"security"},
    ("GET", "/operators"): SEEING,
    ("DELETE", "/operators/{name}"): {"security"},
}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with operators_api(tmp_path) as api:
        yield api


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One API for the tests that only knock at the door."""
    with operators_api(tmp_path_factory.mktemp("api")) as api:
        yield api


def filled(path: str) -> str:
    for name, value in PLACES.items():
        path = path.replace(f"{{{name}}}", value).replace(f"{{{name}:path}}", value)
    return f"/api/v1{path}"


def test_the_table_names_every_route(shared: Api) -> None:
    """A route that is added without a line in this test's table is found out."""
    found = {
        (method, route.path.removeprefix("/api/v1"))
        for route in shared.app.routes
        if isinstance(route, Route) and route.path.startswith("/api/")
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert found == set(SUFFICIENT)


@pytest.mark.parametrize("route", SUFFICIENT, ids=" ".join)
def test_each_scope_that_does_not_suffice_is_refused(shared: Api, route: tuple[str, str]) -> None:
    """Nothing but the scopes of the table passes; a refusal names what is held and what is needed."""
    method, path = route
    for scope in SCOPES:
        answer = shared.call(method, filled(path), scope)
        if scope in SUFFICIENT[route]:
            assert answer.status_code not in {401, 403, 500}, (scope, answer.text)
        else:
            status, code, message = shared.error(answer)
            assert (status, code) == (403, "forbidden"), scope
            assert f"holds {scope}, this needs" in message


@pytest.mark.parametrize("route", SUFFICIENT, ids=" ".join)
def test_nothing_is_reached_without_a_token(shared: Api, route: tuple[str, str]) -> None:
    """No token, no answer but the challenge."""
    method, path = route
    answer = shared.call(method, filled(path))
    assert shared.error(answer)[:2] == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer op0", "Bearer op0.wrong", "Basic b3A6eA==", "Bearer x.y.z"]
)
def test_a_bad_header_is_refused(shared: Api, header: str) -> None:
    """Another scheme, no secret, a guessed one: the same status, and no hint which part was wrong."""
    shared.token("read")
    answer = shared.call("GET", "/api/v1/whoami", headers={"Authorization": header})
    assert shared.error(answer)[:2] == (401, "unauthenticated")
    assert "op0" not in shared.error(answer)[2]


def test_a_token_ends_when_it_expires_or_is_revoked(api: Api) -> None:
    """Both take effect on the next request, and are said."""
    api.token("security")
    assert api.call("GET", "/api/v1/whoami", "read").status_code == 200
    operators.revoke(api.services.database, "op1", actor="operator:root", now=api.work.clock())
    assert "revoked" in api.error(api.call("GET", "/api/v1/whoami", "read"))[2]
    api.work.clock.advance(timedelta(days=30))
    assert "expired" in api.error(api.call("GET", "/api/v1/whoami", "security"))[2]


def test_several_scopes_add_up(api: Api) -> None:
    """A token that holds two scopes passes where either suffices."""
    both = "fleet publish:acme"
    assert api.call("GET", "/api/v1/agents", both).status_code == 200
    assert api.upload("acme/otelcol/1.0.0/linux-amd64/otelcol", b"x", both).status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/v1/nothing", (404, "not_found")),
        ("DELETE", "/api/v1/trust", (405, "method_not_allowed")),
    ],
)
def test_what_the_router_refuses_is_json_too(
    shared: Api, method: str, path: str, expected: tuple[int, str]
) -> None:
    """An unknown path and a wrong method answer in the API's own shape."""
    assert shared.error(shared.call(method, path))[:2] == expected
