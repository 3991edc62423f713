"""`quartermaster channel`: which release which agents are to run."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from distribution.cli import reading
from distribution.cli.noun import noun
from distribution.cli.output import Json, show_json, show_table, shown, tell
from distribution.cli.reading import AtState
from distribution.cli.session import Session
from distribution.domain.states import NEW
from distribution.errors import ForbiddenError, UnknownError

app = noun("Channels: which signed release which agents are to run.")

Name = Annotated[str, typer.Argument(help="The channel's name.")]


@app.command("set")
def set_(
    context: typer.Context,
    name: Name,
    release: Annotated[str, typer.Argument(help="publisher/package@version")],
    selector: Annotated[
        list[str] | None,
        typer.Option(help="key=value that an agent must carry; a new channel without one is for all agents."),
    ] = None,
    everybody: Annotated[
        bool, typer.Option("--everybody", help="For all agents, whatever it was for before.")
    ] = False,
    allow_downgrade: Annotated[
        bool, typer.Option("--allow-downgrade", help="A lower version than the present one is meant.")
    ] = False,
    at_state: AtState = None,
    as_json: Json = False,
) -> None:
    """Point a channel at a release; its agents are offered it at once. Its selector stays, if none is given.

    Refused if somebody else changes the channel meanwhile.
    """
    if everybody and selector:
        raise typer.BadParameter("everybody, or those of a selector; not both")
    before = _present(context.obj, name)
    publisher, package, version = reading.release(release)
    body = {
        "publisher": publisher,
        "package": package,
        "version": version,
        "allow_downgrade": allow_downgrade,
        "selector": reading.labels(selector) if selector or everybody else before["selector"],
        "at_state": at_state or before["state"],
    }
    found = context.obj.api.put(f"/channels/{name}", body)
    if as_json:
        show_json(found)
        return
    whom = shown(found["selector"]) if found["selector"] else "all agents"
    tell(f"channel {name} is at {publisher}/{package}@{version}, for {whom}")
    for note in found["notes"]:
        tell(note)


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List channels."""
    found = context.obj.api.get("/channels")
    if as_json:
        show_json(found)
        return
    columns = (
        "name",
        "publisher",
        "package",
        "version",
        "selector",
        "allow_downgrade",
        "updated_by",
        "state",
    )
    show_table(columns, [[one[column] for column in columns] for one in found["channels"]])


@app.command()
def remove(context: typer.Context, name: Name, at_state: AtState = None, as_json: Json = False) -> None:
    """Delete a channel; agents that followed only it are offered nothing more, and keep what they hold."""
    found = context.obj.api.delete(f"/channels/{name}", at_state=at_state)
    if as_json:
        show_json(found)
    else:
        tell(f"channel {name} is removed; it was at {found['package']}@{found['version']}")


def _present(session: Session, name: str) -> Mapping[str, Any]:
    try:
        return session.api.get(f"/channels/{name}")
    except (UnknownError, ForbiddenError):
        # Who may not even look may not set either: the server's refusal of that names what is needed.
        return {"selector": {}, "state": NEW}
