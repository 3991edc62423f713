"""What is looked for in an agent's reports and on its program's health page, and the waiting for it."""

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from distribution.demo.cluster import PACKAGE, Cluster, DemoAgent
from distribution.demo.processes import wait_for

ROLLOUT_SECONDS = 180.0
"""How long one version may take to reach an agent and be judged."""

_NOT_CONNECTED = "not connected: "
"""How an agent's log line begins when it has lost its connection or was not let in."""

_REFUSED = "is not the current or next one of any agent"
"""What the server answers to a certificate that it no longer knows."""

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


def failed(row: Row, version: str, why: str) -> Row | None:
    """Find the package's failure for this offered version, for the reason that contains `why`."""
    package = _package(row)
    if package is None or package["state"] != "failed" or package["offered_version"] != version:
        return None
    return package if why in package["error"] else None


def lost_after(agent: DemoAgent, began: float) -> float | None:
    """Return when the agent says its connection ended, at `began` or later; both in Unix seconds."""
    for line in _lines(agent):
        at = datetime.fromisoformat(line["at"]).timestamp()
        if at >= began and line["message"].startswith(_NOT_CONNECTED):
            return at
    return None


def refusal_of(agent: DemoAgent) -> str | None:
    """Return why the server did not let the agent in again, in the words the agent was given."""
    for line in _lines(agent):
        if line["message"].startswith(_NOT_CONNECTED) and _REFUSED in line["message"]:
            return str(line["message"]).removeprefix(_NOT_CONNECTED)
    return None


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


def _lines(agent: DemoAgent) -> Iterator[Mapping[str, Any]]:
    for line in agent.program.log.read_text(errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict) and {"at", "message"} <= found.keys():
                yield found


def _ask(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
            return str(answer.read().decode().strip())
    except (urllib.error.URLError, OSError):
        return ""
