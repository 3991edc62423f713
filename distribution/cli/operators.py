"""`quartermaster operator`: tokens of people and pipelines."""

from typing import Annotated

import typer

from distribution.cli import reading
from distribution.cli.noun import noun
from distribution.cli.output import Json, show_json, show_table, tell

app = noun("Tokens of operators and pipelines.")

Name = Annotated[str, typer.Argument(help="Who acts with it; this name stands in the journal.")]


@app.command()
def create(
    context: typer.Context,
    name: Name,
    scope: Annotated[
        list[str],
        typer.Option(help="read, fleet, publish:PUBLISHER, or security, the administrator; repeat it."),
    ],
    expires: Annotated[str, typer.Option(help="How long it is good for, at most 730d.")] = "90d",
    as_json: Json = False,
) -> None:
    """Make a token and print it; it is shown only now."""
    body = {"name": name, "scopes": scope, "lifetime_seconds": reading.seconds(expires)}
    found = context.obj.api.post("/operators", body)
    if as_json:
        show_json(found)
        return
    tell(f"operator {name} may {', '.join(found['scopes'])} until {found['expires_at']}")
    typer.echo(found["token"])


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List tokens, without their secrets."""
    found = context.obj.api.get("/operators")
    if as_json:
        show_json(found)
        return
    columns = ("name", "scopes", "expires_at", "revoked_at", "created_by")
    show_table(columns, [[one[column] for column in columns] for one in found["operators"]])


@app.command()
def revoke(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """End a token at once."""
    found = context.obj.api.delete(f"/operators/{name}")
    if as_json:
        show_json(found)
    else:
        tell(f"operator {name} is revoked")
