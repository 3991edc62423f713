"""What is looked for in an agent's reports and on its program's health page, and the waiting for it."""

import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from distribution.demo.cluster import PACKAGE, Cluster
from distribution.demo.processes import wait_for

ROLLOUT_SECONDS = 40.0
"""How long one version may take to reach an agent and be judged."""

Row = Mapping[str, Any]
"""An agent as the operators' API shows it."""


def watch(cluster: Cluster, name: str, what: str, look: Callable[[Row], Row | None]) -> Row:
    """Wait until `look` finds something in what the server knows of the agent, and return that."""
    agent = cluster.agents[name]

    def once() -> Row | None:
        agent.program.require_running()
        cluster.server.require_running()
        return look(cluster.agent_row(name))

    def seen() -> str:
        return f"{cluster.agent_row(name)}\n{agent.program.tail()}"

    return wait_for(f"{name}: {what}", once, ROLLOUT_SECONDS, seen)


def connected(row: Row) -> Row | None:
    """Find an agent that is connected."""
    return row if row["connected"] else None


def installed(row: Row, version: str) -> Row | None:
    """Find the package installed in this version, and the agent healthy."""
    package = _package(row)
    if package is None or package["state"] != "installed" or package["version"] != version:
        return None
    return package if row["health"] and row["health"]["healthy"] else None


def failed(row: Row, version: str) -> Row | None:
    """Find the package's failure for this offered version."""
    package = _package(row)
    if package is None or package["state"] != "failed" or package["offered_version"] != version:
        return None
    return package if package["error"] else None


def program_says(cluster: Cluster, name: str, version: str) -> str:
    """Wait until the agent's program itself answers as `version`, and return its words."""
    port = cluster.agents[name].health_port
    answers: list[str] = []

    def once() -> str | None:
        answers.append(_ask(port))
        return answers[-1] if answers[-1].endswith(f" {version}") else None

    return wait_for(
        f"{name}'s program answering as {version}", once, ROLLOUT_SECONDS, lambda: answers[-1] or "nothing"
    )


def _package(row: Row) -> Row | None:
    return next((package for package in row["packages"] if package["name"] == PACKAGE), None)


def _ask(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:  # noqa: S310 - loopback
            return str(answer.read().decode().strip())
    except (urllib.error.URLError, OSError):
        return ""
