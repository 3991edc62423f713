"""What is to be founded, and the check of all of it before anything is made.

A founding that fails after its keys are written cannot be repeated in the same folder. So every part of a
plan that can be judged by its words is judged here, and an error names the option of `init` that said it.
"""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from distribution.errors import InvalidError
from distribution.setting_values import (
    Reader,
    address,
    database_url,
    objects_url,
    text,
    trust_domain,
    whole,
)
from keys.errors import KeysError
from keys.profile import host_name

_SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be founded. Ports of the three listeners; `hosts` are the server's names and addresses."""

    folder: Path
    trust_domain: str
    hosts: tuple[str, ...]
    bind: str = "0.0.0.0"  # noqa: S104 - agents come from other hosts
    """Address that the agents' and the downloads' listeners bind."""
    agents_port: int = 4320
    downloads_port: int = 4321
    operators_port: int = 4322
    objects_url: str = "file:objects"
    s3_endpoint: str | None = None
    s3_region: str | None = None
    s3_ca_bundle: Path | None = None
    database_url: str | None = None
    """None: a file in the server's folder. It may hold a password; the settings file then holds it too."""
    threshold: int = 2
    holders: int = 3

    @property
    def server(self) -> Path:
        """The server's folder, from which relative paths of its settings start."""
        return self.folder / "server"

    @property
    def database(self) -> str:
        """The database's whole address, as the settings will be read."""
        given = self.database_url or f"{_SQLITE}quartermaster.db"
        return str(database_url(given, self.server))

    @property
    def database_file(self) -> Path | None:
        """The database's file, None where it is none."""
        return Path(self.database.removeprefix(_SQLITE)) if self.database.startswith(_SQLITE) else None


def require_plan(plan: Plan) -> None:
    """Check a plan by its words; nothing is read but whether a file is there.

    Raises:
        InvalidError: names the option, and what is wrong with its value.
    """
    _require("--trust-domain", plan.trust_domain, trust_domain)
    _require_hosts(plan.hosts)
    _require("--bind", plan.bind, text)
    _require_ports(plan)
    _require("--objects", plan.objects_url, objects_url)
    if plan.s3_endpoint is not None:
        _require("--s3-endpoint", plan.s3_endpoint, address("https", "http"))
    if plan.s3_region is not None:
        _require("--s3-region", plan.s3_region, text)
    if plan.s3_ca_bundle is not None and not plan.s3_ca_bundle.is_file():
        raise InvalidError(f"--s3-ca-bundle {str(plan.s3_ca_bundle)!r} is no file that is there")
    if plan.database_url is not None:
        _require("--database", plan.database_url, database_url, secret=True)


def _require_hosts(hosts: tuple[str, ...]) -> None:
    if not hosts:
        raise InvalidError("--host is given 0 times, expected at least one")
    for host in hosts:
        try:
            host_name(host)
        except KeysError as exc:
            raise InvalidError(f"--host {host!r} is neither an IP address nor a DNS name") from exc


def _require_ports(plan: Plan) -> None:
    ports = {
        "--agents-port": plan.agents_port,
        "--downloads-port": plan.downloads_port,
        "--operators-port": plan.operators_port,
    }
    for option, port in ports.items():
        _require(option, port, whole(1, 65_535))
    for (one, port), (other, same) in combinations(ports.items(), 2):
        if port == same:
            raise InvalidError(f"{one} and {other} are both {port}, each listener needs a port of its own")


def _require(option: str, value: object, read: Reader, *, secret: bool = False) -> None:
    try:
        read(value, Path())
    except ValueError as exc:
        shown = "(not shown)" if secret else repr(value)
        raise InvalidError(f"{option} {shown} {exc}") from exc
