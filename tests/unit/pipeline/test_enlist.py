"""An operator with offline keys adds a publisher; the server only takes it."""

from pathlib import Path

import pytest

from distribution.catalog.request import PublisherRequest
from distribution.errors import ConflictError, UnverifiedError
from distribution.pipeline.enlist import Added, add_publisher
from distribution.pipeline.ports import Submitted
from distribution.pipeline.signing import Tools
from keys.custody import file_uri, write_private_key
from keys.errors import RoleMisuseError
from tests.fakes.pipeline_server import LocalServer
from tests.fakes.publishing import NOW, World, request, signer


class Operator:
    """Two offline keys on disk, a pinned root, and a server."""

    def __init__(self, folder: Path) -> None:
        self.world = World()
        self.server = LocalServer(self.world)
        self.memory = folder / "memory"
        self.shown: list[str] = []
        self.uris = []
        for name in ("targets-1", "targets-2"):
            write_private_key(folder / f"{name}.pem", signer(name)._private_key)
            self.uris.append(file_uri(folder / f"{name}.pem"))

    def add(self, asked: PublisherRequest, keys: int = 2) -> Added:
        tools = Tools(self.server, NOW, self.shown.append, lambda _: None)
        return add_publisher(asked, self.uris[:keys], root=self.world.root, memory=self.memory, tools=tools)


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


def test_a_publisher_is_added_and_read_back(operator: Operator) -> None:
    """What is delegated is shown, and found in the new targets."""
    added = operator.add(request("acme", ("otelcol",)))
    assert (added.publisher, added.packages, added.targets_version, added.submitted) == (
        "acme",
        ("otelcol",),
        2,
        Submitted(2, 2),
    )
    assert [line.split(" by key")[0] for line in operator.shown] == [
        "role acme may sign acme/otelcol/*/*/*",
        "role acme-guard may sign guard/acme/guard.json",
    ]


def test_the_same_request_again_adds_nothing(operator: Operator) -> None:
    """No signature, no submission."""
    operator.add(request("acme", ("otelcol",)))
    again = operator.add(request("acme", ("otelcol",)))
    assert (again.targets_version, again.submitted) == (2, None)


def test_a_publisher_is_given_more_packages(operator: Operator) -> None:
    """The same keys, a longer list."""
    operator.add(request("acme", ("otelcol",)))
    assert operator.add(request("acme", ("otelcol", "tool"))).packages == ("otelcol", "tool")


def test_the_name_of_somebody_else_is_refused(operator: Operator) -> None:
    """Another key under a name that is taken."""
    operator.add(request("acme", ("otelcol",)))
    other = request("other", ("otelcol",))
    stolen = PublisherRequest("acme", ("otelcol",), other.release_key, other.guard_key, b"", b"", b"")
    with pytest.raises(ConflictError, match="publisher 'acme' has the keys"):
        operator.add(stolen)


def test_too_few_offline_keys_are_refused(operator: Operator) -> None:
    """Before anything is handed in."""
    with pytest.raises(RoleMisuseError, match="role targets needs 2 keys, 1 were given"):
        operator.add(request("acme", ("otelcol",)), keys=1)
    assert operator.world.repository.current().targets.version == 1


def test_a_server_that_shows_forged_targets_is_refused(operator: Operator) -> None:
    """The offline keys are not used on top of what the root does not vouch for."""
    operator.server.overlay["metadata/1.targets.json"] = b"{}"
    with pytest.raises(UnverifiedError):
        operator.add(request("acme", ("otelcol",)))


def test_a_server_that_only_says_so_is_not_believed(operator: Operator) -> None:
    """The new targets are read back."""
    timestamp, _ = operator.world.store.read("metadata/timestamp.json", 9999)
    operator.server.overlay["metadata/timestamp.json"] = timestamp
    with pytest.raises(ConflictError, match="publisher 'acme' is not in targets v1"):
        operator.add(request("acme", ("otelcol",)))
