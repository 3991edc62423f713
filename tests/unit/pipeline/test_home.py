"""A publisher's folder: made once, opened again, pinned to one root."""

import hashlib
import json
from pathlib import Path

import pytest

from distribution.catalog.request import PublisherRequest
from distribution.errors import ConflictError, InvalidError, UnverifiedError
from distribution.pipeline import home
from keys.custody import open_tuf_signer
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
    "text", [None, "[]", "{}", "nonsense", '{"publisher":1,"packages":1,"release_key":1,"guard_key":1}']
)
def test_another_file_is_refused(tmp_path: Path, text: str | None) -> None:
    """Missing, of another shape, or not JSON."""
    if text is not None:
        (tmp_path / "publisher.json").write_text(text)
    with pytest.raises(InvalidError, match="is no publisher's file"):
        home.open_home(tmp_path)


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
