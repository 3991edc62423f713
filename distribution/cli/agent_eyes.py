"""`quartermaster agents watch`, `explain` and `components`: what an agent says, is due, and could run."""

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from distribution.cli.agent_acts import Uid
from distribution.cli.output import Json, printable, show_json, tell

_ARROWS = {"from agent": "->", "to agent": "<-", "refused": "!!"}


def watch(
    context: typer.Context,
    uid: Uid,
    seconds: Annotated[int, typer.Option(min=1, max=3600, help="How long, at most.")] = 3600,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many messages.")] = None,
    as_json: Json = False,
) -> None:
    """Show an agent's messages as they come, both ways; secrets are left out."""
    told = context.obj.api.lines(f"/agents/{uid}/watch", seconds=seconds)
    begin = next(told)
    typer.echo(_line(begin, as_json=as_json))
    for event in itertools.islice(told, count):
        typer.echo(_line(event, as_json=as_json))


def explain(context: typer.Context, uid: Uid, as_json: Json = False) -> None:
    """Say what the server wants of an agent, what the agent holds, and what is offered next and why."""
    found = context.obj.api.get(f"/agents/{uid}/explain")
    if as_json:
        show_json(found)
        return
    for title, name in (("The server wants", "wants"), ("The agent has", "holds"), ("Next", "why")):
        typer.echo(f"{title}:")
        for sentence in found[name]:
            typer.echo(f"  {printable(sentence)}")


def components(context: typer.Context, uid: Uid, as_json: Json = False) -> None:
    """Show what an agent could run, as it listed it."""
    found = context.obj.api.get(f"/agents/{uid}/components")
    if as_json:
        show_json(found)
        return
    if found["components"] is None:
        tell(f"agent {uid} never listed what it could run")
        return
    old = "" if found["hash"] == found["said_hash"] else "; since then it named another list"
    tell(f"listed at {found['reported_at']}{old}")
    for line in _tree(found["components"], 0):
        typer.echo(printable(line))


def _tree(parts: Mapping[str, Any], depth: int) -> Iterator[str]:
    """Yield a line for each part, those below indented; what is said of one stands beside it."""
    for name, found in parts.items():
        if not isinstance(found, Mapping):
            yield f"{'  ' * depth}{name}: {found}"
            continue
        said = [f"{key}={value}" for key, value in found.items() if not isinstance(value, Mapping)]
        yield "  " * depth + " ".join((name, *said))
        below = {key: value for key, value in found.items() if isinstance(value, Mapping)}
        yield from _tree(below, depth + 1)


def _line(event: Any, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(event, sort_keys=True)
    direction = event["direction"]
    said = json.dumps(event["said"], ensure_ascii=True) if event["said"] else "nothing"
    return f"{event['at']} {event['transport'] or '-':<4} {_ARROWS.get(direction, direction)} {said}"
