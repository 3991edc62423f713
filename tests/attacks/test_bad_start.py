"""A server that must not start: a key it must not hold, a journal that lost entries, a store that forgets.

Each case founds an installation, spoils one thing, and runs `quartermaster serve` as an operator would. It
ends with status 1 and one line that names what is wrong; nothing was served.
"""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from distribution.cli.main import run
from distribution.compose import core
from distribution.compose.server import compose
from distribution.demo.processes import console_command, free_ports
from distribution.fleet import config_assignments
from distribution.settings import load
from keys.custody import file_uri, open_seal
from storage import journal, journal_head
from storage.database import Database
from storage.errors import UnsuitableError
from storage.open import open_store
from tests.fakes.careless_store import CarelessStore
from tests.fakes.certificates import NOW, agent

LONGEST_SECONDS = 60.0


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    agents, downloads, operators = (str(port) for port in free_ports(3))
    words = ["init", str(folder), "--trust-domain", "t.example", "--host", "localhost", "--bind", "127.0.0.1"]
    words += ["--agents-port", agents, "--downloads-port", downloads, "--operators-port", operators]
    assert run(words) == 0
    return folder


def refusal(site: Path, **environment: str) -> str:
    """Start the server and return the one line it ends with."""
    done = subprocess.run(
        [console_command("quartermaster"), "serve", "--settings", str(site / "server" / "server.toml")],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    [line] = [line for line in done.stderr.splitlines() if line.startswith("quartermaster: ")]
    assert "serving" not in done.stderr
    return line


@pytest.mark.parametrize("role", ["root", "targets"])
@pytest.mark.parametrize("place", ["server", "server/keys", "server/keys/deep"])
def test_an_offline_key_lies_on_the_server(site: Path, place: str, role: str) -> None:
    """Wherever an offline key lies beside the server's settings or keys, it is named and nothing starts."""
    (site / place).mkdir(exist_ok=True)
    shutil.copy2(site / "offline" / f"{role}-1.pem", site / place / "forgotten.pem")
    line = refusal(site)
    assert "forgotten.pem' on the server is key " in line
    assert line.endswith(f"of role {role}")


@pytest.mark.parametrize("setting", ["SNAPSHOT", "TIMESTAMP"])
def test_an_offline_key_is_listed_as_an_online_one(site: Path, setting: str) -> None:
    """A setting that names a root key for an online role is refused by both roles' names."""
    offline = site / "offline" / "root-2.pem"
    line = refusal(site, **{f"QUARTERMASTER_KEYS_{setting}": str(offline)})
    assert f"server's {setting.lower()} key" in line
    assert line.endswith("is listed for role root too")


@pytest.mark.parametrize("setting", ["ISSUING_CA", "TLS_KEY"])
def test_an_offline_key_serves_another_purpose(site: Path, setting: str) -> None:
    """A targets key that is named as the CA's or the listeners' key is refused by its role."""
    offline = site / "offline" / "targets-1.pem"
    assert refusal(site, **{f"QUARTERMASTER_KEYS_{setting}": str(offline)}).endswith("of role targets")


def test_the_online_keys_are_exchanged(site: Path) -> None:
    """The snapshot key as timestamp key is refused: each role has its own."""
    snapshot = site / "server" / "keys" / "snapshot.pem"
    assert "is listed for role snapshot too" in refusal(site, QUARTERMASTER_KEYS_TIMESTAMP=str(snapshot))


def test_a_key_file_that_others_can_read(site: Path) -> None:
    """A key that others may read is refused with its mode."""
    (site / "server" / "keys" / "timestamp.pem").chmod(0o640)
    assert "has mode 0640, expected 0600" in refusal(site)


def test_two_listeners_share_a_port(site: Path) -> None:
    """It is no traceback: both listeners and the address are named."""
    port = str(free_ports(1)[0])
    line = refusal(site, QUARTERMASTER_AGENTS_PORT=port, QUARTERMASTER_DOWNLOADS_PORT=port)
    assert f"agents listener at 127.0.0.1:{port} and downloads listener at 127.0.0.1:{port} have" in line


def test_the_seal_of_what_is_sealed_is_gone(site: Path) -> None:
    """No new one is made in its place: what it sealed would be lost without a word."""
    seal = site / "server" / "keys" / "seal.key"
    with closing(Database.open(f"sqlite:///{site / 'server' / 'quartermaster.db'}")) as database:
        given = {"password": "s3cret"}
        with database.write() as connection:
            config_assignments.set_values(
                connection, agent(), given, seal=open_seal(file_uri(seal)), actor="operator:ann", now=NOW
            )
    seal.unlink()
    line = refusal(site)
    assert "seal.key' is missing, and no other key opens what is sealed: 1 values of single agents" in line
    assert not seal.exists()


def test_a_database_from_before(site: Path) -> None:
    """A database restored from an old copy lacks the head kept outside: what it revoked would live."""
    database = site / "server" / "quartermaster.db"
    old = database.with_name("old.db")
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(old)) as copy:
        source.backup(copy)
    with closing(Database.open(f"sqlite:///{database}")) as live:
        with live.write() as connection:
            journal.append(
                connection,
                kind="agent.revoked",
                actor="operator:ann",
                subject="agent:7",
                detail={},
                at=datetime(2026, 10, 1, tzinfo=UTC),
            )
        store = open_store("file:objects", base=site / "server")
        assert journal_head.advance(live, store).number == 2
    old.replace(database)
    for rest in ("-wal", "-shm"):
        database.with_name(database.name + rest).unlink(missing_ok=True)
    assert "that was kept outside is not in it" in refusal(site)


def test_a_store_that_ignores_conditions(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that writes over what has changed is refused before anything is published to it."""
    monkeypatch.setattr(core, "open_store", lambda *_args, **_kwargs: CarelessStore("replace"))
    with pytest.raises(UnsuitableError):
        compose(load(site / "server" / "server.toml", {}))


def test_the_slow_protobuf_runtime(site: Path) -> None:
    """The pure-python protobuf runtime is refused by name."""
    line = refusal(site, PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="python")
    assert "protobuf runtime is 'python', expected 'upb'" in line
