"""One setting: its name, its variable, and how its value is read from what TOML or the environment holds.

A reader takes the raw value and the settings file's folder, and returns the value or raises ValueError with
the end of a sentence ("is not a whole number"); the caller says which setting it was. Whole numbers may be
written as text, because the environment has nothing else.
"""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

PREFIX = "QUARTERMASTER_"
"""What the name of every setting's environment variable starts with."""

COMMAND_VARIABLES = frozenset(
    PREFIX + name for name in ("URL", "TRUST", "TOKEN_FILE", "PROFILE", "PUBLISHER_HOME")
)
"""Variables of the operators' commands, which may share an environment with the server."""

Reader = Callable[[object, Path], object]


@dataclass(frozen=True, slots=True)
class Described:
    """One setting's sentence for operators, and the reader of its value."""

    text: str
    read: Reader


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, as the loader and the documentation see it."""

    section: str
    key: str
    described: Described
    default: object
    """None where there is none and none is needed; `dataclasses.MISSING` where a value must be given."""
    secret: bool

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"{self.section}.{self.key}"

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return f"{PREFIX}{self.section}_{self.key}".upper()


def text(value: object, _folder: Path) -> str:
    """Read a text that is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("is not a text")
    return value


def trust_domain(value: object, folder: Path) -> str:
    """Read a SPIFFE trust domain (SPIFFE-ID 2.1)."""
    given = text(value, folder)
    if re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,253}", given) is None:
        raise ValueError("is not lower-case letters, digits and '._-'")
    return given


def whole(lowest: int, highest: int) -> Reader:
    """Return the reader of whole numbers from `lowest` to `highest`, both included."""

    def read(value: object, _folder: Path) -> int:
        number = int(value) if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value) else value
        if isinstance(number, bool) or not isinstance(number, int):
            raise ValueError("is not a whole number")  # noqa: TRY004 - the caller knows one kind of refusal
        if not lowest <= number <= highest:
            raise ValueError(f"is not between {lowest} and {highest}")
        return number

    return read


def address(*schemes: str) -> Reader:
    """Return the reader of absolute addresses with one of these schemes; a closing slash is dropped."""

    def read(value: object, folder: Path) -> str:
        given = text(value, folder)
        parts = urlsplit(given)
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError(f"is not an address of the form {schemes[0]}://host:port")
        return given.rstrip("/")

    return read


def request_path(value: object, folder: Path) -> str:
    """Read a path of an HTTP request without a query."""
    given = text(value, folder)
    if re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", given) is None:
        raise ValueError("is not a path such as /v1/opamp")
    return given


def file_path(value: object, folder: Path) -> Path:
    """Read a path; a relative one starts at `folder`."""
    return (folder / text(value, folder)).absolute()


def key_uri(value: object, folder: Path) -> str:
    """Read a private key's URI; a path and a relative `file:` become an absolute `file:///` URI."""
    given = text(value, folder)
    scheme, colon, rest = given.partition(":")
    if not colon:
        return (folder / given).absolute().as_uri()
    if scheme == "file" and not rest.startswith("//"):
        return (folder / rest).absolute().as_uri()
    return given


def database_url(value: object, folder: Path) -> str:
    """Read the database's address; the file of `sqlite:///file` starts at `folder`."""
    given = text(value, folder)
    if given.startswith("sqlite:///"):
        return f"sqlite:///{(folder / given.removeprefix('sqlite:///')).absolute()}"
    if not given.startswith("postgresql+psycopg://"):
        raise ValueError("is neither sqlite:///file nor postgresql+psycopg://host/database")
    return given


def objects_url(value: object, folder: Path) -> str:
    """Read the object store's address; the folder of `file:folder` starts at `folder`."""
    given = text(value, folder)
    if given.startswith("file:"):
        return f"file:{(folder / given.removeprefix('file:')).absolute()}"
    if re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?", given) is None:
        raise ValueError("is neither file:folder nor s3://bucket/prefix")
    return given


def command(value: object, _folder: Path) -> tuple[str, ...]:
    """Read a command: a list of arguments, or one text of them quoted as for a shell; no shell runs it."""
    try:
        parts = shlex.split(value) if isinstance(value, str) else value
    except ValueError as exc:
        raise ValueError("has a quotation that does not end") from exc
    if not isinstance(parts, list) or not parts or not all(isinstance(one, str) and one for one in parts):
        raise ValueError("is not a list of arguments")
    return tuple(parts)
