"""Threat: a declared secret is shown, for a part of it was taken out or cut off before it was looked for."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from opamp.v1 import opamp_pb2

from distribution.domain.agent import Health, Report
from distribution.domain.configuration import ConfigState, ConfigStatus
from distribution.protocol import parts
from distribution.protocol.offers import Reply
from keys.identity import AgentId
from tests.fakes.configured import yaml
from tests.fakes.operators_api import operators_api
from tests.fakes.secret_fleet import BODY, SECRET, Fleet
from tests.fakes.watching import watched

URL = f"https://user:pw@in.example/ingest/{SECRET}"
WITH_USER = f"exporters:\n  otlp:\n    endpoint: {URL}\n"


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with operators_api(tmp_path) as api:
        yield Fleet(api)


def say(fleet: Fleet, error: str) -> Health:
    """Let the agent say so of its health; return what is kept of it."""
    health = parts.health(opamp_pb2.ComponentHealth(last_error=error))
    fleet.services.registry.keep(replace(fleet.agent, health=health))
    fleet.services.registry.flush()
    return health


def test_words_that_lost_who_is_named_in_a_url(fleet: Fleet) -> None:
    """The rest of the URL is as secret as before, now and after it is intended no more."""
    fleet.create(WITH_USER)
    fleet.assign(1)
    assert SECRET in say(fleet, f"cannot reach {URL}: refused").error
    for _ in range(2):
        assert SECRET not in fleet.shown()
        assert "cannot reach" in fleet.shown()
        if fleet.intended:
            fleet.unassign()


def test_value_of_one_agent_with_who_is_named_in_a_url(fleet: Fleet) -> None:
    """The same of a value that operators gave it."""
    fleet.value(ingest=URL)
    say(fleet, f"cannot reach {URL}: refused")
    assert SECRET not in fleet.shown()


def test_document_kept_before_it_was_declared(fleet: Fleet) -> None:
    """What is kept lost only what looks like a secret; it is shown without the rest, and rewritten so."""
    fleet.report(yaml(WITH_USER))
    assert SECRET in fleet.stored().body
    fleet.create(WITH_USER + "more: 1\n")
    fleet.assign(1)
    assert SECRET not in fleet.shown()
    wanted = fleet.intended
    assert wanted is not None
    fleet.examiner.again(AgentId(fleet.agent.uid), wanted, fleet.services.clock())
    fleet.require_hidden()


@pytest.mark.parametrize("text", [BODY, WITH_USER], ids=["plain", "with a user"])
def test_words_cut_within_a_secret(fleet: Fleet, text: str) -> None:
    """Whatever of it is left at their end, down to six characters."""
    fleet.create(text)
    fleet.assign(1)
    quoted = text.partition("endpoint: ")[2].partition("\n")[0]
    for cut in range(1, len(SECRET)):
        say(fleet, f"{'x' * (1023 - len(quoted) + cut)} {quoted}")
        assert "in.example" not in fleet.shown()


def test_words_that_are_watched(fleet: Fleet) -> None:
    """Who watches an agent sees what it says without what is known to be secret, too."""
    fleet.create(BODY)
    fleet.assign(1)
    uid = fleet.agent.uid
    failed = ConfigStatus(ConfigState.FAILED, b"h", f"bad endpoint https://in.example/ingest/{SECRET}")

    def speak() -> None:
        fleet.services.watches.heard("ws", uid, Report(uid, 1, config_status=failed), Reply(uid))
        fleet.services.watches.refused("ws", AgentId(uid), ValueError(failed.error))

    told = watched(fleet.api, AgentId(uid), speak)
    assert [line["direction"] for line in told] == ["watching", "from agent", "to agent", "refused"]
    assert (SECRET in json.dumps(told), json.dumps(told).count("bad endpoint")) == (False, 2)
