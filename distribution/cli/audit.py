"""`quartermaster audit`: the journal."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated

import typer

from distribution.cli.api import Api, Document
from distribution.cli.noun import noun
from distribution.cli.output import Json, show_json, show_table, tell

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
    after: Annotated[int, typer.Option(min=0, help="Only entries after this one.")] = 0,
    before: Annotated[
        int | None, typer.Option(min=1, help="With --newest: only entries before this one.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many entries.")] = 100,
    newest: Annotated[bool, typer.Option("--newest", help="The newest first.")] = False,
    kind: Annotated[
        str | None, typer.Option(help="Only entries of this kind, such as agent.revoked.")
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(help="Only entries about this, as the column has it, such as channel:stable."),
    ] = None,
    agent: Annotated[
        str | None, typer.Option(help="Only entries that concern the agent of this uid.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print entries of the journal, the oldest first."""
    if before is not None and not newest:
        raise typer.BadParameter("--before goes with --newest")
    entries = _newest_first(context.obj.api, before or 0, after) if newest else _pages(context.obj.api, after)
    kinds: set[str] = set()
    found = list(islice(_fitting(entries, kinds, kind, subject, agent), limit + 1))
    more = len(found) > limit
    found = found[:limit]
    if as_json:
        show_json({"entries": found, "next": found[-1]["number"] if more else None})
        return
    columns = ("number", "at", "kind", "actor", "subject", "detail")
    show_table(columns, [[entry[column] for column in columns] for entry in found])
    if more:
        way = "--newest --before" if newest else "--after"
        tell(f"{limit} entries, and there are more; the next ones: {way} {found[-1]['number']}")
    elif not found:
        tell(_nothing(kind, kinds))


def _nothing(kind: str | None, kinds: set[str]) -> str:
    if kind is None or kind in kinds:
        return "no entry fits"
    return f"no entry is of kind {kind!r}; there are {', '.join(sorted(kinds)) or 'none at all'}"


def _pages(api: Api, after: int) -> Iterator[Document]:
    cursor: int | None = after
    while cursor is not None:
        page = api.get("/journal", after=cursor, limit=_PAGE)
        yield from page["entries"]
        cursor = page["next"]


def _newest_first(api: Api, before: int, after: int) -> Iterator[Document]:
    cursor: int | None = before
    while cursor is not None:
        page = api.get("/journal", before=cursor, limit=_PAGE)
        for entry in page["entries"]:
            if entry["number"] <= after:
                return
            yield entry
        cursor = page["next"]


def _fitting(
    entries: Iterable[Document], kinds: set[str], kind: str | None, subject: str | None, agent: str | None
) -> Iterator[Document]:
    """Yield what fits, and note each kind that was seen."""
    for entry in entries:
        kinds.add(entry["kind"])
        if kind not in (None, entry["kind"]) or subject not in (None, entry["subject"]):
            continue
        if agent is None or _concerns(entry, agent):
            yield entry


def _concerns(entry: Document, agent: str) -> bool:
    """Whether an entry is about the agent, by it, or about a token or the like of it."""
    agent = agent.lower()
    return f"agent:{agent}" in (entry["subject"], entry["actor"]) or entry["detail"].get("agent") == agent
