"""`quartermaster connections`: where agents send their own telemetry, and by what they connect."""

from pathlib import Path
from typing import Annotated

import typer

from distribution.cli import reading
from distribution.cli.noun import noun
from distribution.cli.output import Json, show_fields, show_json, show_table, tell
from distribution.cli.reading import AtState
from distribution.domain.connection_choice import Kind

app = noun(
    "Connection settings: own telemetry, other connections, the heartbeat; for agents by their labels."
)

_ENDED_THERE = (
    "what its headers and settings give access to is the destination's own: an agent that is revoked here "
    "keeps it until it is ended there"
)

Name = Annotated[str, typer.Argument(help="The setting's name.")]


Headers = Annotated[
    list[str] | None, typer.Option("--header", help="name=value, or name=@file for a secret; sealed.")
]
Settings = Annotated[
    list[str] | None, typer.Option("--setting", help="Of kind other: key=value or key=@file; sealed.")
]
Selector = Annotated[list[str] | None, typer.Option(help="key=value that an agent must carry; none: all.")]
PlainText = Annotated[
    bool, typer.Option("--plain-text-is-meant", help="Dangerous: a destination without TLS.")
]


@app.command("set")
def set_(
    context: typer.Context,
    name: Name,
    kind: Annotated[Kind, typer.Argument(help="What it is for.")],
    endpoint: Annotated[str, typer.Option(help="Full URL, such as https://otlp:4318/v1/metrics.")] = "",
    off: Annotated[bool, typer.Option("--off", help="This signal is to be off.")] = False,
    headers: Headers = None,
    ca: Annotated[Path | None, typer.Option(help="CA certificates (PEM) of the destination.")] = None,
    connection: Annotated[str, typer.Option(help="Of kind other: the name the agent knows it by.")] = "",
    settings: Settings = None,
    heartbeat: Annotated[str | None, typer.Option(help="Of kind opamp: how often, such as 30s.")] = None,
    selector: Selector = None,
    plain_text_is_meant: PlainText = False,
    at_state: AtState = None,
    as_json: Json = False,
) -> None:
    """Set where agents of these labels connect; they are told at once. Everything is given anew."""
    body = {
        "kind": kind.value,
        "endpoint": endpoint,
        "off": off,
        "headers": reading.secrets(headers),
        "ca_pem": "" if ca is None else reading.text_file(ca),
        "connection": connection,
        "settings": reading.secrets(settings),
        "heartbeat_seconds": None if heartbeat is None else reading.seconds(heartbeat),
        "selector": reading.labels(selector),
        "plain_text_is_meant": plain_text_is_meant,
        "at_state": at_state,
    }
    found = context.obj.api.put(f"/connections/{name}", body)
    if as_json:
        show_json(found)
    else:
        tell(f"connection setting {name} is for {found['kind']} {found['connection']}".rstrip())
        if found["headers"] or found["settings"]:
            tell(_ENDED_THERE)


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List settings; of headers their names alone."""
    found = context.obj.api.get("/connections")
    if as_json:
        show_json(found)
        return
    places = ("name", "kind", "connection", "endpoint", "off", "headers", "heartbeat_seconds", "selector")
    columns = (*places, "updated_by", "state")
    show_table(columns, [[one[column] for column in columns] for one in found["connections"]])


@app.command()
def remove(context: typer.Context, name: Name, at_state: AtState = None, as_json: Json = False) -> None:
    """Delete a setting; agents that nothing else applies to keep what they have."""
    found = context.obj.api.delete(f"/connections/{name}", at_state=at_state)
    if as_json:
        show_json(found)
    else:
        tell(f"connection setting {name} is removed; it was for {found['kind']}")


@app.command()
def status(
    context: typer.Context,
    uid: Annotated[str, typer.Argument(help="The agent's instance uid.")],
    as_json: Json = False,
) -> None:
    """Show how far an agent is with its settings, and what is known of its credential."""
    found = context.obj.api.get(f"/agents/{uid}/connections")
    if as_json:
        show_json(found)
        return
    fields = ("agent", "settings", "phase", "attempt", "error", "note", "problem", "left_out")
    show_fields({**{name: found[name] for name in fields}, "credential": found["credential"]["words"]})
