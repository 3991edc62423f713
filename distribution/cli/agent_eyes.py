"""`quartermaster agents watch` and `explain`: what an agent and the server say, and what is due next."""

import itertools
import json
from typing import Annotated, Any

import typer

from distribution.cli.agent_acts import Uid
from distribution.cli.output import Json, printable, show_json

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


def _line(event: Any, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(event, sort_keys=True)
    direction = event["direction"]
    said = json.dumps(event["said"], ensure_ascii=True) if event["said"] else "nothing"
    return f"{event['at']} {event['transport'] or '-':<4} {_ARROWS.get(direction, direction)} {said}"
