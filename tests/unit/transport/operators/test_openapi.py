"""The OpenAPI document: every route is in it, nothing else is, and it holds together."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.routing import Route

from distribution.transport.operators.about import ABOUT
from distribution.transport.operators.openapi import described, document
from tests.fakes.operators_api import Api, operators_api


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with operators_api(tmp_path_factory.mktemp("api")) as api:
        yield api


def routes(api: Api) -> list[Route]:
    return [route for route in api.app.routes if isinstance(route, Route)]


@pytest.fixture
def shown(api: Api) -> dict[str, Any]:
    answer = api.call("GET", "/api/v1/openapi.json", "read")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_every_route_is_described_and_nothing_else(api: Api) -> None:
    """A route without an entry, and an entry without a route, are named."""
    assert sorted(described(routes(api))) == sorted(ABOUT)


def test_the_document_is_that_of_the_routes(api: Api, shown: dict[str, Any]) -> None:
    """It is served to any operator, and to nobody else."""
    assert shown == document(routes(api))
    assert shown["openapi"] == "3.1.0"
    operations = [one for place in shown["paths"].values() for one in place.values()]
    assert len(operations) == len(ABOUT)
    ids = [one["operationId"] for one in operations]
    assert len(set(ids)) == len(ids)
    assert api.call("GET", "/api/v1/openapi.json").status_code == 401


def test_every_reference_leads_somewhere(shown: dict[str, Any]) -> None:
    """Each model that is named is there, under the name it has in Python."""
    text = json.dumps(shown)
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= set(shown["components"]["schemas"])
    assert {"ErrorAnswer", "ConnectionBody", "Agent"} <= named


def test_refusals_follow_from_what_a_route_takes(shown: dict[str, Any]) -> None:
    """A change can conflict, a body be too large, a path name nothing, a query be unknown; in one form."""
    put = shown["paths"]["/connections/{name}"]["put"]["responses"]
    assert set(put) == {"200", "400", "401", "403", "404", "409", "413", "422", "503"}
    listed = shown["paths"]["/channels"]["get"]["responses"]
    assert set(listed) == {"200", "400", "401", "403", "503"}
    assert set(shown["paths"]["/whoami"]["get"]["responses"]) == {"200", "400", "401", "503"}
    refused = put["409"]["content"]["application/json"]["schema"]
    assert refused == {"$ref": "#/components/schemas/ErrorAnswer"}


def test_a_route_that_nobody_described_is_there_with_its_path(api: Api) -> None:
    """A forgotten entry hides no route from a reader of the document."""
    more = Route("/api/v1/forgotten/{name}", lambda _request: None, methods=["GET"])
    place = document([*routes(api), more])["paths"]["/forgotten/{name}"]["get"]
    assert place["responses"] == {"default": {"description": "not described"}}
    assert [parameter["name"] for parameter in place["parameters"]] == ["name"]
