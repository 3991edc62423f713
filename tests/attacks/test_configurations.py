"""Threat: an agent makes itself be sent what is not meant for it, or more than values of what is."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from opamp.v1 import opamp_pb2

from distribution.domain.agent import AgentView, Capability
from distribution.domain.config_choice import Assignment
from distribution.domain.config_standing import Standing, standing_of
from distribution.domain.configuration import Agreement, ConfigObject, ConfigVersion
from distribution.errors import ConflictError, InvalidError, PolicyError
from distribution.fleet import documents
from distribution.fleet.documents import Kind
from distribution.flows.configuration import values, versions
from distribution.flows.configuration.render import ready
from distribution.flows.configuration.validator import CommandValidator
from distribution.flows.configuration.yaml_text import VALUES_MAX
from distribution.protocol.reports import read_report
from keys.errors import CustodyError
from keys.identity import AgentId
from keys.sealing import Seal, new_seal_key
from tests.fakes.configured import NOW, Configured, configured, intended, view, yaml

SECRET = "exporters: {otlp: {headers: {Authorization: hunter2}}}"
LINUX = {"os.type": "linux"}
BOMB = "a: &a [0, 0, 0, 0, 0, 0, 0, 0, 0]\n" + "".join(
    f"k{i}: &k{i} [{', '.join([f'*{before}'] * 9)}]\n"
    for i, before in enumerate(["a", *(f"k{i}" for i in range(8))])
)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Configured]:
    with configured(tmp_path) as found:
        yield found


def test_secret_selected_by_what_an_agent_says(fleet: Configured) -> None:
    """A configuration that carries a secret cannot be given a selector that agents fill by themselves."""
    fleet.create("base", SECRET, secret=True)
    with pytest.raises(InvalidError, match=r"carries a secret.*what an agent says of itself"):
        fleet.assign(Assignment("base", "base", 1, attributes=LINUX))
    assert fleet.bodies(view(attributes=LINUX)) == {}


def test_secret_reached_by_an_assignment_that_was_harmless(fleet: Configured) -> None:
    """A selector by attributes does not come along to a version that carries a secret, nor back to one."""
    fleet.create("base", "a: 1")
    fleet.create("base", SECRET, secret=True)
    with pytest.raises(InvalidError, match="carries a secret"):
        fleet.assign(Assignment("base", "base", 2, attributes=LINUX))
    fleet.assign(Assignment("base", "base", 2, labels={"env": "prod"}))
    fleet.assign(Assignment("base", "base", 1, attributes=LINUX))
    with pytest.raises(InvalidError, match="carries a secret"):
        fleet.back("base")
    assert fleet.bodies(view(attributes=LINUX)) == {"": "a: 1"}


def test_secret_label_claimed_as_an_attribute(fleet: Configured) -> None:
    """An agent that reports what a label selects is not selected: labels are a token's or an operator's."""
    fleet.create("base", SECRET, secret=True)
    fleet.assign(Assignment("base", "base", 1, labels={"env": "prod"}))
    claims = {"env": "prod", "label.env": "prod", "labels": '{"env": "prod"}'}
    assert fleet.bodies(view(attributes=claims)) == {}
    assert fleet.bodies(view(labels={"env": "prod"})) == {"": SECRET}


def test_secret_of_an_agents_own_selected_by_what_it_says(fleet: Configured) -> None:
    """The value that an operator gave an agent counts as a secret wherever it is put in."""
    fleet.create("base", "endpoint: https://host/${qm:value.path}")
    with pytest.raises(InvalidError, match="carries a secret"):
        fleet.assign(Assignment("base", "base", 1, attributes=LINUX))


def test_secret_sent_where_an_agent_says(fleet: Configured) -> None:
    """What an agent says of itself is no part of a configuration that carries a secret."""
    with pytest.raises(InvalidError, match=r"is secret, so no value.*\$\{qm:attribute.collector\}"):
        fleet.create("base", f"endpoint: ${{qm:attribute.collector}}\n{SECRET}", secret=True)


def test_secret_not_declared(fleet: Configured) -> None:
    """A plain secret is not taken without the flag that keeps it from being selected by attributes."""
    for text in (SECRET, "password: hunter2", "dsn: postgres://u:hunter2@db", "a: AKIAIOSFODNN7EXAMPLE"):
        with pytest.raises(InvalidError, match="looks like a secret") as caught:
            fleet.create("base", text)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "claimed",
    [
        "x\nservice: {telemetry: {logs: {level: none}}}",
        'x", evil: "y',
        "${file:/etc/shadow}",
        "${env:AWS_SECRET_ACCESS_KEY}",
        "evil.example/",
        "evil.example?x=",
        "user@evil.example",
        "*k",
        "!!python/object/apply:os.system [id]",
        "\u2028",
    ],
)
@pytest.mark.parametrize(
    "template",
    [
        "host: ${qm:attribute.host.name}",
        "url: https://${qm:attribute.host.name}.ours.example",
        "t: |\n  ${qm:attribute.host.name}\n",
    ],
    ids=["alone", "in a host", "in a document's document"],
)
def test_attribute_that_is_more_than_a_name(fleet: Configured, template: str, claimed: str) -> None:
    """Nothing is offered to an agent whose word would be a line, a key, a reference, a host or a query."""
    fleet.create("base", template)
    fleet.assign(Assignment("base", "base", 1))
    with pytest.raises(PolicyError, match="letters, digits and"):
        fleet.board.config_for(view(attributes={"host.name": claimed}))


def test_secret_reported_back_under_a_harmless_name(fleet: Configured) -> None:
    """What an operator declared secret, or gave one agent, is kept of no effective configuration."""
    fleet.create("base", "license: {tier: hunter2-declared}", secret=True)
    fleet.create("edge", {"edge": "endpoint: https://ours.example/${qm:value.path}/v1"})
    who = AgentId(view().uid)
    values.set_values(fleet.parts, who, {"path": "hunter2-given"}, actor="operator:ann", now=NOW)
    fleet.assign(Assignment("base", "base", 1))
    fleet.assign(Assignment("edge", "edge", 1))
    wanted = fleet.board.config_for(view())
    assert wanted is not None
    assert "hunter2" not in repr(wanted)
    lines = "a: [hunter2-declared, 'see hunter2-given']"
    reported = {
        **wanted.objects,
        "more": yaml(lines),
        "text": ConfigObject(b"x hunter2-given y", "text/plain"),
    }
    seen = fleet.examiner.examine(who, reported, wanted, NOW)
    assert seen.agreement is Agreement.AGREES
    with fleet.database.read() as connection:
        kept = documents.find(connection, who, Kind.EFFECTIVE)
    assert kept is not None
    assert ("hunter2" in kept.body, "ours.example" in kept.body) == (False, True)
    again = fleet.examiner.again(who, wanted, NOW)
    assert again is not None
    assert again.agreement is Agreement.AGREES


@pytest.mark.parametrize(
    "words",
    [
        "bad header: Authorization: Bearer hunter2-token",
        'cannot parse {"password": "hunter2"}',
        "dial postgres://app:hunter2@db.example/x: refused",
    ],
)
def test_secret_quoted_in_an_agents_error(words: str) -> None:
    """An agent that quotes its configuration when it fails has its secrets kept and shown nowhere."""
    said = opamp_pb2.AgentToServer(instance_uid=view().uid.bytes)
    said.remote_config_status.error_message = words
    said.connection_settings_status.error_message = words
    said.health.last_error = words
    said.health.component_health_map["exporter"].last_error = words
    report = read_report(said)
    assert "hunter2" not in repr(report)
    assert report.config_status is not None
    assert report.config_status.error[:4] == words[:4]


def test_stolen_database(fleet: Configured) -> None:
    """Whoever has the database and not the seal has no secret of a configuration, and offers none."""
    fleet.create("base", SECRET, secret=True)
    fleet.assign(Assignment("base", "base", 1))
    with fleet.database.read() as connection:
        names = (
            connection.exec_driver_sql("select name from sqlite_master where type = 'table'").scalars().all()
        )
        rows = [connection.exec_driver_sql(f"select * from {name}").all() for name in names]
    assert "hunter2" not in str(rows)
    stranger = versions.Parts(
        fleet.database, fleet.connections, fleet.validator, Seal([new_seal_key().strip()], "other")
    )
    with pytest.raises(CustodyError):
        versions.judge(stranger, "base", 1, actor="operator:eve", now=NOW)


@pytest.mark.parametrize(
    "reported",
    [
        BOMB,
        "[" * 100_000,
        "a: " * 100_000,
        "- x\n" * (VALUES_MAX + 1),
        "\x00" * 1_000_000,
        "a: '" + "x" * 1_000_000,
    ],
    ids=["aliases", "depth", "keys", "values", "nothing printable", "a scalar without end"],
)
def test_effective_configuration_that_is_a_bomb(fleet: Configured, reported: str) -> None:
    """It is not judged, kept cut and safe, and done with in a moment."""
    wanted = intended(_="a: 1")
    begun = time.monotonic()
    seen = fleet.examiner.examine(AgentId(view().uid), {"": yaml(reported)}, wanted, NOW)
    assert time.monotonic() - begun < 10
    assert seen.agreement is Agreement.UNKNOWN
    with fleet.database.read() as connection:
        kept = documents.find(connection, AgentId(view().uid), Kind.EFFECTIVE)
    assert kept is not None
    assert len(kept.body) < 4_000_000


def test_an_agent_that_says_applied_and_shows_another(fleet: Configured) -> None:
    """Its word is not believed where what it reports shows otherwise, in whatever order it says it."""
    wanted = intended(_="exporters: {debug: {}}")
    lies: AgentView = view(
        capabilities=Capability.ACCEPTS_REMOTE_CONFIG | Capability.REPORTS_EFFECTIVE_CONFIG
    )
    seen = fleet.examiner.examine(AgentId(lies.uid), {"": yaml("exporters: {}")}, wanted, NOW)
    assert seen.agreement is Agreement.DIFFERS
    assert standing_of(lies, wanted).standing is not Standing.APPLIED


def test_a_version_that_was_refused_is_assigned(fleet: Configured) -> None:
    """What the validator refused runs nowhere, also not by going back."""
    fleet.create("base", "a: 1")
    fleet.validator.valid = False
    fleet.create("base", "a: 2")
    with pytest.raises(ConflictError, match="was refused"):
        fleet.assign(Assignment("base", "base", 2))
    assert fleet.bodies(view()) == {}


def test_a_configuration_that_reads_this_host_by_the_validator(tmp_path: Path) -> None:
    """An operator who may write configurations learns no file of the server by having one judged."""
    (tmp_path / "key.pem").write_text("hunter2")
    objects = {"": ConfigObject(f"a: ${{file:{tmp_path}/key.pem}}".encode(), "text/yaml")}
    show = "import sys; print(open(sys.argv[1]).read())"
    found = CommandValidator((sys.executable, "-c", show, "{file}"), 10).judge(
        ready(ConfigVersion("base", 1, objects))
    )
    assert (found.words, str(tmp_path) in found.words) == ("a: 1", False)
