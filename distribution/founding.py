"""Founds an installation: three folders, kept apart by who may hold what.

    offline/    keys that are never on the server: root CA, TUF root, top-level targets. Move it away.
    server/     everything `quartermaster serve` needs; its keys can choose among releases, not mint one.
    operator/   the public trust file, and the first operator's token.

Rules:

1. A folder that holds anything is refused before anything is written: founding never adds to what exists. So
   is a plan that cannot be carried out, or that leads to a store or database that does not answer.
2. Keys first, then what names them, then the database and the store; the operator's token is written last, so
   a founding that was cut short is seen at once and is done again in a new folder.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from distribution.catalog.current import metadata_key
from distribution.catalog.repository import Repository
from distribution.domain.scope import Right, Scope
from distribution.errors import ConflictError, InvalidError
from distribution.flows import operators
from distribution.founding_plan import Plan, require_plan
from keys.ca_setup import Hierarchy, create_hierarchy
from keys.ceremony import FirstMetadata, create_tuf
from keys.certificate import Serial
from keys.custody import file_uri, open_seal, open_tuf_signer, write_once
from keys.roles import ROOT
from keys.trust import Trust
from storage.database import Database, migrate
from storage.errors import NotFoundError
from storage.objects import ObjectStore
from storage.open import open_store, store_folder
from storage.probe import require_conditional_writes

FIRST_OPERATOR = "admin"
_OPERATOR_LIFE = timedelta(days=365)
_LOOPBACK = ("127.0.0.1", "localhost")
"""Where the operators' listener is reached, which only this host does unless the settings say otherwise."""

_OFFLINE_NOTE = """\
Private keys that must never be on the server.

ca-root.key.pem   signs issuing CAs and server certificates: who has it can pose as the server
root-*.pem        sign the TUF root, {threshold} of {holders}: who has {threshold} can replace every other key
targets-*.pem     delegate packages to publishers, {threshold} of {holders}: who has {threshold} can make one

Give each numbered file to another holder, on another medium, and remove this folder from this machine.
"""


@dataclass(frozen=True, slots=True)
class Founded:
    """Where everything is."""

    offline: Path
    server: Path
    operator: Path
    settings: Path
    trust: Path
    token: Path
    offline_keys: tuple[Path, ...]


def found(
    plan: Plan,
    *,
    now: datetime,
    new_serial: Callable[[], Serial],
    new_secret: Callable[[], str],
    new_salt: Callable[[], bytes],
) -> Founded:
    """Make the keys, the first metadata, the database, the settings and the first operator.

    Raises:
        InvalidError: a part of the plan cannot be; the folder cannot be made.
        ConflictError: the folder holds something, or the store another repository.
        KeysError, StorageError, SettingsError: a part could not be made; its message says which.
    """
    require_plan(plan)
    places = _places(plan)
    _require_reachable(plan)
    # Step 1: keys, apart from each other.
    online = places.server / "keys"
    _make_folders(plan.folder, (places.offline, places.server, online, places.operator))
    hierarchy = create_hierarchy(
        trust_domain=plan.trust_domain,
        hosts=tuple(dict.fromkeys((*plan.hosts, *_LOOPBACK))),
        offline=places.offline,
        online=online,
        new_serial=new_serial,
        now=now,
    )
    tuf = create_tuf(
        offline=places.offline, online=online, now=now, threshold=plan.threshold, holders=plan.holders
    )
    write_once(online / "tuf-root.json", tuf.root, mode=0o644)
    open_seal(file_uri(online / "seal.key"))
    note = _OFFLINE_NOTE.format(threshold=plan.threshold, holders=plan.holders)
    write_once(places.offline / "README.txt", note.encode(), mode=0o600)
    # Step 2: what names them.
    trust = _trust(plan, hierarchy, tuf)
    write_once(places.trust, trust.to_toml().encode(), mode=0o644)
    write_once(places.settings, _settings(plan, trust).encode(), mode=0o600)
    # Step 3: the store and the database.
    _initialise_store(plan, online, tuf, nonce=new_salt().hex())
    token = _initialise_database(plan, now, secret=new_secret(), salt=new_salt())
    write_once(places.token, f"{token}\n".encode(), mode=0o600)
    offline_keys = (hierarchy.root_key, *tuf.offline_keys)
    return Founded(offline_keys=offline_keys, **{name: getattr(places, name) for name in _PLACES})


@dataclass(frozen=True, slots=True)
class _Places:
    offline: Path
    server: Path
    operator: Path
    settings: Path
    trust: Path
    token: Path


_PLACES = ("offline", "server", "operator", "settings", "trust", "token")


def _places(plan: Plan) -> _Places:
    folder = plan.folder
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConflictError(
                f"folder {str(folder)!r} is not empty, an installation is founded in a new one"
            )
    except OSError as exc:
        raise InvalidError(f"folder {str(folder)!r} cannot be read: {exc.strerror}") from exc
    server, operator = plan.server, folder / "operator"
    return _Places(
        offline=folder / "offline",
        server=server,
        operator=operator,
        settings=server / "server.toml",
        trust=operator / "trust.toml",
        token=operator / "token",
    )


def _make_folders(whole: Path, parts: Iterable[Path]) -> None:
    try:
        whole.mkdir(parents=True, exist_ok=True)
        for part in parts:
            part.mkdir(mode=0o700)
    except OSError as exc:
        raise InvalidError(f"folder {str(whole)!r} cannot be made: {exc.strerror}") from exc


def _require_reachable(plan: Plan) -> None:
    """Ask what lies elsewhere whether it is there and free; what will lie in the new folder is made later."""
    place = store_folder(plan.objects_url, plan.server)
    if place is None or not _lies_in(place, plan.folder):
        _require_free(_open_store(plan), plan.objects_url)
    place = plan.database_file
    if place is None or not _lies_in(place, plan.folder):
        Database.open(plan.database).close()


def _require_free(store: ObjectStore, url: str) -> None:
    try:
        store.head(metadata_key(ROOT, 1))
    except NotFoundError:
        return
    raise ConflictError(f"store {url!r} holds a repository already, an installation is founded in a free one")


def _lies_in(place: Path, folder: Path) -> bool:
    return Path(os.path.abspath(place)).is_relative_to(os.path.abspath(folder))  # noqa: PTH100 - takes .. out


def _trust(plan: Plan, hierarchy: Hierarchy, tuf: FirstMetadata) -> Trust:
    host = plan.hosts[0]
    named = f"[{host}]" if ":" in host else host
    return Trust(
        trust_domain=plan.trust_domain,
        ca_pem=hierarchy.root_certificate.read_text(encoding="ascii"),
        tuf_root_version=1,
        tuf_root_sha256=hashlib.sha256(tuf.root).hexdigest(),
        agents_url=f"wss://{named}:{plan.agents_port}/v1/opamp",
        downloads_url=f"https://{named}:{plan.downloads_port}",
        operators_url=f"https://{_LOOPBACK[0]}:{plan.operators_port}",
    )


def _settings(plan: Plan, trust: Trust) -> str:
    objects: list[tuple[str, object]] = [("url", plan.objects_url)]
    objects += [
        (key, str(value))
        for key, value in (
            ("endpoint", plan.s3_endpoint),
            ("region", plan.s3_region),
            ("ca_bundle", plan.s3_ca_bundle and plan.s3_ca_bundle.absolute()),
        )
        if value
    ]
    return "\n".join(
        [
            "# Settings of one Quartermaster server; every key is explained in docs/configuration.md.",
            _section("server", [("trust_domain", plan.trust_domain)]),
            _section("agents", [("host", plan.bind), ("port", plan.agents_port), ("url", trust.agents_url)]),
            _section(
                "downloads",
                [("host", plan.bind), ("port", plan.downloads_port), ("url", trust.downloads_url)],
            ),
            _section("operators", [("port", plan.operators_port), ("url", trust.operators_url)]),
            _section("objects", objects),
            *([_section("database", [("url", plan.database_url)])] if plan.database_url else []),
        ]
    )


def _section(name: str, values: Sequence[tuple[str, object]]) -> str:
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in values)
    return f"\n[{name}]\n{lines}"


def _open_store(plan: Plan) -> ObjectStore:
    return open_store(
        plan.objects_url,
        base=plan.server,
        endpoint=plan.s3_endpoint,
        region=plan.s3_region,
        ca_bundle=plan.s3_ca_bundle,
    )


def _initialise_store(plan: Plan, online: Path, tuf: FirstMetadata, *, nonce: str) -> None:
    store = _open_store(plan)
    require_conditional_writes(store, nonce)
    repository = Repository(
        store,
        tuf.root,
        open_tuf_signer(file_uri(online / "snapshot.pem")),
        open_tuf_signer(file_uri(online / "timestamp.pem")),
    )
    repository.initialise(tuf.targets, tuf.snapshot, tuf.timestamp)


def _initialise_database(plan: Plan, now: datetime, *, secret: str, salt: bytes) -> str:
    database = Database.open(plan.database)
    try:
        migrate(database)
        made = operators.create(
            database,
            name=FIRST_OPERATOR,
            scopes=[Scope(Right.READ), Scope(Right.FLEET), Scope(Right.SECURITY)],
            expires_at=now + _OPERATOR_LIFE,
            secret=secret,
            salt=salt,
            actor="founding",
            now=now,
        )
    finally:
        database.close()
    return made.token
