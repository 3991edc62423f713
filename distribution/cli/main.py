"""`quartermaster`: the command line of server, operators and pipelines, put together from a file a noun.

Only the noun that is asked for is loaded: a command that speaks to a server needs no database.

Exit codes: 0 done; 1 refused, with one line on stderr; 2 not a command; 3 the server cannot be reached.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from distribution.cli.output import tell
from distribution.cli.session import Options, Session
from distribution.errors import DistributionError, UnreachableError
from keys.errors import KeysError
from storage.errors import StorageError

REFUSED = 1
UNREACHABLE = 3


def _one(command: Callable[..., None]) -> typer.Typer:
    """Return a noun that is a command itself."""
    noun = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    noun.command()(command)
    return noun


def _init() -> typer.Typer:
    from distribution.cli.init import init

    return _one(init)


def _serve() -> typer.Typer:
    from distribution.cli.serve import serve

    return _one(serve)


def _demo() -> typer.Typer:
    from distribution.cli.demo import demo

    return _one(demo)


def _status() -> typer.Typer:
    from distribution.cli.status import status

    return _one(status)


def _token() -> typer.Typer:
    from distribution.cli.tokens import app

    return app


def _agents() -> typer.Typer:
    from distribution.cli.agents import app

    return app


def _gateways() -> typer.Typer:
    from distribution.cli.gateways import app

    return app


def _channel() -> typer.Typer:
    from distribution.cli.channels import app

    return app


def _configs() -> typer.Typer:
    from distribution.cli.configs import app

    return app


def _connections() -> typer.Typer:
    from distribution.cli.connections import app

    return app


def _release() -> typer.Typer:
    from distribution.cli.releases import app

    return app


def _publisher() -> typer.Typer:
    from distribution.cli.publishers import app

    return app


def _guard() -> typer.Typer:
    from distribution.cli.guard import app

    return app


def _audit() -> typer.Typer:
    from distribution.cli.audit import app

    return app


def _operator() -> typer.Typer:
    from distribution.cli.operators import app

    return app


NOUNS: Mapping[str, Callable[[], typer.Typer]] = {
    "init": _init,
    "serve": _serve,
    "demo": _demo,
    "status": _status,
    "token": _token,
    "agents": _agents,
    "gateways": _gateways,
    "channel": _channel,
    "configs": _configs,
    "connections": _connections,
    "release": _release,
    "publisher": _publisher,
    "guard": _guard,
    "audit": _audit,
    "operator": _operator,
}
"""Every command's first word, and what loads it; a new one is one function and one line."""


class _Nouns(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's signature
        return list(NOUNS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - typer's signature
        if cmd_name not in NOUNS:
            return None
        command = typer.main.get_command(NOUNS[cmd_name]())
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=_Nouns,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="The right binary and the right credential to every telemetry agent, provably.",
)


@app.callback()
def connection(
    context: typer.Context,
    server: Annotated[
        str | None,
        typer.Option(envvar="QUARTERMASTER_URL", help="The operators' API; the trust file's by default."),
    ] = None,
    trust: Annotated[
        Path | None, typer.Option(envvar="QUARTERMASTER_TRUST", help="Your own trust file.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(envvar="QUARTERMASTER_TOKEN_FILE", help="File with your API token.")
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option(envvar="QUARTERMASTER_PROFILE", help="Folder whose operator.toml says all of these."),
    ] = None,
) -> None:
    """Remember where the server is and whom to trust; commands that need it look there."""
    if context.obj is None:
        context.obj = Session(Options(server, trust, token_file, profile))


def run(arguments: Sequence[str], session: object = None) -> int:
    """Run one command and return its exit code; `session` stands in for the one of the options."""
    try:
        app(list(arguments), obj=session, prog_name="quartermaster")
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else 0
    except UnreachableError as exc:
        tell(f"quartermaster: {exc}")
        return UNREACHABLE
    except (DistributionError, KeysError, StorageError) as exc:
        tell(f"quartermaster: {exc}")
        return REFUSED
    return 0


def main() -> None:
    """Run the command of this process."""
    sys.exit(run(sys.argv[1:]))
