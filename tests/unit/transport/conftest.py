"""A real listener over TLS on loopback, for the tests of both transports."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from distribution.domain.agent import Plan
from tests.fakes.listening import Listening, listening
from tests.fakes.sealed_pair import Teller, teller
from tests.fakes.server_tls import server_tls


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    """One listener for a file's tests."""
    with listening(tmp_path_factory.mktemp("listener")) as here:
        yield here


@pytest.fixture
def quiet_plan(at: Listening) -> None:
    """Nothing is offered until a test says so."""
    at.plans.plan, at.plans.error = Plan(None, 30), None


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS, and the file of its CA."""
    return server_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tell(tls: tuple[ssl.SSLContext, Path]) -> Teller:
    """Tells stories about one TLS connection."""
    return teller(tls)
