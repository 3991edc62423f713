"""`quartermaster audit`: the journal."""

from typing import Annotated, Any

import typer

from distribution.cli.noun import noun
from distribution.cli.output import Json, show_json, show_table

app = noun("The journal: what happened, and whether it is whole.")

_PAGE = 1000


@app.command()
def verify(context: typer.Context, as_json: Json = False) -> None:
    """Check the whole journal against its chain and its kept head; fails if anything is missing or edited."""
    found = context.obj.api.post("/journal/verify", {})
    if as_json:
        show_json(found)
    else:
        typer.echo(f"journal is whole: {found['entries']} entries, head {found['hash']}")


@app.command()
def log(
    context: typer.Context,
    after: Annotated[int, typer.Option(min=0, help="Begin after this entry.")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="At most so many entries.")] = 100,
    kind: Annotated[
        str | None, typer.Option(help="Only entries of this kind, such as agent.revoked.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print entries of the journal."""
    found: list[Any] = []
    cursor: int | None = after
    while cursor is not None and len(found) < limit:
        page = context.obj.api.get("/journal", after=cursor, limit=_PAGE)
        found += [entry for entry in page["entries"] if kind in (None, entry["kind"])]
        cursor = page["next"]
    found = found[:limit]
    if as_json:
        show_json({"entries": found})
        return
    columns = ("number", "at", "kind", "actor", "subject", "detail")
    show_table(columns, [[entry[column] for column in columns] for entry in found])
