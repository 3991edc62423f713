"""`quartermaster gateways`: agents that speak for others."""

from typing import Annotated

import typer

from distribution.cli import reading
from distribution.cli.agent_acts import Uid
from distribution.cli.noun import noun
from distribution.cli.output import Json, show_json, show_table, tell
from distribution.cli.reading import AtState
from keys.gateways import Admits

app = noun("Gateways: agents that speak for others over their own connection.")

Labels = Annotated[list[str] | None, typer.Option("--label", help="key=value of the agents it brings.")]


@app.command()
def grant(
    context: typer.Context,
    uid: Uid,
    admit: Annotated[
        Admits, typer.Option(help="Whom it may bring: those that are listed, or new ones too.")
    ] = Admits.LISTED,
    label: Labels = None,
    at_state: AtState = None,
    as_json: Json = False,
) -> None:
    """Let an agent with a certificate speak for others, or change for whom. Everything is given anew."""
    body = {"admits": admit.value, "labels": reading.labels(label), "at_state": at_state}
    found = context.obj.api.put(f"/gateways/{uid}", body)
    if as_json:
        show_json(found)
    else:
        tell(f"agent {found['gateway']} is a gateway; it admits: {found['admits']}")


@app.command("admit")
def admit_(
    context: typer.Context, gateway: str, uid: Uid, label: Labels = None, as_json: Json = False
) -> None:
    """Let a gateway speak for one agent."""
    found = context.obj.api.post(f"/gateways/{gateway}/agents", {"uid": uid, "labels": reading.labels(label)})
    if as_json:
        show_json(found)
    else:
        tell(f"gateway {found['gateway']} speaks for agent {found['agent']}")


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List gateways and those they speak for."""
    found = context.obj.api.get("/gateways")
    if as_json:
        show_json(found)
        return
    columns = ("gateway", "admits", "labels", "granted_at", "granted_by", "agents", "state")
    show_table(columns, [[one[column] for column in columns] for one in found["gateways"]])


@app.command()
def revoke(context: typer.Context, uid: Uid, at_state: AtState = None, as_json: Json = False) -> None:
    """Take a gateway's role away, and end every conversation through it."""
    found = context.obj.api.delete(f"/gateways/{uid}", at_state=at_state)
    if as_json:
        show_json(found)
    else:
        tell(f"agent {found['gateway']} is no gateway any more; it spoke for {len(found['agents'])} agent(s)")
