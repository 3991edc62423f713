"""`quartermaster serve`: run the server until it is told to stop.

The server is imported when it runs: the other commands must start without its weight.
"""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from distribution import settings as configuration
from storage.sole import sole_holder

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def serve(
    settings: Annotated[Path, typer.Option(help="The settings file.")],
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Serve agents, downloads and operators."""
    from opamp.v1.runtime import require_compiled_runtime  # noqa: PLC0415

    _set_up_logging(log_level)
    require_compiled_runtime()
    decided = configuration.load(settings, os.environ)
    with sole_holder(decided.folder / "server.lock"):
        _serve(decided)


def _serve(decided: configuration.Settings) -> None:
    import uvloop  # noqa: PLC0415

    from distribution.compose.server import compose  # noqa: PLC0415
    from distribution.transport.listeners import serve as serve_listeners  # noqa: PLC0415

    composed = compose(decided)
    try:
        addresses = ", ".join(
            f"{listener.name} {listener.config.host}:{listener.config.port}"
            for listener in composed.listeners
        )
        ready = lambda: logging.getLogger(__name__).info("serving %s", addresses)  # noqa: E731 - said once
        uvloop.run(serve_listeners(composed.listeners, composed.jobs, ready))
    finally:
        composed.close()


class _Lines(logging.Formatter):
    """One line a record: plain for a person at a terminal, JSON for a machine."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line, its extra fields beside the message."""
        fields = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said = {"at": at, "level": record.levelname.lower(), "logger": record.name}
        said["message"] = record.getMessage()
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        if self._as_json:
            return json.dumps(said | fields, default=str)
        extra = "".join(f" {key}={value}" for key, value in fields.items())
        return f"{at} {said['level']:7} {said['message']}{extra}" + (
            f"\n{said['error']}" if "error" in said else ""
        )


def _set_up_logging(level: str) -> None:
    known = ("debug", "info", "warning", "error")
    if level not in known:
        raise typer.BadParameter(f"log level {level!r} is not one of {', '.join(known)}")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(as_json=not sys.stderr.isatty()))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("uvicorn", "alembic", "botocore", "urllib3"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))
