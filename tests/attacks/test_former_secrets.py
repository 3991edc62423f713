"""Threat: a secret that is no longer intended is kept in clear, or shown, from what an agent reports.

An agent keeps what it runs when that is replaced or taken away, and may report it at any time.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from distribution.domain.agent import Health, PackageReport, PackagesReport, PackageState
from distribution.domain.configuration import (
    Agreement,
    ConfigObject,
    ConfigState,
    ConfigStatus,
)
from distribution.domain.connections import ConnectionState, ConnectionStatus
from keys.identity import AgentId
from tests.fakes.configured import yaml
from tests.fakes.operators_api import operators_api
from tests.fakes.secret_fleet import BODY, OPEN, SECRET, Fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with operators_api(tmp_path) as api:
        yield Fleet(api)


def test_assignment_taken_away_from_an_agent_that_keeps_running_it(fleet: Fleet) -> None:
    """Nothing is intended any more, and the agent reports all anew."""
    fleet.create(BODY)
    fleet.assign(1)
    fleet.unassign()
    assert fleet.intended is None
    assert fleet.report(yaml(BODY + "receivers: {x: 1}\n")).agreement is Agreement.UNKNOWN
    fleet.require_hidden()
    assert OPEN in fleet.stored().body


def test_older_value_that_the_agent_still_runs(fleet: Fleet) -> None:
    """A value that was replaced, one that was taken away, and one of an agent that is to run nothing."""
    fleet.create("endpoint: https://in.example/${qm:value.ingest}\n", secret=False)
    fleet.assign(1)
    fleet.value(ingest=SECRET)
    before = fleet.intended
    fleet.value(ingest="another-secret")
    assert fleet.report(before).agreement is Agreement.DIFFERS
    fleet.require_hidden()
    fleet.unassign()
    fleet.report(yaml(f"a: x-{SECRET}\nb: 'another-secret'\n"))
    for secret in (SECRET, "another-secret"):
        fleet.require_hidden(secret)
    fleet.value(ingest=None)
    fleet.report(yaml("c: see another-secret\n"))
    fleet.require_hidden("another-secret")


def test_secret_version_that_was_replaced(fleet: Fleet) -> None:
    """The normal order of events: the new version is intended, and the agent still reports the old one."""
    fleet.create(BODY)
    fleet.create(BODY.replace(SECRET, "rotated-rotated"))
    fleet.assign(1)
    before = fleet.intended
    fleet.assign(2)
    assert fleet.report(before).agreement is Agreement.DIFFERS
    fleet.require_hidden()
    assert fleet.report(fleet.intended).agreement is Agreement.AGREES
    fleet.require_hidden("rotated-rotated")


def test_content_that_is_declared_secret_later(fleet: Fleet) -> None:
    """The same digests before and after: neither what was found nor what was kept is taken as it was."""
    fleet.create(BODY, secret=False)
    fleet.create(BODY)
    fleet.assign(1)
    fleet.report(fleet.intended)
    assert SECRET in fleet.stored().body
    fleet.assign(2)
    assert SECRET not in fleet.shown()  # though it is still kept in clear
    assert fleet.report(fleet.intended).agreement is Agreement.AGREES
    fleet.require_hidden()


def test_kept_in_clear_before_it_was_declared_secret(fleet: Fleet) -> None:
    """An agent that reports nothing anew is compared with what was kept, which is cleaned then."""
    fleet.create(BODY, secret=False)
    fleet.create(BODY + "more: 1\n")
    fleet.assign(1)
    fleet.report(fleet.intended)
    kept = fleet.stored()
    fleet.assign(2)
    wanted = fleet.intended
    assert wanted is not None
    later = fleet.services.clock().replace(year=2030)
    seen = fleet.examiner.again(AgentId(fleet.agent.uid), wanted, later)
    assert seen is not None
    assert (seen.agreement, seen.why) == (Agreement.DIFFERS, "more is missing")
    fleet.require_hidden()
    assert (fleet.stored().digest, fleet.stored().at) == (kept.digest, kept.at)


def test_secret_with_a_variable(fleet: Fleet) -> None:
    """What is looked for is the text with the agent's values in it; later, what stands around them."""
    fleet.create(f"license: {SECRET}-${{qm:label.env}}\ntier: gold-${{qm:label.env}}\n")
    fleet.assign(1)
    before = fleet.intended
    fleet.report(before)
    fleet.require_hidden()
    fleet.require_hidden("gold-prod")
    fleet.unassign()
    fleet.report(before)
    fleet.require_hidden()


@pytest.mark.parametrize("assigned", [True, False], ids=["intended", "not any more"])
@pytest.mark.parametrize("content_type", ["text/plain", ""])
def test_secret_in_a_text_that_is_no_tree(fleet: Fleet, content_type: str, *, assigned: bool) -> None:
    """Its lines are looked for, wherever they are reported: as they are, or in a text of YAML."""
    line = f"[site]\n  tier = {SECRET}\n  peer = ${{qm:label.env}}-{SECRET}\n"
    fleet.create(ConfigObject(line.encode(), content_type))
    fleet.assign(1)
    before = fleet.intended
    assert before is not None
    if not assigned:
        fleet.unassign()
    fleet.report(before)
    fleet.require_hidden()
    text = before.objects[""].body.decode().replace("\n", "\n  ")
    fleet.report(yaml(f"more: |\n  {text}"))
    fleet.require_hidden()


def test_secret_in_a_report_that_cannot_be_read(fleet: Fleet) -> None:
    """Where there are no scalars it is taken out wherever it stands."""
    fleet.create(BODY)
    fleet.assign(1)
    fleet.unassign()
    fleet.report(yaml(BODY + "broken: [\n"))
    fleet.require_hidden()


def test_secret_as_collectors_show_it(fleet: Fleet) -> None:
    """`$$` is one dollar sign to them, and what stands beside a reference is reported with what that is."""
    fleet.create(f"a: {SECRET}$$1\nb: more-{SECRET}-${{env:HOST}}\nc: '${{env:TOKEN:-other-{SECRET}}}'\n")
    fleet.assign(1)
    for _ in range(2):
        fleet.report(yaml(f"a: {SECRET}$1\nb: more-{SECRET}-web1\nc: other-{SECRET}\n"))
        fleet.require_hidden()
        if fleet.intended is not None:
            fleet.unassign()


def test_secret_quoted_in_an_agents_error_after_it_was_replaced(fleet: Fleet) -> None:
    """Whatever an agent says of an error, in every place that shows it."""
    fleet.create(f"license: {SECRET}\n")
    fleet.assign(1)
    fleet.value(site="given-to-it")
    fleet.value(site=None)
    fleet.unassign()
    words = f"bad license {SECRET} of given-to-it"
    view = replace(
        fleet.agent,
        health=Health(False, words, words, {"part": Health(False, words, words)}),
        packages=PackagesReport((PackageReport("p", PackageState.FAILED, error=words),), error=words),
        config=ConfigStatus(ConfigState.FAILED, b"h", words),
        connections=ConnectionStatus(ConnectionState.FAILED, b"h", words),
    )
    fleet.services.registry.keep(view)
    fleet.services.registry.flush()
    found = fleet.shown()
    assert (SECRET in found, "given-to-it" in found, found.count("bad license") > 9) == (False, False, True)


def test_values_of_a_former_holder(fleet: Fleet) -> None:
    """A reset ends what is known of the holder's values: the next one's are its own."""
    fleet.value(ingest=SECRET)
    fleet.value(ingest="another-secret")
    path = f"/api/v1/agents/{fleet.agent.uid}/reset"
    answer = fleet.api.call("POST", path, "security", json={})
    assert answer.is_success, answer.text
    with fleet.services.database.read() as connection:
        known = fleet.services.config_board.declared.known_of(connection, AgentId(fleet.agent.uid), None)
        left = connection.exec_driver_sql("select count(*) from config_earlier_values").scalar()
    assert (known.parts, left) == ((), 0)


def test_earlier_values_in_a_stolen_database(fleet: Fleet) -> None:
    """What is kept to be hidden lies sealed."""
    for value in (SECRET, "another-secret"):
        fleet.value(ingest=value)
    with fleet.services.database.read() as connection:
        rows = connection.exec_driver_sql("select * from config_earlier_values").all()
    assert (len(rows), SECRET in str(rows)) == (1, False)
