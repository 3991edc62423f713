"""Commands of pipelines and of the offline keys, against the catalogue's own rules."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from keys.custody import write_private_key
from tests.fakes.command_line import CommandLine, InProcess
from tests.fakes.operators_api import Api, operators_api
from tests.fakes.publishing import signer


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    with operators_api(tmp_path) as served:
        monkeypatch.setattr("distribution.cli.pipelines.now", served.work.clock)
        monkeypatch.setattr("distribution.cli.publishers.now", served.work.clock)
        yield served


@pytest.fixture
def quartermaster(served: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(InProcess(served, "read security", tmp_path), capsys)


@pytest.fixture
def keys(tmp_path: Path) -> list[str]:
    """Two of the three offline keys, as files."""
    words = []
    for name in ("targets-1", "targets-2"):
        path = tmp_path / f"{name}.pem"
        write_private_key(path, signer(name)._private_key)
        words += ["--key", str(path)]
    return words


@pytest.fixture
def home(quartermaster: CommandLine, tmp_path: Path, keys: list[str]) -> Path:
    """A publisher's folder, delegated to."""
    folder = tmp_path / "pipeline"
    request = quartermaster("publisher", "keygen", "second", "agent", "--home", str(folder)).strip()
    quartermaster("publisher", "add", request, *keys)
    return folder


def test_a_publisher_makes_keys_and_is_added(
    served: Api, quartermaster: CommandLine, home: Path, keys: list[str]
) -> None:
    """The delegation is shown before it is signed; again adds nothing."""
    assert "publisher second may publish agent, by targets v3" in quartermaster.stderr
    assert "role second may sign second/agent/*/*/*" in quartermaster.stderr
    assert served.world.repository.current().publisher("second").packages == ("agent",)
    again = quartermaster.json("publisher", "add", str(home / "second.request.json"), *keys)
    assert again == {"publisher": "second", "packages": ["agent"], "targets_version": 3}
    assert (home.stat().st_mode & 0o777, (home / "release.pem").stat().st_mode & 0o777) == (0o700, 0o600)


def test_a_publishers_folder_that_cannot_be_made_is_named(quartermaster: CommandLine, tmp_path: Path) -> None:
    """A file stands where a folder is to be: one line, and no traceback."""
    (tmp_path / "afile").write_text("")
    line = quartermaster.refused("publisher", "keygen", "x", "y", "--home", str(tmp_path / "afile" / "p"))
    assert line == f"quartermaster: publisher's folder '{tmp_path}/afile/p' cannot be made: Not a directory"


def test_one_offline_key_of_two_is_not_enough(
    served: Api, quartermaster: CommandLine, tmp_path: Path, keys: list[str]
) -> None:
    """The threshold is the root's, and the server's rules never come into it."""
    home = str(tmp_path / "pipeline")
    made = quartermaster.json("publisher", "keygen", "second", "agent", "--home", home)
    quartermaster.refused_beside("publisher", "add", made["request"], *keys[:2])
    assert served.world.repository.current().targets.version == 2


def test_a_release_is_published_by_its_own_digest(
    served: Api, quartermaster: CommandLine, home: Path, tmp_path: Path
) -> None:
    """What is added is shown; the same again changes nothing."""
    file = tmp_path / "agent-build"
    file.write_bytes(b"binary")
    words = ("release", "publish", "agent", "1.0.0", "--file", f"linux-amd64={file}", "--as", "agent")
    quartermaster(*words, "--home", str(home))
    assert "adds second/agent/1.0.0/linux-amd64/agent (top_level, 6 bytes" in quartermaster.stderr
    assert "second/agent@1.0.0 is published, in v2 of role second" in quartermaster.stderr
    served.services.catalogues.reload(served.work.clock())
    assert "second/agent@1.0.0" in quartermaster("release", "list")
    again = quartermaster.json(*words, "--home", str(home))
    assert (again["added"], again["snapshot_version"]) == ([], None)


def test_a_floor_is_raised_and_lowered_only_when_meant(quartermaster: CommandLine, home: Path) -> None:
    """Lowering has a word of its own."""
    quartermaster("guard", "floor", "agent", "1.1.0", "--home", str(home))
    assert "floor of second/agent is 1.1.0, it was none" in quartermaster.stderr
    line = quartermaster.refused_beside("guard", "floor", "agent", "1.0.0", "--home", str(home))
    assert "1.1.0" in line
    words = ("guard", "floor", "agent", "1.0.0", "--home", str(home), "--allow-lowering-the-floor")
    assert quartermaster.json(*words)["before"] == "1.1.0"


def test_roles_are_renewed(quartermaster: CommandLine, home: Path) -> None:
    """Both of a publisher's roles get a later end."""
    found = quartermaster.json("publisher", "renew", "--home", str(home))
    assert found == {"roles": {"second": 2, "second-guard": 2}}
    quartermaster("publisher", "renew", "--home", str(home))
    assert "role second is at v3, role second-guard is at v3" in quartermaster.stderr


def test_a_root_that_is_not_the_pinned_one_is_refused(
    served: Api, quartermaster: CommandLine, home: Path, keys: list[str], tmp_path: Path
) -> None:
    """Neither a pipeline nor an operator starts from what the server says."""
    session = quartermaster.session
    session.trust = replace(session.trust, tuf_root_sha256="0" * 64)
    request = str(home / "second.request.json")
    assert "your trust file pins 0000" in quartermaster.refused("publisher", "add", request, *keys)
    line = quartermaster.refused("guard", "floor", "agent", "2.0.0", "--home", str(home))
    assert "pinned is 0000" in line


@pytest.mark.parametrize(
    "words",
    [
        ("publisher", "add", "nothing.json", "--key", "k.pem"),
        ("guard", "floor", "agent", "1.0.0", "--home", "nowhere"),
        ("publisher", "keygen", "guard", "agent", "--home", "."),
    ],
)
def test_what_is_not_there_is_named(quartermaster: CommandLine, words: tuple[str, ...]) -> None:
    """A missing request, folder or an impossible name: one line."""
    assert quartermaster.refused(*words).startswith("quartermaster: ")


def test_a_file_without_its_platform_is_no_command(quartermaster: CommandLine, home: Path) -> None:
    """Which platform a file is for is never guessed."""
    words = ("release", "publish", "agent", "1.0.0", "--file", "agent", "--home", str(home))
    quartermaster(*words, code=2)
