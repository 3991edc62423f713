"""`quartermaster configs`, over the whole API in process."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distribution.cli import configs
from distribution.cli.session import Session
from distribution.domain.config_choice import Assignment
from distribution.domain.configuration import ConfigObject
from distribution.flows.configuration import versions
from distribution.flows.configuration.effective import Examiner
from keys.identity import AgentId
from tests.fakes.command_line import CommandLine, InProcess
from tests.fakes.configured import ABLE, NOW
from tests.fakes.operators_api import Api, operators_api


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Api]:
    with operators_api(tmp_path) as served:
        yield served


@pytest.fixture
def quartermaster(served: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(InProcess(served, "read fleet security", tmp_path), capsys)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (1, 2, 3):
        (tmp_path / f"{number}.yaml").write_text(f"number: {number}\n")
    (tmp_path / "more.json").write_text('{"more": true}')
    (tmp_path / "notes").write_text("words\n")
    return tmp_path


def test_several_objects_with_types_and_roles(quartermaster: CommandLine, folder: Path) -> None:
    """Keys come before the file, types from its ending or as stated, roles as stated."""
    quartermaster(
        "configs", "create", "base", f"{folder}/1.yaml", f"ns/x={folder}/more.json", f"n={folder}/notes",
        "--role", "n=notes", "--type", "ns/x=yaml",
    )  # fmt: skip
    assert "configuration base@1 is written" in quartermaster.stderr
    found = quartermaster.json("configs", "show", "base")["objects"]
    assert [(one["key"], one["content_type"], one["role"]) for one in found] == [
        ("", "text/yaml", ""),
        ("n", "text/plain", "notes"),
        ("ns/x", "yaml", ""),
    ]
    assert "number: 1\n" in quartermaster("configs", "show", "base", "--version", "1")


def test_the_same_file_again(quartermaster: CommandLine, folder: Path) -> None:
    """The same content is told to be there already."""
    for _ in range(2):
        quartermaster("configs", "create", "base", f"{folder}/1.yaml")
    assert "configuration base@1 is there already" in quartermaster.stderr
    assert len(quartermaster.json("configs", "list", "base")["versions"]) == 1
    assert "base" in quartermaster("configs", "list")


@pytest.mark.parametrize(
    "words",
    [("{folder}/none.yaml",), ("{folder}/1.yaml", "--role", "other=x"), ("{folder}/1.yaml", "--type", "x")],
    ids=["no file", "no such key", "no pair"],
)
def test_what_is_not_a_command(quartermaster: CommandLine, folder: Path, words: tuple[str, ...]) -> None:
    """A file that is not there, a key without an object and half a pair are refused here."""
    quartermaster("configs", "create", "base", *(word.format(folder=folder) for word in words), code=2)


def test_assigning_keeps_what_is_not_given(quartermaster: CommandLine, folder: Path) -> None:
    """A later version keeps selector and priority; a selector or everybody replaces them."""
    for number in (1, 2, 3):
        quartermaster("configs", "create", "base", f"{folder}/{number}.yaml")
    first = quartermaster.json(
        "configs", "assign", "base", "--version", "1", "--label", "env=prod", "--attribute", "os.type=linux",
        "--priority", "7",
    )  # fmt: skip
    second = quartermaster.json("configs", "assign", "base", "--version", "2")
    third = quartermaster.json("configs", "assign", "base", "--everybody")
    told = [
        (one["version"], one["labels"], one["attributes"], one["priority"]) for one in (first, second, third)
    ]
    assert told == [
        (1, {"env": "prod"}, {"os.type": "linux"}, 7),
        (2, {"env": "prod"}, {"os.type": "linux"}, 7),
        (3, {}, {}, 7),
    ]
    quartermaster("configs", "assign", "base", "--everybody", "--label", "a=b", code=2)


def test_a_new_assignment_is_for_everybody_only_by_that_word(
    quartermaster: CommandLine, folder: Path
) -> None:
    """A forgotten selector is not the whole fleet; also not where one was taken away before."""
    quartermaster("configs", "create", "base", f"{folder}/1.yaml")
    quartermaster("configs", "assign", "base", code=2)
    assert "'base' is new: say for whom" in " ".join(quartermaster.stderr.replace("│", " ").split())
    quartermaster("configs", "assign", "base", "--label", "env=prod")
    quartermaster("configs", "unassign", "base")
    quartermaster("configs", "assign", "base", code=2)
    assert quartermaster.json("configs", "assignments") == {"assignments": []}


def test_back_history_and_away(quartermaster: CommandLine, folder: Path) -> None:
    """Back is one command; every step stays to be seen; unassigning says what it was."""
    for number in (1, 2):
        quartermaster("configs", "create", "base", f"{folder}/{number}.yaml")
        quartermaster("configs", "assign", "base", "--as", "all", "--everybody")
    quartermaster("configs", "back", "all")
    assert "assignment all is at base@1" in quartermaster.stderr
    steps = quartermaster.json("configs", "history", "all")["steps"]
    assert [one["version"] for one in steps] == [1, 2, 1]
    assert "all" in quartermaster("configs", "assignments")
    assert "yes" in quartermaster("configs", "history", "all")
    quartermaster("configs", "unassign", "all")
    assert "it was base@1" in quartermaster.stderr


def test_nobodys_change_is_lost(
    served: Api, quartermaster: CommandLine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command goes by what it saw: where somebody else came between, it changes nothing and says so."""
    for number in (1, 2):
        quartermaster("configs", "create", "base", f"{folder}/{number}.yaml")
    quartermaster("configs", "assign", "base", "--version", "1", "--label", "env=prod")
    seen = configs._present

    def with_another(session: Session, name: str) -> Mapping[str, Any]:
        found = seen(session, name)
        narrow = Assignment("base", "base", 1, labels={"env": "canary"})
        versions.assign(served.services.configurations, narrow, actor="operator:bob", now=NOW)
        return found

    monkeypatch.setattr(configs, "_present", with_another)
    for words in (("assign", "base", "--version", "2"), ("back", "base")):
        refused = quartermaster.refused("configs", *words)
        assert "by operator:bob" in refused
        assert "somebody changed it meanwhile" in refused
    [step] = quartermaster.json("configs", "assignments")["assignments"]
    assert (step["version"], step["labels"]) == (1, {"env": "canary"})


def test_the_validators_words(served: Api, quartermaster: CommandLine, folder: Path) -> None:
    """A refused version is told in the validator's words, and so is the refusal to assign it."""
    validator = served.services.configurations.validator
    validator.name, validator.valid, validator.words = "check", False, "unknown type foo"  # type: ignore[attr-defined, misc]
    quartermaster("configs", "create", "base", f"{folder}/1.yaml")
    assert "it is refused by check\nunknown type foo" in quartermaster.stderr
    assert "unknown type foo" in quartermaster.refused("configs", "assign", "base", "--everybody")
    validator.valid = True  # type: ignore[attr-defined]
    quartermaster("configs", "validate", "base")
    assert "it is valid by check" in quartermaster.stderr


def test_status_and_difference(served: Api, quartermaster: CommandLine, folder: Path) -> None:
    """Agents are listed by where they stand; the difference is told by place, both texts if asked."""
    quartermaster("configs", "create", "base", f"{folder}/1.yaml")
    quartermaster("configs", "assign", "base", "--everybody")
    board, registry = served.services.config_board, served.services.registry
    board.reload()
    who = served.enroll(1)
    view = replace(registry.view(who), capabilities=ABLE, connected=True)
    examined = Examiner(served.services.database, board.declared).examine(
        AgentId(view.uid),
        {"": ConfigObject(b"number: 2\npassword: hunter2", "text/yaml")},
        board.config_for(view),
        served.services.clock(),
    )
    registry.keep(replace(view, effective=examined))
    registry.flush()
    assert [one["standing"] for one in quartermaster.json("configs", "status")["agents"]] == ["offered"]
    assert quartermaster.json("configs", "status", "--standing", "applied") == {"agents": []}
    assert "offered" in quartermaster("configs", "status")
    told = quartermaster("configs", "diff", str(who), "--texts")
    assert told.startswith(
        "number has another value\n--- intended ''\nnumber: 1\n--- effective ''\nnumber: 2"
    )
    assert "hunter2" not in told
    assert quartermaster.json("configs", "diff", str(who))["differences"] == ["number has another value"]


def test_an_agent_that_said_nothing(served: Api, quartermaster: CommandLine) -> None:
    """That it reported nothing, and that nothing is assigned, is told."""
    assert quartermaster("configs", "diff", str(served.enroll(1)), "--texts") == ""
    assert "configuration none, not offered: no configuration is assigned to it" in quartermaster.stderr
    assert "reported no effective configuration" in quartermaster.stderr


def test_values_from_a_file(served: Api, quartermaster: CommandLine, folder: Path) -> None:
    """A secret value comes from a file, and only its name is shown."""
    who = served.enroll(1)
    found = quartermaster.json("configs", "set-value", str(who), f"key=@{folder}/notes", "site=a")
    assert [one["name"] for one in found["values"]] == ["key", "site"]
    left = quartermaster("configs", "set-value", str(who), "--remove", "site")
    assert "key" in left
    assert "site" not in left
    assert "words" not in left + json.dumps(found)


def test_a_version_that_is_there_is_shown_with_its_judgement(
    quartermaster: CommandLine, folder: Path
) -> None:
    """Showing tells whether it is valid."""
    quartermaster("configs", "create", "base", f"{folder}/1.yaml", "--secret")
    assert "[REDACTED]" in quartermaster("configs", "show", "base")
    assert "it is valid" in quartermaster.stderr
