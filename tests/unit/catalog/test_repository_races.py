"""Servers that commit to one store at the same time lose nothing."""

import threading
from pathlib import Path

import pytest

from distribution.catalog.catalogue import load
from distribution.domain.package import Version
from distribution.errors import DistributionError
from storage.directory import DirectoryStore
from storage.objects import ObjectStore
from tests.fakes.memory_store import MemoryStore
from tests.fakes.publishing import NOW, World


def stores(tmp_path: Path) -> list[ObjectStore]:
    return [MemoryStore(), DirectoryStore(tmp_path / "objects")]


@pytest.mark.parametrize("kind", [0, 1])
def test_servers_and_publishers_race_and_nothing_is_lost(tmp_path: Path, kind: int) -> None:
    """Four publishers at four servers over one store: every release ends up in one state."""
    names = ("one", "two", "three", "four")
    made = World(stores(tmp_path)[kind])
    for name in names:
        made.add_publisher(name)
    failures: list[BaseException] = []

    def publish(name: str) -> None:
        mine = made.rival()
        for number in range(2):
            try:
                mine.release(name, {f"{name}/otelcol/1.{number}.0/any/otelcol": b"x"})
            except DistributionError as exc:
                failures.append(exc)

    threads = [threading.Thread(target=publish, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    catalogue = load(made.store, made.root, NOW)
    assert {name: len(catalogue.versions(name, "otelcol")) for name in names} == dict.fromkeys(names, 2)
    assert catalogue.find("one", "otelcol", Version.parse("1.1.0")).artifacts["any"].length == 1
