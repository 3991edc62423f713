"""`quartermaster agents components`, over the whole API in process."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from distribution.domain.agent import Components
from distribution.fleet import documents
from distribution.fleet.documents import Document, Kind
from tests.fakes.certificates import NOW
from tests.fakes.command_line import CommandLine, InProcess
from tests.fakes.operators_api import Api, operators_api

LISTED = '{"receivers": {"otlp": {"version": "1.2", "grpc": {"port": "4317"}}, "nop": {}}}'


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Api]:
    with operators_api(tmp_path) as served:
        yield served


@pytest.fixture
def quartermaster(served: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(InProcess(served, "read", tmp_path), capsys)


def test_what_an_agent_could_run_is_printed(served: Api, quartermaster: CommandLine) -> None:
    """Part below part, each with what is said of it; whether the list is older is told."""
    who = served.enroll(1)
    quartermaster("agents", "components", str(who))
    assert f"agent {who} never listed what it could run" in quartermaster.stderr
    with served.services.database.write() as connection:
        documents.keep(connection, who, Kind.COMPONENTS, Document("01", LISTED, NOW))
    registry = served.services.registry
    for said, old in ((b"\1", False), (b"\2", True)):
        registry.keep(replace(registry.view(who), components=Components(said)))
        out = quartermaster("agents", "components", str(who))
        assert out.splitlines() == ["receivers", "  otlp version=1.2", "    grpc port=4317", "  nop"]
        assert ("since then it named another list" in quartermaster.stderr) == old
    assert quartermaster.json("agents", "components", str(who))["hash"] == "01"
