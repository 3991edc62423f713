"""What an operator decides about one server: parsed once, from one TOML file and the environment.

Rules: a setting that is not in the tables below is refused by name, in the file and in the environment
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
from typing import Annotated, Any, get_args

from distribution import setting_values as values
from distribution.errors import SettingsError
from distribution.setting_values import COMMAND_VARIABLES, PREFIX, Described, Setting

Host = Annotated[str, Described("Address the listener binds.", values.text)]
Port = Annotated[int, Described("Port the listener binds; 0 takes a free one.", values.whole(0, 65_535))]
ListenerUrl = Annotated[str, Described("Public address of the listener.", values.address("https"))]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The server as a whole."""

    trust_domain: Annotated[
        str, Described("Name of the fleet in every agent's certificate (SPIFFE).", values.trust_domain)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentsSettings:
    """The agents' listener: OpAMP over WebSocket and over HTTP, TLS 1.3, client certificates."""

    host: Host = "0.0.0.0"  # noqa: S104 - agents come from other hosts
    port: Port = 4320
    path: Annotated[str, Described("Path of the OpAMP endpoint.", values.request_path)] = "/v1/opamp"
    url: Annotated[
        str, Described("Public address of the endpoint, path included.", values.address("wss", "https"))
    ]
    heartbeat_seconds: Annotated[
        int, Described("How often an agent that is idle reports, in seconds.", values.whole(1, 3600))
    ] = 30
    stale_after_missed: Annotated[
        int, Described("Reports that may fail to come before an agent is stale.", values.whole(1, 100))
    ] = 3
    gone_after_hours: Annotated[
        int, Described("Hours without a word after which an agent counts as gone.", values.whole(1, 8760))
    ] = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadsSettings:
    """The downloads' listener: TUF metadata and the packages' bytes."""

    host: Host = "0.0.0.0"  # noqa: S104 - agents come from other hosts
    port: Port = 4321
    url: ListenerUrl


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorsSettings:
    """The operators' listener: the HTTP API, health and metrics. Only this host reaches it by default."""

    host: Host = "127.0.0.1"
    port: Port = 4322
    url: ListenerUrl = "https://127.0.0.1:4322"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """Facts: the ledger, the journal, the fleet."""

    url: Annotated[
        str,
        Described(
            "`sqlite:///file`, or `postgresql+psycopg://user:pw@host/name`, on which only the database's own "
            "suites have been run so far.",
            values.database_url,
        ),
    ] = dataclasses.field(default="sqlite:///quartermaster.db", repr=False)  # it may hold a password


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectsSettings:
    """Bytes: packages, TUF metadata, the journal's kept head."""

    url: Annotated[
        str,
        Described(
            "`file:folder` or `s3://bucket/prefix`; S3 credentials come from the usual AWS variables.",
            values.objects_url,
        ),
    ] = "file:objects"
    endpoint: Annotated[
        str | None,
        Described("Address of an S3-compatible store that is not AWS.", values.address("https", "http")),
    ] = None
    region: Annotated[str | None, Described("Region of the S3 store.", values.text)] = None
    ca_bundle: Annotated[
        Path | None,
        Described("CA certificates (PEM) that verify the S3 store's certificate.", values.file_path),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysSettings:
    """The server's keys, each a `file:` URI or a path. None of them can mint a package."""

    folder: Annotated[
        Path,
        Described(
            "Folder of the server's keys; no other TUF key than the two below may lie in it.",
            values.file_path,
        ),
    ] = Path("keys")
    snapshot: Annotated[str, Described("Private key of the TUF role snapshot.", values.key_uri)] = (
        "keys/snapshot.pem"
    )
    timestamp: Annotated[str, Described("Private key of the TUF role timestamp.", values.key_uri)] = (
        "keys/timestamp.pem"
    )
    issuing_ca: Annotated[str, Described("Private key that signs agents' certificates.", values.key_uri)] = (
        "keys/ca-issuing.key.pem"
    )
    issuing_ca_certificate: Annotated[
        Path, Described("Certificate of the issuing CA (PEM), signed by the root CA.", values.file_path)
    ] = Path("keys/ca-issuing.pem")
    ca_certificate: Annotated[
        Path, Described("Certificate of the root CA (PEM); its key stays offline.", values.file_path)
    ] = Path("keys/ca-root.pem")
    seal: Annotated[
        str,
        Described(
            "Key that seals secrets of connection settings in the database; made where it is missing. Keep a "
            "copy apart from the database's; replicas share it.",
            values.key_uri,
        ),
    ] = "keys/seal.key"
    tls_key: Annotated[str, Described("Private key of the three listeners.", values.key_uri)] = (
        "keys/server.key.pem"
    )
    tls_certificate: Annotated[
        Path, Described("Certificate chain of the three listeners (PEM), leaf first.", values.file_path)
    ] = Path("keys/server.pem")
    tuf_root: Annotated[
        Path,
        Described(
            "First version of the TUF root metadata; everything is verified from it.", values.file_path
        ),
    ] = Path("keys/tuf-root.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialsSettings:
    """What agents' certificates look like."""

    validity_hours: Annotated[
        int,
        Described(
            "Life of an agent's certificate, in hours; it renews at two thirds.", values.whole(1, 2160)
        ),
    ] = 168


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsSettings:
    """What a peer may ask of the server at most."""

    upload_max_bytes: Annotated[
        int, Described("Largest package file a pipeline may upload, in bytes.", values.whole(1, 1 << 40))
    ] = 4 << 30
    uploads_at_once: Annotated[
        int,
        Described(
            "Uploads received at the same time; one more is told to come again.", values.whole(1, 1000)
        ),
    ] = 4
    role_max_bytes: Annotated[
        int,
        Described(
            "Largest TUF role a pipeline may submit, in bytes; TUF clients stop at 5,000,000.",
            values.whole(1024, 5_000_000),
        ),
    ] = 5_000_000
    body_max_bytes: Annotated[
        int, Described("Largest JSON body of the operators' API, in bytes.", values.whole(1024, 1 << 28))
    ] = 16 << 20
    message_max_bytes: Annotated[
        int, Described("Largest OpAMP message, in bytes, after decompression.", values.whole(1024, 64 << 20))
    ] = 4 << 20


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
