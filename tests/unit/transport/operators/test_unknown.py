"""What does not exist is answered alike by every route: 404, and the word `unknown`."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from distribution.transport.operators.about import ABOUT
from tests.fakes.certificates import agent
from tests.fakes.operators_api import Api, operators_api

BODIES: Mapping[tuple[str, str], Any] = {
    ("PATCH", "/agents/{uid}"): {"labels": {"a": "b"}},
    ("PATCH", "/agents/{uid}/config-values"): {"values": {"a": "b"}},
    ("POST", "/certificate-requests/{uid}/approve"): {"key": "00"},
    ("POST", "/gateways/{uid}/agents"): {"uid": str(agent(8))},
    ("PUT", "/gateways/{uid}"): {},
}
"""What is sent where a body must be there."""

NEW = {
    ("PUT", "/channels/{name}"),
    ("PUT", "/connections/{name}"),
    ("PUT", "/config-assignments/{name}"),
    ("POST", "/configurations/{name}/versions"),
    ("PUT", "/publishers/{name}/files/{path:path}"),
    ("PUT", "/publishers/{name}/roles/{role}"),
}
"""Routes that make what they name, or that only its publisher may use."""

VALUES = {"uid": str(agent(9)), "token_id": "nobodys", "name": "nobodys", "number": "1"}
NAMING = [route for route in ABOUT if "{" in route[1] and route not in NEW]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with operators_api(tmp_path_factory.mktemp("api")) as api:
        yield api


def call(api: Api, route: tuple[str, str], values: Mapping[str, str]) -> tuple[int, str, str]:
    method, path = route
    filled = path.format(**values)
    return api.error(api.call(method, f"/api/v1{filled}", "read fleet security", json=BODIES.get(route)))


@pytest.mark.parametrize("route", NAMING, ids=" ".join)
def test_what_does_not_exist_is_unknown(api: Api, route: tuple[str, str]) -> None:
    """The message names it."""
    status, code, message = call(api, route, VALUES)
    assert (status, code) == (404, "unknown"), message
    assert any(value in message for value in (str(agent(9)), "nobodys"))


def test_what_cannot_be_a_bearer_tokens_name_is_unknown_too(api: Api) -> None:
    """As any other name that nobody has."""
    route = ("DELETE", "/bearer-tokens/{token_id}")
    status, code, message = call(api, route, {"token_id": "No.Name"})
    assert (status, code) == (404, "unknown")
    assert "bearer token 'No.Name' does not exist: bearer id 'No.Name' is not lower-case" in message
