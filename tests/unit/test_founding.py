"""Founding: what lies where, whatever the random bytes are, and never over what exists."""

import ssl
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from distribution.errors import ConflictError, DistributionError, InvalidError
from distribution.founding import Founded, found
from distribution.founding_plan import Plan
from keys.profile import serial_from
from keys.trust import Trust
from storage.errors import StorageError

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)


def serials() -> Callable[[], object]:
    numbers = iter(range(1, 100))
    return lambda: serial_from(b"\x01" * 18 + bytes([next(numbers)]))


def founded(folder: Path, *, secret: str = "s" * 43, **changes: object) -> Founded:
    parts = {"trust_domain": "t.example", "hosts": ("fleet.example",), **changes}
    plan = Plan(folder, **parts)  # type: ignore[arg-type] # any part of a plan
    return found(
        plan,
        now=NOW,
        new_serial=serials(),  # type: ignore[arg-type] # returns serials
        new_secret=lambda: secret,
        new_salt=lambda: b"\xff" * 16,
    )


def test_what_can_mint_is_apart_from_the_server(tmp_path: Path) -> None:
    """The server's folder holds no offline key, and the offline folder says what it is."""
    made = founded(tmp_path / "site")
    assert {key.parent for key in made.offline_keys} == {made.offline}
    held = {path.name for path in made.server.rglob("*.pem")}
    assert held.isdisjoint(key.name for key in made.offline_keys)
    assert "2 of 3" in (made.offline / "README.txt").read_text()


def test_folders_and_secrets_are_the_owners_alone(tmp_path: Path) -> None:
    """Nobody else enters the three folders, or reads a key, the settings or the token."""
    made = founded(tmp_path / "site")
    closed = [made.offline, made.server, made.operator, made.token, made.settings, *made.offline_keys]
    assert [path for path in closed if path.stat().st_mode & 0o077] == []


def test_secrets_may_begin_with_any_character(tmp_path: Path) -> None:
    """A secret that begins with a hyphen or underscore founds as well as any other."""
    for number, first in enumerate("-_"):
        made = founded(tmp_path / str(number), secret=first + "s" * 42)
        assert made.token.read_text() == f"admin.{first}{'s' * 42}\n"


def test_operators_reach_the_server_on_its_own_host(tmp_path: Path) -> None:
    """The trust file leads operators to the loopback address, for which the certificate is good."""
    made = founded(tmp_path / "site")
    trust = Trust.from_toml(made.trust.read_text())
    assert trust.operators_url == "https://127.0.0.1:4322"
    assert trust.agents_url == "wss://fleet.example:4320/v1/opamp"
    chain = x509.load_pem_x509_certificates((made.server / "keys" / "server.pem").read_bytes())
    names = chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["fleet.example", "localhost"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    ssl.create_default_context(cadata=trust.ca_pem)


def test_a_store_is_named_in_the_settings(tmp_path: Path) -> None:
    """A folder of objects elsewhere is what the settings then say."""
    made = founded(tmp_path / "site", objects_url=f"file:{tmp_path / 'bytes'}", bind="127.0.0.1")
    settings = tomllib.loads(made.settings.read_text())
    assert settings["objects"] == {"url": f"file:{tmp_path / 'bytes'}"}
    assert settings["agents"]["host"] == settings["downloads"]["host"] == "127.0.0.1"
    assert (tmp_path / "bytes" / "metadata" / "timestamp.json").exists()


def test_nothing_is_founded_over_what_exists(tmp_path: Path) -> None:
    """A folder that holds anything is refused by name, and left as it was."""
    (tmp_path / "mine").write_text("here")
    with pytest.raises(ConflictError, match="is not empty"):
        founded(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    "changes",
    [
        {"trust_domain": "Fleet"},
        {"agents_port": 99_999},
        {"agents_port": 25_000, "downloads_port": 25_000},
        {"objects_url": "gs://bucket"},
        {"objects_url": "file:"},
        {"objects_url": "file:/proc/objects"},
        {"database_url": "mysql://host/name"},
        {"database_url": "sqlite:////nowhere/at/all.db"},
        {"database_url": "postgresql+psycopg://ann@127.0.0.1:1/name"},
    ],
)
def test_a_plan_that_fails_leaves_no_folder(tmp_path: Path, changes: dict[str, object]) -> None:
    """Or the corrected command would be told that its folder is not empty."""
    with pytest.raises((DistributionError, StorageError)):
        founded(tmp_path / "site", **changes)
    assert list(tmp_path.iterdir()) == []
    founded(tmp_path / "site")


def test_a_store_that_is_taken_is_noticed_first(tmp_path: Path) -> None:
    """A store elsewhere that holds another repository: named, and no keys are left behind."""
    taken = f"file:{tmp_path / 'bytes'}"
    founded(tmp_path / "one", objects_url=taken)
    with pytest.raises(ConflictError, match=f"store '{taken}' holds a repository already"):
        founded(tmp_path / "two", objects_url=taken)
    assert not (tmp_path / "two").exists()


def test_a_database_of_a_relative_name_is_the_servers(tmp_path: Path) -> None:
    """It lies where the server will look for it, and not where the command was given."""
    made = founded(tmp_path / "site", database_url="sqlite:///facts.db")
    assert (made.server / "facts.db").is_file()


@pytest.mark.parametrize("place", ["afile/site", "/proc/site"])
def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, place: str) -> None:
    """A file in its way, or a file system that takes none: one line, and no traceback."""
    (tmp_path / "afile").write_text("")
    with pytest.raises(InvalidError, match=f"folder '{tmp_path / place}' cannot be made: No"):
        founded(tmp_path / place)
