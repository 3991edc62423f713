"""An agent's words lose what is known to be secret, wherever it may say any; what it did not say stays so."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from distribution.domain.agent import AgentView, Health, PackageReport, PackagesReport, PackageState
from distribution.domain.configuration import ConfigState, ConfigStatus
from distribution.domain.connections import ConnectionState, ConnectionStatus
from distribution.domain.known_secrets import Known
from distribution.domain.secrets import REDACTED
from distribution.flows.configuration import values
from distribution.flows.watch import Event
from distribution.transport.operators.words import (
    known_of,
    listed_words,
    safe_words,
    shown_words,
    watched_words,
    without_known,
)
from keys.identity import AgentId
from tests.fakes.configured import NOW, view
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


def test_lists_look_only_at_what_they_show(api: Api) -> None:
    """Parts of health are hundreds for an agent, and no list shows them."""
    health, packages, *_ = (one for one in says(WORDS) if one.health or one.packages)
    assert health.health is not None
    found = listed_words(api.services, health).health
    assert (found, listed_words(api.services, packages)) == (replace(health.health, components={}), packages)


def test_a_view_of_nothing_that_is_listed(api: Api) -> None:
    """What lists do not show does not even have what is known looked for."""
    for one in says(WORDS)[3:]:
        assert listed_words(api.services, one) == view()


def test_words_that_were_cut_within_a_secret() -> None:
    """As long as words may be, or shorter for what was taken out of them when they came."""
    for words in (f"{'x' * 1011} hunter2-part"[:1021], f"{REDACTED} hunter2-par", "at hunter2-par"):
        padded = words.rjust(1024, "y") if words.startswith("x") else words
        clean = safe_words(padded, FOUND)
        assert clean.endswith("hunter2-par") is words.startswith("at")


def test_words_that_are_watched(api: Api) -> None:
    """Wherever they stand in an event; what are no words stays as it is."""
    words = f"{'x' * 1024}"
    event: Event = {"at": "now", "said": {"sequence": 1, "health": {"error": words, "components": {}}}}
    events: list[Event] = [event, {"dropped": 3}, {"said": {"packages": {"packages": [{"error": "e"}]}}}]
    assert watched_words(api.services, AgentId(view().uid), events) == events


def test_values_of_one_agent(api: Api) -> None:
    """What operators gave it is not in its words; in another's it is no secret."""
    values.set_values(
        api.services.configurations, AgentId(view().uid), {"a": "given-to-it"}, actor="operator:ann", now=NOW
    )
    api.services.config_board.reload()
    found = [known_of(api.services, one).parts for one in (view(), view(2))]
    assert found == [("given-to-it",), ()]
