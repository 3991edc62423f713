"""Commands of operators, over the whole API in process: what they do, print, refuse."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from distribution.domain.agent import AgentView, Health, PackageReport, PackagesReport, PackageState
from keys.trust import decode_token
from tests.fakes.certificates import NOW, agent, small_ca
from tests.fakes.command_line import CommandLine, InProcess
from tests.fakes.operators_api import Api, operators_api

ALL = "read fleet security"
FILE = "acme/otelcol/{version}/linux-amd64/otelcol"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Api]:
    with operators_api(tmp_path) as served:
        yield served


@pytest.fixture
def quartermaster(served: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(InProcess(served, ALL, tmp_path), capsys)


def release(served: Api, *versions: str) -> None:
    for version in versions:
        served.world.release("acme", {FILE.format(version=version): version.encode()})
    served.services.catalogues.reload(NOW)


def test_a_token_is_one_string_with_the_operators_pins(served: Api, quartermaster: CommandLine) -> None:
    """Stdout has the string alone; it carries the CA and TUF root of the operator's own trust file."""
    out = quartermaster("token", "create", "--label", "ring=a", "--uses", "2", "--expires", "1h")
    assert len(out.splitlines()) == 1
    token, trust = decode_token(out), served.services.trust
    assert (token.ca_pem, token.tuf_root_sha256) == (trust.ca_pem, trust.tuf_root_sha256)
    assert "2 use(s), until 2026-06-01T13:00:00Z" in quartermaster.stderr
    [kept] = quartermaster.json("token", "list")["tokens"]
    assert (kept["token_id"], kept["labels"], kept["uses"]) == (token.token_id, {"ring": "a"}, 2)


@pytest.mark.parametrize("field", ["tuf_root_sha256", "ca_pem", "trust_domain", "agents_url"])
def test_no_token_is_made_by_a_server_that_states_other_pins(
    served: Api, quartermaster: CommandLine, field: str
) -> None:
    """The refusal names field and both values, and nothing was asked of the server."""
    other = {
        "tuf_root_sha256": "0" * 64,
        "ca_pem": small_ca().root_pem,
        "trust_domain": "other.example",
        "agents_url": "wss://other.example:4320/v1/opamp",
    }
    quartermaster.session.trust = replace(quartermaster.session.trust, **{field: other[field]})
    line = quartermaster.refused("token", "create")
    assert line.startswith(f"quartermaster: {field} of the server is ")
    assert "your trust file says" in line
    assert "token.created" not in served.kinds()


def test_a_token_as_json_and_its_end(served: Api, quartermaster: CommandLine) -> None:
    """The document has the string; the bare secret stands nowhere beside it."""
    made = quartermaster.json("token", "create")
    assert decode_token(made["token"]).token_id == made["token_id"]
    assert "secret" not in made
    quartermaster("token", "revoke", made["token_id"])
    assert "is revoked; it was used 0 of 1 times" in quartermaster.stderr
    assert "2026-06-01T12:00:00Z" in quartermaster("token", "list")
    assert "does not exist" in quartermaster.refused("token", "revoke", "nothing")


@pytest.mark.parametrize(
    "words",
    [
        ("token", "create", "--expires", "soon"),
        ("token", "create", "--label", "ring"),
        ("token", "create", "--label", "ring=a", "--label", "ring=b"),
        ("channel", "set", "stable", "acme/otelcol"),
        ("channel", "set", "stable", "otelcol@1.0.0"),
        ("channel", "set", "stable", "acme/otelcol@latest"),
        ("agents", "revoke", "x", "--reason", "because"),
        ("nothing",),
    ],
)
def test_words_that_do_not_parse_are_no_command(quartermaster: CommandLine, words: tuple[str, ...]) -> None:
    """The exit code tells a mistyped command from a refused one."""
    quartermaster(*words, code=2)


def test_hosts_that_failed_a_release_are_listed_with_their_words(
    served: Api, quartermaster: CommandLine
) -> None:
    """After a rollback the agent is well again; the list says what it could not install, and why."""
    failed = PackageReport(
        "otelcol", PackageState.FAILED, "1.0.0", offered_version="1.1.0", error="fell back to 1.0.0"
    )
    for number, packages in ((1, PackagesReport((failed,))), (2, None)):
        who = served.enroll(number)
        served.services.registry.keep(AgentView(who.uuid, packages=packages, health=Health(healthy=True)))
    served.services.registry.flush()
    table = quartermaster("agents", "list", "--packages", "failed")
    assert "package otelcol 1.1.0: fell back to 1.0.0" in table
    assert (str(agent(1)) in table, str(agent(2)) in table) == (True, False)
    assert quartermaster.json("agents", "count", "--packages", "failed")["total"] == 1


def test_agents_are_listed_shown_and_labelled(served: Api, quartermaster: CommandLine) -> None:
    """Tables show what agents say as plain text, whatever they say."""
    who = served.enroll(1, ring="a")
    served.enroll(2, ring="b")
    evil = PackageReport("otelcol", PackageState.FAILED, "1.0\x1b[31m", error="[red]boom[/red]")
    served.services.registry.keep(
        AgentView(who.uuid, packages=PackagesReport((evil,)), health=Health(healthy=True), connected=True)
    )
    served.services.registry.flush()
    table = quartermaster("agents", "list")
    assert "otelcol 1.0\\x1b[31m failed" in table
    assert "\x1b" not in table
    assert str(agent(2)) in table
    listed = quartermaster.json("agents", "list", "--label", "ring=a", "--live", "connected")["agents"]
    assert [one["uid"] for one in listed] == [str(who)]
    assert quartermaster.json("agents", "list", "--attribute", "os.type=linux")["agents"] == []
    assert "[red]boom[/red]" in quartermaster("agents", "show", str(who))
    quartermaster("agents", "label", str(who), "ring=b", "site=x")
    assert quartermaster.json("agents", "show", str(who))["labels"] == {"ring": "b", "site": "x"}
    quartermaster("agents", "label", str(who), code=2)
    quartermaster("agents", "label", str(who), "ring=c", "--none", code=2)
    assert quartermaster.json("agents", "show", str(who))["labels"] == {"ring": "b", "site": "x"}
    assert quartermaster.json("agents", "label", str(who), "--none")["labels"] == {"ring": "a"}


def test_every_page_of_agents_is_listed(
    served: Api, quartermaster: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list does not end where a page does."""
    monkeypatch.setattr("distribution.cli.agents._PAGE", 1)
    for number in (1, 2, 3):
        served.services.registry.keep(AgentView(agent(number).uuid))
    served.services.registry.flush()
    assert len(quartermaster.json("agents", "list")["agents"]) == 3
    begun = quartermaster.json("agents", "list", "--limit", "2")
    assert (len(begun["agents"]), begun["total"]) == (2, 3)
    quartermaster("agents", "list", "--limit", "2")
    assert f"2 of 3 agents; the next ones: --after {begun['next']}" in quartermaster.stderr
    assert len(quartermaster.json("agents", "list", "--after", str(begun["next"]))["agents"]) == 1
    assert len(quartermaster.json("agents", "list", "--limit", "1", "--all")["agents"]) == 3


def test_agents_are_counted_and_shown_with_the_health_of_their_parts(
    served: Api, quartermaster: CommandLine
) -> None:
    """A count says how many are there and well; one agent is shown part by part."""
    who = served.enroll(1)
    parts = {"pipeline": Health(healthy=False, error="full", components={"exporter": Health(healthy=True)})}
    served.services.registry.keep(
        AgentView(who.uuid, health=Health(healthy=False, components=parts), connected=True)
    )
    served.services.registry.flush()
    assert quartermaster.json("agents", "count", "--health", "unhealthy")["total"] == 1
    assert re.search(r"connected +1", quartermaster("agents", "count"))
    shown = quartermaster("agents", "show", str(who))
    assert re.search(r"pipeline +no +- +full +\n +exporter +yes", shown)


def test_an_agent_is_watched_and_explained(served: Api, quartermaster: CommandLine) -> None:
    """A watch of a second shows who is watched; the explanation is sentences under three titles."""
    who = str(served.enroll())
    assert "->" not in quartermaster("agents", "watch", who, "--seconds", "1")
    [line] = quartermaster("agents", "watch", who, "--seconds", "1", "--json").splitlines()
    assert json.loads(line)["said"] == {"agent": who, "live": "gone"}
    told = quartermaster("agents", "explain", who)
    seen = "never heard: it is enrolled since 2026-06-01T12:00:00Z"
    assert f"The server wants:\n  nothing\nThe agent has:\n  {seen}" in told
    assert "gone, never heard" in quartermaster("agents", "show", who)
    assert "packages: nothing is offered, because no channel applies" in told
    assert quartermaster.json("agents", "explain", who)["wants"] == ["nothing"]
    assert "is unknown" in quartermaster.refused("agents", "watch", str(agent(9)))


def test_an_agent_is_revoked_and_reset(served: Api, quartermaster: CommandLine) -> None:
    """The line says what was cut and how fast; a ban needs its own word to be lifted."""
    who = str(served.enroll())
    quartermaster("agents", "revoke", who, "--reason", "key_compromise", "--ban")
    assert f"agent {who} is banned: serial " in quartermaster.stderr
    assert " ended; 1 connection(s) cut in 0.0 ms" in quartermaster.stderr
    assert f"it stays out until `agents reset {who} --lift-ban`" in quartermaster.stderr
    quartermaster("agents", "revoke", who)
    assert f"agent {who} is banned" in quartermaster.stderr, "an earlier ban outlives it"
    assert f"`agents reset {who} --lift-ban`" in quartermaster.stderr
    served.services.registry.flush()
    assert "nothing lets it in: what ended says `agents explain`" in quartermaster("agents", "list")
    assert quartermaster.json("agents", "show", who)["standing"] == "banned"
    assert "by operator:op0 (reason: key_compromise)" in quartermaster("agents", "explain", who)
    assert "is banned" in quartermaster.refused("agents", "reset", who)
    assert quartermaster.json("agents", "reset", who, "--lift-ban")["agent"] == who
    quartermaster("agents", "reset", who)
    assert "`quartermaster-agent enroll TOKEN --again`" in quartermaster.stderr
    assert f"or by `agents token create {who}`" in quartermaster.stderr
    quartermaster("agents", "list", "--label", "ring=nowhere")
    assert quartermaster.stderr == "no agent fits\n"


def test_a_channel_is_set_listed_and_removed(served: Api, quartermaster: CommandLine) -> None:
    """A lower version needs its mark; the refusal names both."""
    release(served, "1.0.0", "1.1.0")
    quartermaster("channel", "set", "stable", "acme/otelcol@1.1.0", "--selector", "ring=a")
    assert "channel stable is at acme/otelcol@1.1.0" in quartermaster.stderr
    line = quartermaster.refused("channel", "set", "stable", "acme/otelcol@1.0.0", "--selector", "ring=a")
    assert "at version 1.1.0, 1.0.0 is lower" in line
    found = quartermaster.json("channel", "set", "stable", "acme/otelcol@1.0.0", "--allow-downgrade")
    assert found["allow_downgrade"] is True
    assert "acme" in quartermaster("channel", "list")
    quartermaster("channel", "remove", "stable")
    assert quartermaster.json("channel", "list") == {"channels": []}
    assert "does not exist" in quartermaster.refused("channel", "remove", "stable")


def test_releases_and_publishers_are_listed(served: Api, quartermaster: CommandLine) -> None:
    """Only what verifies."""
    release(served, "1.0.0")
    assert "acme/otelcol@1.0.0" in quartermaster("release", "list")
    assert quartermaster.json("release", "list", "--package", "none")["releases"] == []
    assert "otelcol" in quartermaster("publisher", "list")
    assert quartermaster.json("publisher", "list")["publishers"][0]["name"] == "acme"


def test_the_journal_is_printed_and_verified(served: Api, quartermaster: CommandLine) -> None:
    """A broken journal is a failed command."""
    served.enroll()
    assert "agent.enrolled" in quartermaster("audit", "log", "--kind", "agent.enrolled")
    assert [entry["number"] for entry in quartermaster.json("audit", "log", "--limit", "2")["entries"]] == [
        1,
        2,
    ]
    assert quartermaster("audit", "verify").startswith("journal is whole: ")
    with served.services.database.write() as connection:
        connection.exec_driver_sql("UPDATE journal SET actor = 'operator:nobody' WHERE number = 2")
    assert "entry 2 was edited" in quartermaster.refused("audit", "verify")


def test_operators_are_made_listed_and_revoked(quartermaster: CommandLine) -> None:
    """The token is the one thing on stdout."""
    out = quartermaster("operator", "create", "ci", "--scope", "publish:acme", "--expires", "7d")
    assert out.startswith("ci.")
    assert "may publish:acme until 2026-06-08T12:00:00Z" in quartermaster.stderr
    assert "ci" in quartermaster("operator", "list")
    quartermaster("operator", "revoke", "ci")
    assert "revoked" in quartermaster.stderr
    assert quartermaster.json("operator", "revoke", "ci")["name"] == "ci"
    assert quartermaster.json("operator", "create", "x", "--scope", "read")["scopes"] == ["read"]
    assert quartermaster.json("operator", "list")["operators"][-1]["name"] == "x"


def test_status_is_one_look(served: Api, quartermaster: CommandLine) -> None:
    """Ready, trusted, and who I am."""
    found = quartermaster.json("status")
    assert (found["status"], found["trust"], found["publishers"]) == ("ready", "same as yours", ["acme"])
    assert "fleet.example" in quartermaster("status")


def test_what_the_token_may_not_is_one_line(
    served: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server's own words, and a failing exit code."""
    reader = CommandLine(InProcess(served, "read", tmp_path), capsys)
    line = reader.refused("agents", "revoke", str(agent(1)))
    assert line == "quartermaster: operator 'op0' holds read, this needs security"


def test_a_channel_is_not_said_to_be_set_by_a_right_that_does_not_suffice(
    served: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command looks before it sets; what is refused is the setting, and by what that needs."""
    pipeline = CommandLine(InProcess(served, "publish:acme", tmp_path), capsys)
    line = pipeline.refused("channel", "set", "stable", "acme/otelcol@1.0.0")
    assert line == "quartermaster: operator 'op0' holds publish:acme, this needs fleet"
