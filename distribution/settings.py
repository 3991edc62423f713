"""What an operator decides about one server: parsed once, from one TOML file and the environment.

Rules: a setting that is not in `setting_sections` is refused by name, in the file and in the environment
alike; the environment (`QUARTERMASTER_<SECTION>_<KEY>`) wins over the file; a relative path starts at the
settings file's folder. Every setting carries the sentence that `docs/configuration.md` prints of it. The
parts of the server receive values, never `Settings`.
"""

import dataclasses
import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from distribution.errors import SettingsError
from distribution.setting_sections import (
    AgentsSettings,
    ConfigurationsSettings,
    CredentialsSettings,
    DatabaseSettings,
    DownloadsSettings,
    KeysSettings,
    LimitsSettings,
    ObjectsSettings,
    OperatorsSettings,
    ServerSettings,
)
from distribution.setting_values import COMMAND_VARIABLES, PREFIX, Setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an operator decided; every path and file URI in it is absolute. Made by `load`."""

    folder: Path
    """Folder of the settings file."""
    server: ServerSettings
    agents: AgentsSettings
    downloads: DownloadsSettings
    operators: OperatorsSettings
    database: DatabaseSettings
    objects: ObjectsSettings
    keys: KeysSettings
    credentials: CredentialsSettings
    limits: LimitsSettings
    configurations: ConfigurationsSettings


SECTIONS: Mapping[str, type[Any]] = {
    field.name: field.type
    for field in dataclasses.fields(Settings)
    if field.name != "folder" and isinstance(field.type, type)
}
"""The sections, by the name they have in the file, in the order of the documentation."""


def every_setting() -> Iterator[Setting]:
    """Yield the settings in the order of the documentation."""
    for section, kind in SECTIONS.items():
        for field in dataclasses.fields(kind):
            described = get_args(field.type)[1]
            yield Setting(section, field.name, described, field.default, secret=not field.repr)


def load(path: Path, environ: Mapping[str, str]) -> Settings:
    """Read the settings file at `path`, let the environment win, and return what was decided.

    Raises:
        SettingsError: the file cannot be read, a name is not a setting (the nearest one is named), a value
            does not fit, or a setting without a default is missing.
    """
    settings = list(every_setting())
    folder = path.absolute().parent
    given = _from_file(path, settings) | _from_environment(environ, settings)
    sections: dict[str, dict[str, object]] = {section: {} for section in SECTIONS}
    for setting in settings:
        sections[setting.section][setting.key] = _value(setting, given, folder)
    return Settings(folder=folder, **{name: SECTIONS[name](**found) for name, found in sections.items()})


def _from_file(path: Path, settings: list[Setting]) -> dict[str, object]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise SettingsError(f"settings file {path} cannot be read: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SettingsError(f"settings file {path} is not TOML: {exc}") from exc
    given: dict[str, object] = {}
    for section, table in document.items():
        if section not in SECTIONS:
            raise _unknown(f"section [{section}] in {path}", section, list(SECTIONS))
        if not isinstance(table, dict):
            raise SettingsError(f"{section} in {path} is not a section, expected [{section}]")
        given |= {f"{section}.{key}": value for key, value in table.items()}
    known = [setting.name for setting in settings]
    for name in given:
        if name not in known:
            raise _unknown(f"setting {name} in {path}", name, known)
    return given


def _from_environment(environ: Mapping[str, str], settings: list[Setting]) -> dict[str, object]:
    known = {setting.variable: setting.name for setting in settings}
    given: dict[str, object] = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX) or variable in COMMAND_VARIABLES:
            continue
        if variable not in known:
            raise _unknown(f"environment variable {variable}", variable, list(known))
        given[known[variable]] = value
    return given


def _unknown(what: str, name: str, known: list[str]) -> SettingsError:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return SettingsError(f"{what} is unknown, the nearest known one is {nearest[0]}")


def _value(setting: Setting, given: Mapping[str, object], folder: Path) -> object:
    raw = given.get(setting.name, setting.default)
    if raw is dataclasses.MISSING:
        raise SettingsError(f"setting {setting.name} is missing and has no default")
    if raw is None:
        return None
    try:
        return setting.described.read(str(raw) if isinstance(raw, Path) else raw, folder)
    except ValueError as exc:
        shown = "(not shown)" if setting.secret else repr(raw)
        raise SettingsError(f"setting {setting.name} {shown} {exc}") from exc
