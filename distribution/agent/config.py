"""What the host fixes: `agent.toml` in the agent's folder, read once. No server can widen any of it.

Rules: a key that is not known is refused by name; a package is accepted only under the name, the target
path, the type and the platform written here; exactly one package is the program that is run.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from distribution.agent.rules import PackageRule
from distribution.domain.package import PackageType
from distribution.errors import InvalidError, SettingsError

FILE_NAME = "agent.toml"
Transport = Literal["ws", "http"]


@dataclass(frozen=True, slots=True)
class ConnectionConfig:
    """How the agent speaks OpAMP. All times in seconds."""

    transport: Transport = "ws"
    heartbeat_seconds: float = 30.0
    """How often an idle agent reports; over HTTP also how often it polls. The server may set another."""
    reconnect_max_seconds: float = 60.0
    """Longest pause between two attempts to connect; it doubles from one second up to this."""


@dataclass(frozen=True, slots=True)
class ProgramConfig:
    """The program under supervision."""

    package: str
    command: tuple[str, ...]
    """Arguments; `{program}` is the program's file, `{package.NAME}` another package's (see `command`)."""
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    stop_seconds: float = 10.0
    """How long it may take to end after SIGTERM before it is killed."""
    log_bytes: int = 10 << 20
    """Its output is kept in two files of at most this size each."""


@dataclass(frozen=True, slots=True)
class HealthConfig:
    """When the program counts as healthy: it lives, and with `url` that URL answers 200."""

    url: str | None = None
    interval_seconds: float = 2.0
    timeout_seconds: float = 2.0
    failures: int = 3
    """Failed checks in a row after which it is unhealthy."""


@dataclass(frozen=True, slots=True)
class TrialConfig:
    """What a newly installed version must show before it is kept."""

    seconds: float = 10.0
    """How long it must stay alive and healthy."""
    start_seconds: float = 30.0
    """How long it may take to become healthy at first."""
    interruptions: int = 10
    """How often a trial may be cut short by the agent's own end before the version is given up."""


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """Everything the host fixed."""

    program: ProgramConfig
    packages: Mapping[str, PackageRule]
    connection: ConnectionConfig = ConnectionConfig()
    health: HealthConfig = HealthConfig()
    trial: TrialConfig = TrialConfig()

    @property
    def platform(self) -> str:
        """The platform of the program's target path."""
        return self.packages[self.program.package].platform


class _Table:
    """One table of the file: every key is asked for by name and kind, the rest is refused."""

    def __init__(self, name: str, values: object) -> None:
        if not isinstance(values, dict):
            raise SettingsError(f"{FILE_NAME}: [{name}] is {values!r}, expected a table")
        self.name = name
        self._values: dict[str, Any] = dict(values)
        self._known: list[str] = []

    def take(self, key: str, kinds: type | tuple[type, ...], default: object = ...) -> Any:
        self._known.append(key)
        value = self._values.pop(key, default)
        if value is ...:
            raise SettingsError(f"{FILE_NAME}: [{self.name}] lacks {key!r}")
        wanted = kinds if isinstance(kinds, tuple) else (kinds,)
        if value is not default and (isinstance(value, bool) or not isinstance(value, wanted)):
            names = " or ".join(kind.__name__ for kind in wanted)
            raise SettingsError(f"{FILE_NAME}: [{self.name}] {key} is {value!r}, expected {names}")
        return value

    def number(self, key: str, default: float, low: float, high: float) -> float:
        value = float(self.take(key, (int, float), default))
        if not low <= value <= high:
            raise SettingsError(f"{FILE_NAME}: [{self.name}] {key} is {value}, expected {low} to {high}")
        return value

    def words(self, key: str, default: object = ...) -> tuple[str, ...]:
        values = self.take(key, list, default)
        if not values or not all(isinstance(value, str) for value in values):
            raise SettingsError(f"{FILE_NAME}: [{self.name}] {key} is {values!r}, expected a list of strings")
        return tuple(values)

    def table(self, key: str) -> dict[str, Any]:
        value: dict[str, Any] = self.take(key, dict, {})
        return value

    def done(self) -> None:
        for key in self._values:
            near = difflib.get_close_matches(key, self._known, 1)
            hint = f"; did you mean {near[0]!r}" if near else ""
            raise SettingsError(f"{FILE_NAME}: [{self.name}] has no setting {key!r}{hint}")


def load(folder: Path) -> AgentConfig:
    """Read `agent.toml` in `folder`. Raises SettingsError naming what is wrong."""
    return parse(_text(folder / FILE_NAME))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"cannot read {path}: {exc}") from exc


def parse(text: str) -> AgentConfig:
    """Read the text of an `agent.toml`. Raises SettingsError naming what is wrong."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise SettingsError(f"{FILE_NAME} is not TOML: {exc}") from exc
    top = _Table("top level", document)
    config = AgentConfig(
        connection=_connection(_Table("agent", top.table("agent"))),
        program=_program(_Table("program", top.take("program", dict))),
        health=_health(_Table("health", top.table("health"))),
        trial=_trial(_Table("trial", top.table("trial"))),
        packages={name: _package(name, values) for name, values in top.take("packages", dict).items()},
    )
    top.done()
    _require_one_program(config)
    return config


def _require_one_program(config: AgentConfig) -> None:
    name = config.program.package
    if name not in config.packages:
        known = ", ".join(config.packages) or "none"
        raise SettingsError(f"{FILE_NAME}: [program] package is {name!r}, but [packages] has {known}")
    for rule in config.packages.values():
        if (rule.type is PackageType.TOP_LEVEL) != (rule.name == name):
            raise SettingsError(
                f"{FILE_NAME}: [packages.{rule.name}] is {rule.type.value!r} and the program is {name!r}: "
                "the program is top_level and every other package an addon"
            )


def _connection(table: _Table) -> ConnectionConfig:
    transport = table.take("transport", str, "ws")
    if transport not in {"ws", "http"}:
        raise SettingsError(f"{FILE_NAME}: [agent] transport is {transport!r}, expected 'ws' or 'http'")
    config = ConnectionConfig(
        transport=transport,
        heartbeat_seconds=table.number("heartbeat_seconds", 30.0, 0.1, 3600),
        reconnect_max_seconds=table.number("reconnect_max_seconds", 60.0, 0.1, 3600),
    )
    table.done()
    return config


def _program(table: _Table) -> ProgramConfig:
    environment = table.table("environment")
    for key, value in environment.items():
        if not isinstance(value, str):
            raise SettingsError(f"{FILE_NAME}: [program.environment] {key} is {value!r}, expected a string")
    folder = table.take("folder", str, None)
    config = ProgramConfig(
        package=table.take("package", str),
        command=table.words("command", ["{program}"]),
        environment=environment,
        folder=Path(folder) if folder is not None else None,
        stop_seconds=table.number("stop_seconds", 10.0, 0.1, 600),
        log_bytes=int(table.number("log_bytes", 10 << 20, 4096, 1 << 40)),
    )
    table.done()
    if not any("{program}" in word for word in config.command):
        raise SettingsError(
            f"{FILE_NAME}: [program] command {list(config.command)!r} has no '{{program}}' in it"
        )
    return config


def _health(table: _Table) -> HealthConfig:
    check = table.take("check", str, "process")
    url = table.take("url", str, None)
    if check not in {"http", "process"}:
        raise SettingsError(f"{FILE_NAME}: [health] check is {check!r}, expected 'http' or 'process'")
    if (check == "http") != (url is not None):
        raise SettingsError(
            f"{FILE_NAME}: [health] check is {check!r} and url is {url!r}: http goes with a url"
        )
    if url is not None and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
        raise SettingsError(f"{FILE_NAME}: [health] url is {url!r}, expected http://host:port/path")
    config = HealthConfig(
        url=url,
        interval_seconds=table.number("interval_seconds", 2.0, 0.05, 3600),
        timeout_seconds=table.number("timeout_seconds", 2.0, 0.05, 60),
        failures=int(table.number("failures", 3, 1, 1000)),
    )
    table.done()
    return config


def _trial(table: _Table) -> TrialConfig:
    config = TrialConfig(
        seconds=table.number("seconds", 10.0, 0, 86_400),
        start_seconds=table.number("start_seconds", 30.0, 0.1, 86_400),
        interruptions=int(table.number("interruptions", 10, 1, 1000)),
    )
    table.done()
    return config


def _package(name: str, values: object) -> PackageRule:
    table = _Table(f"packages.{name}", values)
    kind = table.take("type", str, PackageType.TOP_LEVEL.value)
    if kind not in {each.value for each in PackageType}:
        raise SettingsError(f"{FILE_NAME}: [{table.name}] type is {kind!r}, expected 'top_level' or 'addon'")
    target = table.take("target", str)
    guard = table.take("guard", str, None)
    max_bytes = int(table.number("max_bytes", 1 << 30, 1, 1 << 40))
    table.done()
    try:
        return PackageRule.create(name, target, PackageType(kind), guard=guard, max_bytes=max_bytes)
    except InvalidError as exc:
        raise SettingsError(f"{FILE_NAME}: [{table.name}] {exc}") from exc
