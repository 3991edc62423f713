"""What an operator does to one agent in these tests: label it, set its connections, configure it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distribution.demo.cluster import Cluster
from distribution.demo.processes import DemoError, wait_for
from tests.interop.programs import Program

PATIENCE_SECONDS = 45.0


def label(cluster: Cluster, uid: str) -> None:
    """Give an agent a label that no other has."""
    cluster.quartermaster("agents", "label", uid, f"only={uid}")


@contextmanager
def setting(cluster: Cluster, uid: str, name: str, *words: str) -> Iterator[None]:
    """Set a connection for this agent alone, and take it away at the end."""
    name = f"{name}-{uid}"
    cluster.quartermaster("connections", "set", name, *words, "--selector", f"only={uid}")
    try:
        yield
    finally:
        cluster.quartermaster("connections", "remove", name)


class Configuration:
    """A configuration that is assigned to one agent alone."""

    def __init__(self, cluster: Cluster, uid: str, folder: Path) -> None:
        self.name = f"of-{uid}"
        self._cluster = cluster
        self._uid = uid
        self._file = folder / "configuration.yaml"

    def assign(self, body: str, *words: str) -> None:
        """Write a version and have the agent run it."""
        self._file.write_text(body, encoding="utf-8")
        self._cluster.quartermaster("configs", "create", self.name, str(self._file), *words)
        self._cluster.quartermaster("configs", "assign", self.name, "--label", f"only={self._uid}")

    def back(self) -> None:
        """Go back to the version before."""
        self._cluster.quartermaster("configs", "back", self.name)


def configured(cluster: Cluster, uid: str, standing: str, program: Program) -> dict[str, Any]:
    """Wait until the server says that the agent stands so with its configuration, and return all of it."""
    return _until(cluster, f"/api/v1/agents/{uid}/configuration", "standing", standing, program)


def equipped(cluster: Cluster, uid: str, phase: str, program: Program) -> dict[str, Any]:
    """Wait until the server says that the agent is this far with its connections, and return all of it."""
    return _until(cluster, f"/api/v1/agents/{uid}/connections", "phase", phase, program)


def _until(cluster: Cluster, path: str, field: str, value: str, program: Program) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def once() -> dict[str, Any] | None:
        if (gone := program.gone()) is not None:
            raise DemoError(f"{field} {value}: {gone}")
        found.clear()
        found.update(cluster.get(path))
        return found if found[field] == value else None

    def seen() -> str:
        return f"{found}\n{program.text()[-3000:]}\n{cluster.server.tail(20)}"

    return wait_for(f"{field} {value}", once, PATIENCE_SECONDS, seen)
