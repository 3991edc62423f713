"""`quartermaster serve`: run the server until it is told to stop.

The server is imported when it runs: the other commands must start without its weight.
"""

import logging
import os
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from distribution import logs
from distribution import settings as configuration
from distribution.errors import SettingsError
from storage.sole import sole_holder


class Level(Enum):
    """Levels of the log."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def serve(
    settings: Annotated[Path, typer.Option(help="The settings file.")],
    log_level: Annotated[
        Level, typer.Option(help="From which level on our own lines are shown.")
    ] = Level.INFO,
) -> None:
    """Serve agents, downloads and operators."""
    from opamp.v1.runtime import UnsuitableRuntimeError, require_compiled_runtime

    logs.set_up(level=logging.getLevelNamesMapping()[log_level.value.upper()])
    try:
        require_compiled_runtime()
    except UnsuitableRuntimeError as exc:
        raise SettingsError(str(exc)) from exc
    decided = configuration.load(settings, os.environ)
    with sole_holder(decided.folder / "server.lock"):
        _serve(decided)


def _serve(decided: configuration.Settings) -> None:
    import uvloop

    from distribution.compose import pauses
    from distribution.compose.server import compose
    from distribution.transport import notify
    from distribution.transport.listeners import serve as serve_listeners

    composed = compose(decided)
    try:
        addresses = ", ".join(
            f"{listener.name} {listener.config.host}:{listener.config.port}"
            for listener in composed.listeners
        )

        def tell(state: str) -> None:
            if state == "ready":
                logging.getLogger(__name__).info("serving %s", addresses)
            notify.tell(state)

        pauses.settle()
        uvloop.run(serve_listeners(composed.listeners, composed.jobs, tell))
    finally:
        composed.close()
