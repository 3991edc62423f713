"""`quartermaster channel`: which release which agents are to run."""

from typing import Annotated

import typer

from distribution.cli import reading
from distribution.cli.noun import noun
from distribution.cli.output import Json, show_json, show_table, tell

app = noun("Channels: which signed release which agents are to run.")

Name = Annotated[str, typer.Argument(help="The channel's name.")]


@app.command("set")
def set_(
    context: typer.Context,
    name: Name,
    release: Annotated[str, typer.Argument(help="publisher/package@version")],
    selector: Annotated[
        list[str] | None, typer.Option(help="key=value that an agent must carry; none: all agents.")
    ] = None,
    allow_downgrade: Annotated[
        bool, typer.Option("--allow-downgrade", help="A lower version than the present one is meant.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Point a channel at a release; its agents are offered it at once."""
    publisher, package, version = reading.release(release)
    body = {
        "publisher": publisher,
        "package": package,
        "version": version,
        "allow_downgrade": allow_downgrade,
        "selector": reading.labels(selector),
    }
    found = context.obj.api.put(f"/channels/{name}", body)
    if as_json:
        show_json(found)
        return
    tell(f"channel {name} is at {publisher}/{package}@{version}")
    for note in found["notes"]:
        tell(note)


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List channels."""
    found = context.obj.api.get("/channels")
    if as_json:
        show_json(found)
        return
    columns = ("name", "publisher", "package", "version", "selector", "allow_downgrade", "updated_by")
    show_table(columns, [[one[column] for column in columns] for one in found["channels"]])


@app.command()
def remove(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """Delete a channel; agents that followed only it are offered nothing more, and keep what they hold."""
    found = context.obj.api.delete(f"/channels/{name}")
    if as_json:
        show_json(found)
    else:
        tell(f"channel {name} is removed; it was at {found['package']}@{found['version']}")
