"""An agent's words lose what is known to be secret, wherever it may say any; what it did not say stays so."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from distribution.domain.agent import AgentView, Health, PackageReport, PackagesReport, PackageState
from distribution.domain.configuration import ConfigState, ConfigStatus
from distribution.domain.connections import ConnectionState, ConnectionStatus
from distribution.domain.secrets import Known
from distribution.transport.operators.words import known_of, shown_words, without_known
from tests.fakes.configured import view
from tests.fakes.operators_api import Api, operators_api

FOUND = Known(frozenset({"hunter2-whole\n  hunter2-line"}), ("hunter2-part",))
WORDS = "a hunter2-whole, b hunter2-line, c hunter2-part"
CLEAN = "a [REDACTED], b [REDACTED], c [REDACTED]"


def says(words: str) -> list[AgentView]:
    """Return agents that say this, each in another place."""
    failed = PackageReport("p", PackageState.FAILED, error=words)
    return [
        replace(view(), health=Health(False, words, words, {"x": Health(True, words, words)})),
        replace(view(), packages=PackagesReport((failed,))),
        replace(view(), packages=PackagesReport((), error=words)),
        replace(view(), config=ConfigStatus(ConfigState.FAILED, b"h", words)),
        replace(view(), connections=ConnectionStatus(ConnectionState.FAILED, b"h", words)),
    ]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with operators_api(tmp_path) as api:
        yield api


def test_every_place() -> None:
    """Health at any depth, packages, configuration, connections."""
    assert [without_known(one, FOUND) for one in says(WORDS)] == says(CLEAN)
    assert without_known(view(), FOUND) == view()


def test_an_agent_without_words_costs_nothing(api: Api) -> None:
    """Its view is passed on as it is; one with words is not."""
    quiet = replace(view(), health=Health(healthy=True), packages=PackagesReport())
    assert shown_words(api.services, quiet) is quiet
    assert [shown_words(api.services, one) is one for one in says("x")] == [False] * 5


def test_where_nothing_can_be_decided(api: Api) -> None:
    """What was declared before is known of an agent that takes no configuration, too."""
    assert known_of(api.services, AgentView(view().uid)) == Known()
