"""`quartermaster agents`: see them, label them, revoke them."""

from typing import Annotated, Any

import typer

from distribution.cli import reading
from distribution.cli.noun import noun
from distribution.cli.output import Json, show_fields, show_json, show_table, tell
from distribution.cli.session import Session
from keys.certificate import Reason

app = noun("Agents: see them, label them, revoke them.")

_PAGE = 1000
Uid = Annotated[str, typer.Argument(help="The agent's instance uid.")]


@app.command("list")
def list_(
    context: typer.Context,
    label: Annotated[list[str] | None, typer.Option(help="key=value that it carries.")] = None,
    attribute: Annotated[list[str] | None, typer.Option(help="key=value that it says of itself.")] = None,
    connected: Annotated[
        bool | None, typer.Option("--connected/--disconnected", help="Only those that are, or are not.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List agents."""
    session: Session = context.obj
    wanted: dict[str, Any] = {"label": reading.query(label), "attribute": reading.query(attribute)}
    if connected is not None:
        wanted["connected"] = "true" if connected else "false"
    found: list[Any] = []
    after: str | None = ""
    while after is not None:
        page = session.api.get("/agents", **wanted, limit=_PAGE, after=after)
        found += page["agents"]
        after = page["next"]
    if as_json:
        show_json({"agents": found})
        return
    show_table(
        ("uid", "platform", "connected", "healthy", "packages", "labels", "problem"),
        [_row(agent) for agent in found],
    )


@app.command()
def show(context: typer.Context, uid: Uid, as_json: Json = False) -> None:
    """Show all that is known of one agent."""
    found = context.obj.api.get(f"/agents/{uid}")
    if as_json:
        show_json(found)
    else:
        show_fields(found)


@app.command()
def label(
    context: typer.Context,
    uid: Uid,
    labels: Annotated[
        list[str] | None, typer.Argument(help="key=value each: all the labels operators give it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Replace the labels that operators gave an agent; those of its token show where none is given."""
    found = context.obj.api.patch(f"/agents/{uid}", {"labels": reading.labels(labels)})
    if as_json:
        show_json(found)
    else:
        show_fields({"uid": found["uid"], "labels": found["labels"]})


@app.command()
def revoke(
    context: typer.Context,
    uid: Uid,
    reason: Annotated[Reason, typer.Option(help="Why (RFC 5280 5.3.1).")] = Reason.UNSPECIFIED,
    ban: Annotated[bool, typer.Option("--ban", help="Never let it enroll again.")] = False,
    as_json: Json = False,
) -> None:
    """Take an agent's credentials away and cut its connections, now."""
    _told(context.obj.api.post(f"/agents/{uid}/revoke", {"reason": reason.value, "ban": ban}), as_json)


@app.command()
def reset(
    context: typer.Context,
    uid: Uid,
    lift_ban: Annotated[bool, typer.Option("--lift-ban", help="Even if it is banned.")] = False,
    as_json: Json = False,
) -> None:
    """Take an agent's credentials away and let it enroll again, with a new token and a new key."""
    _told(context.obj.api.post(f"/agents/{uid}/reset", {"lift_ban": lift_ban}), as_json)


def _told(found: Any, as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    serials = ", ".join(found["serials"]) or "none"
    tell(
        f"agent {found['agent']}: serials {serials}; {found['connections_cut']} connection(s) cut "
        f"in {found['elapsed_ms']} ms"
    )


def _row(agent: Any) -> list[object]:
    packages = [f"{one['name']} {one['version'] or '-'} {one['state']}" for one in agent["packages"]]
    healthy = None if agent["health"] is None else agent["health"]["healthy"]
    return [
        agent["uid"],
        agent["platform"],
        agent["connected"],
        healthy,
        packages,
        agent["labels"],
        agent["problem"],
    ]
