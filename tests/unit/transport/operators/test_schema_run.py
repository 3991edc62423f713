"""The API tried by its own document: no crash, no undocumented status, no answer that its schema forbids.

Examples are bounded and the same in every run: some that the document allows, some that it forbids and the
API must refuse. What it allows may still be refused for what it means (an agent that does not exist, a
version that is none), so a refusal by itself is no fault.
"""

import http
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import (
    ensure_resource_availability,
    object_level_authorization,
    positive_data_acceptance,
    use_after_free,
)
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup

from distribution.transport.operators.about import ABOUT
from tests.fakes.operators_api import Api, operators_api

EXAMPLES = 8
TIMES = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
NOT_ASKED = [
    ensure_resource_availability,
    object_level_authorization,
    positive_data_acceptance,
    use_after_free,
]
"""What needs to know the meaning of a request: other tests know it."""

REFUSED = ["400", "401", "403", "404", "405", "409", "413", "422"]
CONFIG = SchemathesisConfig.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": REFUSED}}})


class Tried:
    """One API with its document, and a token that opens all of it."""

    def __init__(self, api: Api) -> None:
        shown = api.call("GET", "/api/v1/openapi.json", "read").json()
        self.schema = schemathesis.openapi.from_dict(shown, config=CONFIG)
        self.schema.app = api.app
        self.headers = {"Authorization": f"Bearer {api.token('read fleet security publish:acme')}"}

    def operation(self, method: str, path: str) -> Any:
        """Return one operation of the document."""
        return self.schema[path.replace(":path", "")][method]


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    with operators_api(tmp_path_factory.mktemp("api")) as api:
        yield Tried(api)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("route", ABOUT, ids=" ".join)
def test_the_api_keeps_to_its_document(tried: Tried, route: tuple[str, str], mode: GenerationMode) -> None:
    """Whatever is sent is answered as documented; what the document forbids is refused."""
    calls, about = 0, ABOUT[route]

    @TIMES
    @given(case=tried.operation(*route).as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        nonlocal calls
        calls += 1
        found = case.call_and_validate(headers=tried.headers, excluded_checks=NOT_ASKED)
        if found.status_code < http.HTTPStatus.BAD_REQUEST:
            about.answers.model_validate_json(found.content)  # no field that the document lacks

    run()
    assert calls > 0


def test_a_fault_is_found(tmp_path: Path) -> None:
    """An answer of another type than documented, and an undocumented status, fail the run."""
    with operators_api(tmp_path) as api:
        shown = api.call("GET", "/api/v1/openapi.json", "read").json()
        headers = {"Authorization": f"Bearer {api.token('read')}"}
        shown["components"]["schemas"]["Operator"]["properties"]["name"] = {"type": "integer"}
        del shown["paths"]["/agents/{uid}"]["get"]["responses"]["404"]
        schema = schemathesis.openapi.from_dict(shown)
        schema.app = api.app
        unknown = {"uid": "0192f2a1-7c3e-7abc-8def-0123456789ab"}
        for path, values, fault in (
            ("/whoami", {}, "is not of type"),
            ("/agents/{uid}", unknown, "Undocumented status code"),
        ):
            case = schema[path]["GET"].Case(path_parameters=values)
            with pytest.raises(FailureGroup, match=fault):
                case.call_and_validate(headers=headers)
