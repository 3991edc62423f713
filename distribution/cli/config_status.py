"""`quartermaster configs status`, `diff` and `set-value`: whether agents run what they are to run."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from distribution.cli import reading
from distribution.cli.output import Json, printable, show_json, show_table, tell
from distribution.cli.session import Session
from distribution.domain.config_standing import Standing

_PAGE = 1000
_COLUMNS = ("uid", "configuration", "standing", "why", "connected")

Uid = Annotated[str, typer.Argument(help="The agent's instance uid.")]


def status(
    context: typer.Context,
    label: Annotated[list[str] | None, typer.Option(help="key=value that it carries.")] = None,
    attribute: Annotated[list[str] | None, typer.Option(help="key=value that it says of itself.")] = None,
    standing: Annotated[list[Standing] | None, typer.Option(help="Only those that stand so.")] = None,
    as_json: Json = False,
) -> None:
    """List where agents stand: applied is said only of those that were seen to run what is intended."""
    wanted = {"label": reading.query(label), "attribute": reading.query(attribute)}
    found = _agents(context.obj, wanted, {one.value for one in standing or Standing})
    if as_json:
        show_json({"agents": found})
    else:
        show_table(_COLUMNS, [[one[column] for column in _COLUMNS] for one in found])


def diff(
    context: typer.Context,
    uid: Uid,
    texts: Annotated[bool, typer.Option("--texts", help="Both texts as well, secrets out.")] = False,
    as_json: Json = False,
) -> None:
    """Show where an agent's effective configuration is not as intended."""
    found = context.obj.api.get(f"/agents/{uid}/configuration")
    if as_json:
        show_json(found)
        return
    why = f": {found['why']}" if found["why"] else ""
    tell(f"configuration {found['configuration'] or 'none'}, {found['standing']}{why}")
    if found["effective"] is None:
        tell("the agent reported no effective configuration")
    for difference in found["differences"]:
        typer.echo(printable(difference))
    if texts:
        _print_side("intended", found["intended"])
        _print_side("effective", found["effective"])


def set_value(
    context: typer.Context,
    uid: Uid,
    values: Annotated[
        list[str] | None, typer.Argument(help="name=value, or name=@file for a secret; sealed.")
    ] = None,
    remove: Annotated[list[str] | None, typer.Option(help="Name of one that is taken away.")] = None,
    at_state: reading.AtState = None,
    as_json: Json = False,
) -> None:
    """Set variables of one agent, `${qm:value.NAME}` in configurations; what is not named stays."""
    given: dict[str, str | None] = {**reading.secrets(values), **dict.fromkeys(remove or ())}
    found = context.obj.api.patch(f"/agents/{uid}/config-values", {"values": given, "at_state": at_state})
    if as_json:
        show_json(found)
    else:
        show_table(("name", "updated_at", "updated_by"), [list(one.values()) for one in found["values"]])


def _agents(session: Session, wanted: Mapping[str, Any], standings: set[str]) -> list[Any]:
    found: list[Any] = []
    after: int | None = 0
    while after is not None:
        page = session.api.get("/config-status", **wanted, limit=_PAGE, after=after)
        found += [one for one in page["agents"] if one["standing"] in standings]
        after = page["next"]
    return found


def _print_side(name: str, side: Mapping[str, Any] | None) -> None:
    for one in [] if side is None else side["objects"]:
        typer.echo(f"--- {name} {printable(one['key'])!r}")
        for line in str(one["body"]).splitlines():
            typer.echo(printable(line))
