"""How words of the command line are read: durations, labels, releases."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from distribution.domain.package import Version, require_name
from distribution.errors import InvalidError

AtState = Annotated[
    str | None,
    typer.Option(
        help="The state that your change is based on, as shown with the thing (`new`: there was none); "
        "refused if somebody changed it meanwhile."
    ),
]
"""What a command that replaces something whole may be told."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd])")


def seconds(text: str) -> int:
    """Read a duration such as `90s`, `30m`, `24h` or `7d`. Raises typer.BadParameter."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is not a duration such as 30m, 24h or 7d")
    return int(found[1]) * _SECONDS[found[2]]


def labels(texts: Sequence[str] | None) -> dict[str, str]:
    """Read `key=value` each. Raises typer.BadParameter, also for a key that is given twice."""
    found: dict[str, str] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{text!r} is not key=value")
        if key in found:
            raise typer.BadParameter(f"{key!r} is given twice, as {found[key]!r} and {value!r}")
        found[key] = value
    return found


def secrets(texts: Sequence[str] | None) -> dict[str, str]:
    """Read `name=value`, or `name=@file` for a value in a file, less its last line break.

    Raises:
        typer.BadParameter: also for a file that cannot be read.
    """
    found = labels(texts)
    for name, value in found.items():
        if value.startswith("@"):
            found[name] = text_file(Path(value[1:])).removesuffix("\n")
    return found


def text_file(path: Path) -> str:
    """Read a file of text. Raises typer.BadParameter."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "is not text"
        raise typer.BadParameter(f"file {str(path)!r} cannot be read: {why}") from exc


def query(texts: Sequence[str] | None) -> list[str]:
    """Read `key=value` each, and return them as the API's filters."""
    return [f"{key}={value}" for key, value in labels(texts).items()]


def release(text: str) -> tuple[str, str, str]:
    """Read `publisher/package@version`. Raises typer.BadParameter."""
    name, at, version = text.rpartition("@")
    publisher, slash, package = name.partition("/")
    if not at or not slash:
        raise typer.BadParameter(f"{text!r} is not publisher/package@version")
    try:
        return require_name(publisher), require_name(package), str(Version.parse(version))
    except InvalidError as exc:
        raise typer.BadParameter(str(exc)) from exc
