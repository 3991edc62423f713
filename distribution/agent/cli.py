"""`quartermaster-agent`: enroll a host, run its agent, show its status. Loads nothing of the server."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from opamp.v1.runtime import UnsuitableRuntimeError, require_compiled_runtime

from distribution import logs
from distribution.agent import config as host_config
from distribution.agent import supervisor
from distribution.agent.credentials import Credentials
from distribution.agent.enrollment import Enrolled, enroll
from distribution.agent.pins import load as load_pins
from distribution.agent.process import alive
from distribution.agent.state import Packages
from distribution.agent.store import Store, lock, running_agent
from distribution.errors import DistributionError
from keys.errors import KeysError
from keys.trust import decode_token

T = TypeVar("T")

app = typer.Typer(
    name="quartermaster-agent",
    help="Runs a program under supervision and keeps it at the version its fleet's operators choose.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Folder = Annotated[
    Path, typer.Option("--dir", help="The agent's folder.", file_okay=False, resolve_path=True)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Token = Annotated[
    str, typer.Argument(help="The string `quartermaster token create` printed, or - to read it.")
]
Again = Annotated[
    bool, typer.Option("--again", help="Ask for a new certificate though there is one: after a reset.")
]


@app.command("enroll")
def enroll_command(token: Token, folder: Folder, again: Again = False, as_json: Json = False) -> None:
    """Enroll this host: make its key, and have it certified with an enrollment token."""
    given = sys.stdin.read() if token == "-" else token  # noqa: S105 - a dash, not a secret
    enrolled = _locked(folder, partial(_enroll, folder, given, again=again))
    answer = {
        "instance_uid": str(enrolled.agent),
        "serial": enrolled.credential.serial,
        "not_after": enrolled.credential.not_after.isoformat(),
        "already": not enrolled.fresh,
    }
    text = f"enrolled as {enrolled.agent}, until {answer['not_after']}"
    if not enrolled.fresh:
        text = (
            f"already enrolled as {enrolled.agent}, until {answer['not_after']}: the token was not used; "
            "if an operator reset the agent, --again replaces its credential"
        )
    _show(answer, text, as_json=as_json)


async def _enroll(folder: Path, text: str, *, again: bool) -> Enrolled:
    config = host_config.load(folder) if (folder / host_config.FILE_NAME).exists() else None
    transport = config.connection.transport if config else "ws"
    return await enroll(
        folder,
        decode_token(text),
        partial(supervisor.about, config),
        open_link=partial(supervisor.open_link, transport=transport),
        now=supervisor.now,
        new_uid=supervisor.new_uid,
        again=again,
    )


@app.command()
def run(folder: Folder) -> None:
    """Run the agent until it is told to stop; SIGTERM ends its program, too."""
    _locked(folder, partial(supervisor.run, folder))


@app.command()
def status(folder: Folder, as_json: Json = False) -> None:
    """Show what this host holds. Reads its files only."""
    answer = _guarded(partial(_status, folder))
    lines = [f"{key:16} {_plain(value)}" for key, value in answer.items()]
    _show(answer, "\n".join(lines), as_json=as_json)


def _status(folder: Path) -> dict[str, Any]:
    pins, state = load_pins(folder), Store(folder).load()
    trial = state.trial
    answer: dict[str, Any] = {
        "agent_pid": running_agent(folder),
        "program_pid": alive(folder / "program.json"),
        "healthy": _versions(state.healthy),
        "on_trial": _versions({trial.package: trial.packages[trial.package]})
        if trial and trial.package in trial.packages
        else {},
        "failed": {failure.package: failure.reason for failure in state.failures},
        "enrolled": pins is not None,
    }
    if pins is not None:
        credentials = Credentials(folder, pins.trust_domain, pins.ca_pem)
        usable = credentials.usable(supervisor.now())
        agent = credentials.known_agent()
        answer["instance_uid"] = str(agent) if agent else None
        answer["agents_url"] = pins.agents_url
        answer["serials"] = {("next" if each.is_next else "current"): each.serial for each in usable}
        answer["not_after"] = max((each.not_after.isoformat() for each in usable), default=None)
    return answer


def _versions(packages: Packages) -> dict[str, str]:
    return {name: installed.version.text for name, installed in packages.items()}


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {each}" for key, each in value.items()) or "-"
    return "-" if value is None else str(value)


def _show(answer: dict[str, Any], text: str, *, as_json: bool) -> None:
    typer.echo(json.dumps(answer) if as_json else text)


def _locked(folder: Path, work: Callable[[], Awaitable[T]]) -> T:
    async def await_it() -> T:
        return await work()

    def hold_and_run() -> T:
        with lock(folder):
            return asyncio.run(await_it())

    logs.set_up()
    return _guarded(hold_and_run)


def _guarded(work: Callable[[], T]) -> T:
    try:
        require_compiled_runtime()
        return work()
    except (DistributionError, KeysError, UnsuitableRuntimeError) as exc:
        typer.echo(f"error: {exc}", err=True)
        raise typer.Exit(1) from exc


def main() -> None:
    """Run the command line."""
    app()
