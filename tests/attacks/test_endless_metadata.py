"""A stolen server signs that its own metadata is as long as a disk: TUF clients take its word, we do not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tuf.api.metadata import MetaFile
from tuf.ngclient import FetcherInterface

from tests.fakes.besieged_agent import Besieged, besieged, repository
from tests.fakes.tuf_repository import TufRepository

ENDLESS = 1 << 26
CHUNK = bytes(1 << 20)


@pytest.fixture
def tuf() -> TufRepository:
    return repository()


@pytest.fixture
def agent(tmp_path: Path, tuf: TufRepository) -> Iterator[Besieged]:
    with besieged(tmp_path, tuf) as found:
        yield found


class Endless(FetcherInterface):
    """Serves one file without an end, as far as anybody reads; `sent` counts."""

    def __init__(self, honest: FetcherInterface, name: str) -> None:
        self._honest = honest
        self._name = name
        self.sent = 0

    def _fetch(self, url: str) -> Iterator[bytes]:
        return self._drown() if url.endswith(self._name) else self._honest.fetch(url)

    def _drown(self) -> Iterator[bytes]:
        while self.sent < ENDLESS:
            self.sent += len(CHUNK)
            yield CHUNK


@pytest.mark.parametrize("role", ["snapshot", "acme", "acme-guard"])
def test_a_role_of_a_length_that_only_the_server_signed(
    agent: Besieged, tuf: TufRepository, role: str
) -> None:
    """The agent stops reading where no honest metadata can be, and says so."""
    version = tuf.snapshot.version
    if role == "snapshot":
        tuf.resign_online()
        tuf.timestamp.snapshot_meta = MetaFile(version, length=1 << 50)
    else:
        version = tuf.release.version
        tuf.publish()
        tuf.snapshot.meta[f"{role}.json"] = MetaFile(version, length=1 << 50)
        tuf.resign_online()
    tuf.files["metadata/timestamp.json"] = tuf._sign(tuf.timestamp, "timestamp")
    name = f"/{version}.{role}.json"
    noting = agent.world.keeper._source._fetcher
    noting._fetcher = endless = Endless(agent.world.fetcher, name)
    agent.hear(agent.message(agent.world.offered("1.1.0")))
    agent.require_refused("cannot be fetched", name)
    assert endless.sent < ENDLESS // 8
