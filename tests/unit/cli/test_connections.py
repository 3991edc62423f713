"""`quartermaster connections`, over the whole API in process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from distribution.domain.agent import AgentView, Capability
from tests.fakes.certificates import small_ca
from tests.fakes.command_line import CommandLine, InProcess
from tests.fakes.operators_api import Api, operators_api


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Api]:
    with operators_api(tmp_path) as served:
        yield served


@pytest.fixture
def quartermaster(served: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(InProcess(served, "read fleet security", tmp_path), capsys)


METRICS = ("connections", "set", "m", "own_metrics", "--endpoint", "https://otlp.example/v1/metrics")


def test_a_destination_with_its_secret_from_a_file(
    served: Api, quartermaster: CommandLine, tmp_path: Path
) -> None:
    """The secret stands neither on the command line nor in what is printed, and is what is offered."""
    (tmp_path / "secret").write_text("Basic s3cret\n")
    ca = small_ca().root_pem
    (tmp_path / "ca.pem").write_text(ca)
    header = f"Authorization=@{tmp_path}/secret"
    made = quartermaster.json(
        *METRICS, "--header", header, "--ca", str(tmp_path / "ca.pem"), "--selector", "ring=a"
    )
    assert (made["headers"], made["selector"]) == (["Authorization"], {"ring": "a"})
    assert "s3cret" not in quartermaster("connections", "list") + str(made)
    board = served.services.connection_board
    board.reload()
    who = served.enroll(1, ring="a")
    able = Capability.REPORTS_OWN_METRICS
    found = board.connections_for(AgentView(who.uuid, {"ring": "a"}, capabilities=able))
    assert found is not None
    [target] = found.telemetry.values()
    assert target is not None
    assert (target.headers, target.ca_pem) == ({"Authorization": "Basic s3cret"}, ca)


def test_credentials_of_a_destination_are_ended_there(quartermaster: CommandLine) -> None:
    """Whoever sets one is told that revoking an agent here does not end it."""
    quartermaster(*METRICS, "--header", "X-Scope-OrgID=tenant")
    assert "keeps it until it is ended there" in quartermaster.stderr
    quartermaster(*METRICS)
    assert "ended there" not in quartermaster.stderr


def test_every_kind_and_its_end(quartermaster: CommandLine) -> None:
    """Off, another connection and the heartbeat are one command each; removing says what it was for."""
    quartermaster("connections", "set", "off", "own_logs", "--off")
    quartermaster("connections", "set", "beat", "opamp", "--heartbeat", "45s")
    quartermaster(
        "connections", "set", "k", "other", "--connection", "kafka", "--endpoint", "kafka:9093",
        "--setting", "topic=t",
    )  # fmt: skip
    assert "connection setting k is for other kafka" in quartermaster.stderr
    shown = quartermaster("connections", "list")
    assert [word in shown for word in ("own_logs", "45", "kafka:9093")] == [True] * 3
    quartermaster("connections", "remove", "k")
    assert "connection setting k is removed; it was for other" in quartermaster.stderr
    assert [one["name"] for one in quartermaster.json("connections", "list")["connections"]] == [
        "beat",
        "off",
    ]


def test_an_insecure_one_is_refused_in_one_line(quartermaster: CommandLine) -> None:
    """By the name of the field; with the plainly named option it is taken."""
    plain = ("connections", "set", "m", "own_metrics", "--endpoint", "http://127.0.0.1:4318/v1/metrics")
    assert "own_metrics.destination_endpoint has the scheme 'http'" in quartermaster.refused(*plain)
    quartermaster(*plain, "--plain-text-is-meant")


def test_where_an_agent_stands(served: Api, quartermaster: CommandLine) -> None:
    """A phase, what is in the way, and what is known of its credential."""
    who = served.enroll(1)
    served.services.registry.keep(AgentView(who.uuid, capabilities=Capability.REPORTS_OWN_METRICS))
    quartermaster(*METRICS)
    served.services.connection_board.reload()
    shown = quartermaster("connections", "status", str(who))
    assert [word in shown for word in ("offered", "does not report", "not seen on a handshake")] == [True] * 3
    assert quartermaster.json("connections", "status", str(who))["phase"] == "offered"


@pytest.mark.parametrize(
    "words",
    [
        (*METRICS, "--header", "Authorization"),
        (*METRICS, "--header", "Authorization=@/nothing/there"),
        (*METRICS, "--ca", "/nothing/there"),
        ("connections", "set", "m", "own_things"),
        ("connections", "set", "m", "opamp", "--heartbeat", "soon"),
    ],
)
def test_words_that_do_not_parse_are_no_command(quartermaster: CommandLine, words: tuple[str, ...]) -> None:
    """A mistyped word or a file that is not there is told before anything is asked of the server."""
    quartermaster(*words, code=2)
