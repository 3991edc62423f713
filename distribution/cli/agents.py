"""`quartermaster agents`: find them, count them, see one, label one, revoke one."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from distribution.cli import agent_acts, agent_eyes, agent_grants, reading
from distribution.cli.agent_acts import Uid
from distribution.cli.noun import noun
from distribution.cli.output import Json, show_fields, show_json, show_table, tell
from distribution.cli.session import Session
from distribution.domain.agent import PackageState
from distribution.domain.liveness import Delivery, Liveness, Wellbeing

app = noun("Agents: find them, label them, revoke them.")
app.command()(agent_acts.revoke)
app.command()(agent_acts.reset)
app.command()(agent_acts.restart)
app.command()(agent_eyes.watch)
app.command()(agent_eyes.explain)
app.command()(agent_eyes.components)
app.command()(agent_grants.certify)
app.command()(agent_grants.requests)
app.command()(agent_grants.approve)
app.add_typer(agent_grants.token, name="token")

_PAGE = 1000
_SCREEN = 100
_INDENT = 2

Label = Annotated[list[str] | None, typer.Option(help="key=value that it carries.")]
Attribute = Annotated[list[str] | None, typer.Option(help="key=value that it says of itself.")]
Platform = Annotated[str | None, typer.Option(help="Where it runs, such as linux-amd64.")]
Live = Annotated[list[Liveness] | None, typer.Option(help="Whether it is there; several: one of them.")]
Well = Annotated[list[Wellbeing] | None, typer.Option(help="What it says of its health.")]
Packages = Annotated[
    list[Delivery] | None, typer.Option(help="How its packages are: failed tells who could not install one.")
]


@app.command("list")
def list_(
    context: typer.Context,
    label: Label = None,
    attribute: Attribute = None,
    platform: Platform = None,
    live: Live = None,
    health: Well = None,
    packages: Packages = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many agents.")] = _SCREEN,
    after: Annotated[int, typer.Option(min=0, help="Where the list before this one ended.")] = 0,
    every: Annotated[bool, typer.Option("--all", help="All of them, however many.")] = False,
    as_json: Json = False,
) -> None:
    """List agents, in the order in which they came."""
    session: Session = context.obj
    wanted = _filter(label, attribute, platform, live, health, packages)
    found: list[Any] = []
    cursor: int | None = after
    total = 0
    while cursor is not None and (every or len(found) < limit):
        size = _PAGE if every else min(_PAGE, limit - len(found))
        page = session.api.get("/agents", **wanted, limit=size, after=cursor)
        found += page["agents"]
        cursor, total = page["next"], page["total"]
    if as_json:
        show_json({"agents": found, "total": total, "next": cursor})
        return
    columns = ("uid", "platform", "live", "healthy", "packages", "labels", "problem")
    show_table(columns, [_row(agent) for agent in found])
    if not found:
        tell("no agent fits")
    if cursor is not None:
        tell(f"{len(found)} of {total} agents; the next ones: --after {cursor}")


@app.command()
def count(
    context: typer.Context,
    label: Label = None,
    attribute: Attribute = None,
    platform: Platform = None,
    live: Live = None,
    health: Well = None,
    packages: Packages = None,
    as_json: Json = False,
) -> None:
    """Count agents, and how many of them are there and well."""
    wanted = _filter(label, attribute, platform, live, health, packages)
    found = context.obj.api.get("/agents/count", **wanted)
    if as_json:
        show_json(found)
    else:
        show_fields({"agents": found["total"], **found["live"], **found["health"]})


@app.command()
def show(context: typer.Context, uid: Uid, as_json: Json = False) -> None:
    """Show all that is known of one agent."""
    found = context.obj.api.get(f"/agents/{uid}")
    if as_json:
        show_json(found)
        return
    health = found.get("health") or {}
    parts = health.get("components", {})
    own = {name: value for name, value in health.items() if name != "components"}
    plain = {**found, "live": _there(found), "health": own}
    show_fields(plain)
    if parts:
        show_table(("part", "healthy", "status", "error"), _parts(parts, 0))


@app.command()
def label(
    context: typer.Context,
    uid: Uid,
    labels: Annotated[
        list[str] | None, typer.Argument(help="key=value each: all the labels operators give it.")
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Take all of them away.")] = False,
    add: Annotated[bool, typer.Option("--add", help="Keep the others that operators gave it.")] = False,
    at_state: reading.AtState = None,
    as_json: Json = False,
) -> None:
    """Replace the labels that operators gave an agent; those of its token show where none is given.

    With --add, refused if somebody else changes them meanwhile.
    """
    if none is bool(labels):
        raise typer.BadParameter(f"all labels of agent {uid}, or --none to take all of them away")
    body: dict[str, Any] = {"labels": reading.labels(labels), "at_state": at_state}
    if add:
        before = context.obj.api.get(f"/agents/{uid}")
        body["labels"] = {**before["given_labels"], **body["labels"]}
        body["at_state"] = at_state or before["labels_state"]
    found = context.obj.api.patch(f"/agents/{uid}", body)
    if as_json:
        show_json(found)
    else:
        show_fields({"uid": found["uid"], "labels": found["labels"]})


def _filter(
    label: list[str] | None,
    attribute: list[str] | None,
    platform: str | None,
    live: list[Liveness] | None,
    health: list[Wellbeing] | None,
    packages: list[Delivery] | None,
) -> dict[str, Any]:
    return {
        "label": reading.query(label),
        "attribute": reading.query(attribute),
        "platform": platform,
        "live": [state.value for state in live or ()],
        "health": [state.value for state in health or ()],
        "packages": [state.value for state in packages or ()],
    }


def _row(agent: Any) -> list[object]:
    packages = [f"{one['name']} {one['version'] or '-'} {one['state']}" for one in agent["packages"]]
    healthy = None if agent["health"] is None else agent["health"]["healthy"]
    return [
        agent["uid"],
        agent["platform"],
        _there(agent),
        healthy,
        packages,
        agent["labels"],
        "; ".join([agent["problem"]] * bool(agent["problem"]) + list(_failures(agent))),
    ]


def _failures(agent: Any) -> Iterator[str]:
    """Yield what an agent says of each package that it could not install."""
    for one in agent["packages"]:
        if one["state"] == PackageState.FAILED.value:
            offered = f" {one['offered_version']}" if one["offered_version"] else ""
            yield f"package {one['name']}{offered}: {one['error'] or 'failed'}"


def _there(agent: Any) -> str:
    """Return whether it is there; of one that never spoke, that it is still waited for."""
    return f"{agent['live']}, never heard" if agent["last_seen"] is None else str(agent["live"])


def _parts(parts: Any, depth: int) -> list[list[object]]:
    """Return a line for each part of an agent's health, those below indented."""
    lines: list[list[object]] = []
    for name, part in parts.items():
        indented = " " * (_INDENT * depth) + name
        lines.append([indented, part["healthy"], part["status"], part["error"]])
        lines += _parts(part.get("components", {}), depth + 1)
    return lines
