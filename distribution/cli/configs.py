"""`quartermaster configs`: what agents are to run, versions of it, who runs which, and whether they do."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from distribution.cli import config_status, reading
from distribution.cli.noun import noun
from distribution.cli.output import Json, printable, show_json, show_table, tell
from distribution.cli.session import Session

app = noun("Remote configurations: versions, who runs which, and whether they really do.")
app.command()(config_status.status)
app.command()(config_status.diff)
app.command()(config_status.set_value)

_VERSION_COLUMNS = ("name", "version", "valid", "secret", "variables", "created_at", "created_by")
_TYPES: Mapping[str, str] = {
    ".yaml": "text/yaml",
    ".yml": "text/yaml",
    ".json": "application/json",
    ".toml": "application/toml",
}
_OTHER_TYPE = "text/plain"

Name = Annotated[str, typer.Argument(help="The configuration's name.")]
Version = Annotated[int | None, typer.Option(min=1, help="Its number; the newest by default.")]
Called = Annotated[str, typer.Argument(help="The assignment's name; mostly the configuration's.")]


@app.command()
def create(
    context: typer.Context,
    name: Name,
    files: Annotated[list[str], typer.Argument(help="FILE for the key '', or KEY=FILE each.")],
    role: Annotated[list[str] | None, typer.Option(help="KEY=ROLE.")] = None,
    content_type: Annotated[
        list[str] | None, typer.Option("--type", help="KEY=TYPE; by the file's ending if not given.")
    ] = None,
    secret: Annotated[
        bool, typer.Option("--secret", help="It carries a secret: sealed, and selected by labels alone.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the next version of a configuration; the same content again is the version that is there."""
    roles, types = _by_key(role), _by_key(content_type)
    objects = [_object(text, roles, types) for text in files]
    for key in (roles.keys() | types.keys()) - {one["key"] for one in objects}:
        raise typer.BadParameter(f"there is no object of key {key!r}")
    made = context.obj.api.post(f"/configurations/{name}/versions", {"objects": objects, "secret": secret})
    if as_json:
        show_json(made)
        return
    tell(f"configuration {name}@{made['version']} {'is there already' if made['existed'] else 'is written'}")
    _tell_judgement(made)


@app.command("list")
def list_(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Of one configuration alone.")] = None,
    as_json: Json = False,
) -> None:
    """List versions."""
    path = "/configurations" if name is None else f"/configurations/{name}/versions"
    _show(context.obj.api.get(path), "versions", _VERSION_COLUMNS, as_json)


@app.command()
def show(context: typer.Context, name: Name, version: Version = None, as_json: Json = False) -> None:
    """Show a version; of one that carries a secret its shape alone."""
    number = _newest(context.obj, name) if version is None else version
    found = context.obj.api.get(f"/configurations/{name}/versions/{number}")
    if as_json:
        show_json(found)
        return
    tell(f"configuration {name}@{number}, by {found['created_by']}")
    _tell_judgement(found)
    for one in found["objects"]:
        _print_object(one)


@app.command()
def validate(context: typer.Context, name: Name, version: Version = None, as_json: Json = False) -> None:
    """Have a version judged again, by the validator that the server has now."""
    number = _newest(context.obj, name) if version is None else version
    found = context.obj.api.post(f"/configurations/{name}/versions/{number}/validate", {})
    if as_json:
        show_json(found)
    else:
        _tell_judgement(found)


@app.command()
def assign(
    context: typer.Context,
    name: Name,
    version: Version = None,
    label: Annotated[list[str] | None, typer.Option(help="key=value that an agent must carry.")] = None,
    attribute: Annotated[
        list[str] | None, typer.Option(help="key=value that an agent must say of itself.")
    ] = None,
    priority: Annotated[int | None, typer.Option(min=0, help="The higher one wins; 0 at first.")] = None,
    called: Annotated[
        str | None, typer.Option("--as", help="The assignment's name; the configuration's by default.")
    ] = None,
    everybody: Annotated[
        bool, typer.Option("--everybody", help="For all agents, whatever it was for before.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Let agents run a version. Selector and priority stay as they are, if none is given.

    Refused if somebody else changes the assignment meanwhile.
    """
    api, assignment = context.obj.api, called or name
    before = _present(context.obj, assignment)
    body: dict[str, Any] = {
        "configuration": name,
        "version": version,
        "priority": before["priority"] if priority is None else priority,
        "labels": before["labels"],
        "attributes": before["attributes"],
        "at_step": before["step"],
    }
    if everybody or label or attribute:
        if everybody and (label or attribute):
            raise typer.BadParameter("everybody, or those of a selector; not both")
        body |= {"labels": reading.labels(label), "attributes": reading.labels(attribute)}
    elif not before["step"]:
        raise typer.BadParameter(
            f"assignment {assignment!r} is new: say for whom, by --label or --attribute, or --everybody"
        )
    found = api.put(f"/config-assignments/{assignment}", body)
    if as_json:
        show_json(found)
    else:
        _tell_step(found)


@app.command()
def back(context: typer.Context, assignment: Called, as_json: Json = False) -> None:
    """Go back to the version before the present one; selector and priority stay.

    Again, and it is the one before that. Refused if somebody else changes the assignment meanwhile.
    """
    seen = _present(context.obj, assignment)["step"]
    found = context.obj.api.post(f"/config-assignments/{assignment}/back", {"at_step": seen})
    if as_json:
        show_json(found)
    else:
        _tell_step(found)


@app.command()
def unassign(
    context: typer.Context,
    assignment: Called,
    at_step: Annotated[
        int | None, typer.Option(min=1, help="The step that you saw; refused if another counts by now.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Take an assignment away; agents that are left with none are told nothing, and keep what they run."""
    found = context.obj.api.delete(f"/config-assignments/{assignment}", at_step=at_step)
    if as_json:
        show_json(found)
    else:
        tell(f"assignment {assignment} is removed; it was {found['configuration']}@{found['version']}")


@app.command()
def assignments(context: typer.Context, as_json: Json = False) -> None:
    """List who runs which version."""
    columns = ("name", "configuration", "version", "priority", "labels", "attributes", "updated_by")
    _show(context.obj.api.get("/config-assignments"), "assignments", columns, as_json)


@app.command()
def history(context: typer.Context, assignment: Called, as_json: Json = False) -> None:
    """Show every step of an assignment; the last one counts."""
    columns = ("step", "configuration", "version", "priority", "labels", "attributes", "counts")
    found = context.obj.api.get(f"/config-assignments/{assignment}")
    _show(found, "steps", (*columns, "updated_at", "updated_by"), as_json)


def _object(text: str, roles: Mapping[str, str], types: Mapping[str, str]) -> dict[str, str]:
    key, equals, place = text.partition("=")
    key, path = (key, Path(place)) if equals else ("", Path(text))
    try:
        body = path.read_bytes()
    except OSError as exc:
        raise typer.BadParameter(f"file {str(path)!r} cannot be read: {exc.strerror}") from exc
    return {
        "key": key,
        "role": roles.get(key, ""),
        "content_type": types.get(key, _TYPES.get(path.suffix.lower(), _OTHER_TYPE)),
        "body_base64": base64.b64encode(body).decode(),
    }


def _by_key(texts: Sequence[str] | None) -> dict[str, str]:
    """Read `KEY=VALUE` each; the key may be empty. Raises typer.BadParameter."""
    found: dict[str, str] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or key in found:
            raise typer.BadParameter(f"{text!r} is not KEY=VALUE, or its key is given twice")
        found[key] = value
    return found


def _newest(session: Session, name: str) -> int:
    return int(session.api.get(f"/configurations/{name}/versions")["versions"][-1]["version"])


def _present(session: Session, name: str) -> Mapping[str, Any]:
    for one in session.api.get("/config-assignments")["assignments"]:
        if one["name"] == name:
            return dict(one)
    return {"priority": 0, "labels": {}, "attributes": {}, "step": 0}


def _show(found: Mapping[str, Any], part: str, columns: Sequence[str], as_json: bool) -> None:
    if as_json:
        show_json(found)
    else:
        show_table(columns, [[one[column] for column in columns] for one in found[part]])


def _print_object(one: Mapping[str, Any]) -> None:
    tell(f"object {one['key']!r}, {one['content_type'] or 'no content type'}, role {one['role'] or 'none'}")
    for line in str(one["body"]).splitlines():
        typer.echo(printable(line))


def _tell_judgement(found: Mapping[str, Any]) -> None:
    by = f" by {found['validator']}" if found["validator"] else ""
    tell(f"it is {'valid' if found['valid'] else 'refused'}{by}")
    for line in str(found["words"]).splitlines():
        tell(line)


def _tell_step(found: Mapping[str, Any]) -> None:
    tell(f"assignment {found['name']} is at {found['configuration']}@{found['version']}")
