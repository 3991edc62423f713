"""A real listener over TLS on loopback, for what the specification says of a server."""

from collections.abc import Iterator

import pytest

from distribution.domain.agent import Plan
from tests.fakes.listening import Listening, listening


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    """One listener for a file's tests."""
    with listening(tmp_path_factory.mktemp("listener")) as here:
        yield here


@pytest.fixture(autouse=True)
def quiet_plan(at: Listening) -> None:
    """Nothing is offered until a test says so."""
    at.plans.plan, at.plans.error = Plan(None, 30), None
