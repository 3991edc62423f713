"""A publisher's folder: made once, opened again, pinned to one root."""

import hashlib
import json
from pathlib import Path

import pytest

from distribution.catalog.request import PublisherRequest
from distribution.errors import ConflictError, InvalidError, UnverifiedError
from distribution.pipeline import home
from keys.custody import file_uri, new_private_key, open_tuf_signer, write_private_key
from keys.errors import CustodyError
from keys.roles import ROOT_MAX_BYTES
from tests.fakes.pipeline_server import LocalServer
from tests.fakes.publishing import NOW, World

PIN = "metadata/1.root.json"


def test_a_folder_is_made_and_opened_again(tmp_path: Path) -> None:
    """Two keys, and a request whose proof verifies."""
    made = home.create(tmp_path, "acme", ["tool", "otelcol", "tool"], NOW)
    assert made.packages == ("otelcol", "tool")
    assert home.open_home(tmp_path) == made
    request = PublisherRequest.parse(made.request_file.read_bytes())
    assert (request.publisher, request.packages) == ("acme", ("otelcol", "tool"))
    assert request.release_key == open_tuf_signer(made.release_key).public_key
    assert request.guard_key == open_tuf_signer(made.guard_key).public_key
    for name in ("release.pem", "guard.pem"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_a_folder_is_not_made_twice(tmp_path: Path) -> None:
    """The first one's keys stay."""
    home.create(tmp_path, "acme", ["otelcol"], NOW)
    with pytest.raises(ConflictError, match="exists already"):
        home.create(tmp_path, "acme", ["otelcol"], NOW)


@pytest.mark.parametrize(("name", "packages"), [("acme", []), ("root", ["x"]), ("acme", ["../x"])])
def test_names_are_checked_before_keys_are_made(tmp_path: Path, name: str, packages: list[str]) -> None:
    """A wrong name leaves an empty folder."""
    with pytest.raises(InvalidError):
        home.create(tmp_path, name, packages, NOW)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["[]", "{}", "nonsense", '{"publisher":1,"packages":1,"release_key":1,"guard_key":1}']
)
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    """Of another shape, or not JSON."""
    (tmp_path / "publisher.json").write_text(text)
    with pytest.raises(InvalidError, match="is no publisher's file"):
        home.open_home(tmp_path)


def test_a_folder_without_a_publisher_says_what_is_missing(tmp_path: Path) -> None:
    """Most often the wrong folder was named: that no such file is there must be read."""
    with pytest.raises(InvalidError, match=r"nohome/publisher.json' cannot be read: No such file"):
        home.open_home(tmp_path / "nohome")


def test_a_folder_is_moved_with_its_keys(tmp_path: Path) -> None:
    """Another machine, another mount point, a name with a space: the keys beside the file are found."""
    first, second = tmp_path / "first", tmp_path / "a second%20"
    first.mkdir()
    key = open_tuf_signer(home.create(first, "acme", ["otelcol"], NOW).release_key).public_key
    first.rename(second)
    moved = home.open_home(second)
    assert open_tuf_signer(moved.release_key).public_key == key
    open_tuf_signer(moved.guard_key)


def test_keys_that_are_named_absolutely_stay_where_they_are(tmp_path: Path) -> None:
    """A file from before, or a guard key on another disk: it is opened there and nowhere else."""
    home.create(tmp_path, "acme", ["otelcol"], NOW)
    away = tmp_path / "away" / "guard.pem"
    away.parent.mkdir()
    write_private_key(away, new_private_key())
    path = tmp_path / "publisher.json"
    before = {"release_key": file_uri(tmp_path / "release.pem"), "guard_key": file_uri(away)}
    path.write_text(json.dumps({**json.loads(path.read_text()), **before}))
    opened = home.open_home(tmp_path)
    assert (opened.release_key, opened.guard_key) == (before["release_key"], before["guard_key"])
    open_tuf_signer(opened.release_key)
    away.unlink()
    with pytest.raises(CustodyError, match=r"away/guard\.pem' cannot be read"):
        open_tuf_signer(home.open_home(tmp_path).guard_key)


def test_keys_may_live_elsewhere(tmp_path: Path) -> None:
    """The file names them by URI."""
    home.create(tmp_path, "acme", ["otelcol"], NOW)
    path = tmp_path / "publisher.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "guard_key": "token:slot-1"}))
    assert home.open_home(tmp_path).guard_seat(b"").key_uri == "token:slot-1"


def test_the_root_is_fetched_once_and_kept(tmp_path: Path) -> None:
    """Only with the pinned digest; later runs do not ask the server."""
    world = World()
    made, server = home.create(tmp_path, "acme", ["otelcol"], NOW), LocalServer(world)
    pin = hashlib.sha256(world.root).hexdigest()
    assert made.pin_root(server, 1, pin) == world.root
    server.overlay[PIN] = b"another"
    assert made.pin_root(server, 1, pin) == world.root
    (tmp_path / "root.json").write_bytes(b"tampered")
    with pytest.raises(UnverifiedError, match=f"root.json' has sha256 .*, pinned is {pin}"):
        made.pin_root(server, 1, pin)


def test_another_root_than_the_pinned_is_not_kept(tmp_path: Path) -> None:
    """The server's word is worth nothing here."""
    made, server = home.create(tmp_path, "acme", ["otelcol"], NOW), LocalServer(World())
    with pytest.raises(UnverifiedError, match="from the server has sha256"):
        made.pin_root(server, 1, "00" * 32)
    assert not (tmp_path / "root.json").exists()


def test_an_endless_root_is_refused(tmp_path: Path) -> None:
    """A cap on what is read before anything is verified."""
    server = LocalServer(World())
    server.overlay[PIN] = b"x" * (ROOT_MAX_BYTES + 1)
    with pytest.raises(UnverifiedError, match="is larger than"):
        home.fetch_root(server, 1)
