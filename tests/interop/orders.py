"""What an operator does to one agent in these tests: label it, set its connections, configure it."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from distribution.demo.cluster import Cluster
from distribution.demo.processes import DemoError, wait_for
from tests.interop.programs import Program

PATIENCE_SECONDS = 90.0


def label(cluster: Cluster, uid: str) -> None:
    """Give an agent a label that no other has."""
    _said(cluster.api().patch(f"/api/v1/agents/{uid}", json={"labels": {"only": uid}}))


def restart(cluster: Cluster, uid: str) -> None:
    """Order an agent to restart."""
    _said(cluster.api().post(f"/api/v1/agents/{uid}/restart", json={}))


@contextmanager
def setting(cluster: Cluster, uid: str, kind: str, **fields: object) -> Iterator[None]:
    """Set a connection for this agent alone, and take it away at the end."""
    path = f"/api/v1/connections/{kind.replace('_', '-')}-{uid}"
    _said(cluster.api().put(path, json={"kind": kind, "selector": {"only": uid}, **fields}))
    try:
        yield
    finally:
        _said(cluster.api().delete(path))


class Configuration:
    """A configuration that is assigned to one agent alone."""

    def __init__(self, cluster: Cluster, uid: str) -> None:
        self._api = cluster.api()
        self._uid = uid
        self._name = f"of-{uid}"
        self._assignment = f"/api/v1/config-assignments/{self._name}"

    def write(self, body: str, *, content_type: str = "text/yaml", secret: bool = False) -> int:
        """Write a version, and return its number."""
        return self.write_all({"": body}, content_type=content_type, secret=secret)

    def write_all(
        self, bodies: Mapping[str, str], *, content_type: str = "text/yaml", secret: bool = False
    ) -> int:
        """Write a version of several objects by their keys, and return its number."""
        objects = [
            {"key": key, "content_type": content_type, "role": "", "body_base64": _base64(body)}
            for key, body in bodies.items()
        ]
        path = f"/api/v1/configurations/{self._name}/versions"
        return int(_said(self._api.post(path, json={"objects": objects, "secret": secret}))["version"])

    def assign(self, version: int) -> None:
        """Have the agent run a version."""
        wanted = {"configuration": self._name, "version": version, "labels": {"only": self._uid}}
        _said(self._api.put(self._assignment, json={**wanted, "attributes": {}, "priority": 0}))

    def back(self) -> None:
        """Go back to the version before."""
        _said(self._api.post(f"{self._assignment}/back", json={}))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _said(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        raise DemoError(f"{answer.request.url.path} answered {answer.status_code}: {answer.text}")
    said: dict[str, Any] = answer.json()
    return said


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


def exchanges(cluster: Cluster, uid: str) -> list[dict[str, Any]]:
    """Return the lines of the server's own log about an agent."""
    written = cluster.server.log.read_text().splitlines(keepends=True)  # the last one perhaps in part
    lines = (json.loads(line) for line in written if line.startswith("{") and line.endswith("\n"))
    return [line for line in lines if line.get("agent") == uid]


def told(cluster: Cluster, uid: str, what: str) -> int:
    """Return in how many messages to an agent the server said something, by its own log."""
    return sum(what in line.get("went", "").split() for line in exchanges(cluster, uid))
