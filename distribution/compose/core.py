"""What the listeners share: database, store, repository, authority, the fleet's memory.

Steps, in order; the first that fails says why and nothing is served:

Step 1  the database, brought to the newest schema;
Step 2  the object store, which must keep its promises (conditional writes);
Step 3  the server's TUF keys, which must be listed for snapshot and timestamp and for nothing else;
Step 4  the parts themselves.
"""

import hashlib
import secrets
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote

from cryptography import x509
from prometheus_client import CollectorRegistry

from distribution.catalog import catalogue
from distribution.catalog.custody_check import require_online_keys_only
from distribution.catalog.repository import Repository
from distribution.domain.liveness import Patience
from distribution.errors import SettingsError
from distribution.fleet.registry import Registry
from distribution.fleet.sealed import what_is_sealed
from distribution.flows.catalogues import Catalogues
from distribution.flows.commands import Commands
from distribution.flows.configuration.board import ConfigBoard
from distribution.flows.configuration.together import Together
from distribution.flows.configuration.validator import CommandValidator, NoValidator, Validator
from distribution.flows.connections import ConnectionBoard
from distribution.flows.planning import Boards, Planner
from distribution.flows.ports import Clock
from distribution.settings import Settings
from distribution.transport.hub import Hub
from keys.admission import Admission
from keys.authority import Authority
from keys.custody import open_private_key, open_seal, open_tuf_signer
from keys.grants import Grants
from keys.identity import AgentId
from keys.issuer import Issuer
from keys.known_tokens import KnownTokens
from keys.profile import AgentProfile, serial_from
from keys.sealing import Seal
from keys.trust import Trust, normal_ca
from storage.database import Database, migrate
from storage.objects import ObjectStore
from storage.open import open_store
from storage.probe import require_conditional_writes

_SERIAL_BYTES = 19
_NONCE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Core:
    """What the listeners share."""

    settings: Settings
    clock: Clock
    database: Database
    store: ObjectStore
    trust: Trust
    repository: Repository
    catalogues: Catalogues
    admission: Admission
    known_tokens: KnownTokens
    authority: Authority
    grants: Grants
    registry: Registry
    planner: Planner
    seal: Seal
    together: Together
    config_board: ConfigBoard
    connection_board: ConnectionBoard
    commands: Commands
    hub: Hub
    metrics: CollectorRegistry


def build_core(settings: Settings, clock: Clock) -> Core:
    """Open and build what the listeners share.

    Raises:
        SettingsError, SchemaError, UnsuitableError, RoleMisuseError, CustodyError, UnverifiedError: what an
            operator has to mend; the message names it.
        UnavailableError: the database or the store does not answer now.
    """
    with ExitStack() as undoing:
        # Step 1
        database = Database.open(settings.database.url)
        undoing.callback(database.close)
        migrate(database)
        # Step 2
        store = _open_store(settings)
        require_conditional_writes(store, secrets.token_hex(_NONCE_BYTES))
        # Steps 3 and 4
        core = _core(settings, clock, database, store)
        undoing.pop_all()
    return core


def _open_store(settings: Settings) -> ObjectStore:
    place = settings.objects
    return open_store(
        place.url,
        base=settings.folder,
        endpoint=place.endpoint,
        region=place.region,
        ca_bundle=place.ca_bundle,
    )


def _core(settings: Settings, clock: Clock, database: Database, store: ObjectStore) -> Core:
    root = read_file(settings.keys.tuf_root)
    repository = _repository(settings, store, root, _key_places(settings, database))
    catalogues = Catalogues(lambda now: catalogue.load(store, root, now))
    admission = Admission(database, clock)
    seal = open_seal(settings.keys.seal, lambda: _sealed(database))
    connection_board = ConnectionBoard(database, seal, admission.speaker_for, admission.is_certified)
    registry = Registry(database, admission.labels_of, _patience(settings), connection_board.own_beat)
    together = Together(_validator(settings))
    config_board = ConfigBoard(database, seal, together)
    planner = _planner(settings, clock, database, catalogues, Boards(config_board, connection_board))

    def before_wake(agents: Iterable[AgentId] | None) -> None:
        planner.reload()
        if agents is not None:  # what concerns all agents is no label of theirs; to read all takes long
            registry.relabel(agents)

    return Core(
        settings=settings,
        clock=clock,
        database=database,
        store=store,
        trust=_trust(settings, root),
        repository=repository,
        catalogues=catalogues,
        admission=admission,
        known_tokens=KnownTokens(database, clock),
        authority=_authority(settings, database, admission),
        grants=Grants(database, admission),
        registry=registry,
        planner=planner,
        seal=seal,
        together=together,
        config_board=config_board,
        connection_board=connection_board,
        commands=Commands(),
        metrics=CollectorRegistry(),
        hub=Hub(before_wake),
    )


def _repository(settings: Settings, store: ObjectStore, root: bytes, places: tuple[Path, ...]) -> Repository:
    """Open the repository with keys that may be online, and no others in `places`."""
    snapshot = open_tuf_signer(settings.keys.snapshot)
    timestamp = open_tuf_signer(settings.keys.timestamp)
    repository = Repository(store, root, snapshot, timestamp)
    current = repository.current()
    require_online_keys_only(current.root, current.targets, snapshot, timestamp, places=places)
    return repository


def _sealed(database: Database) -> tuple[str, ...]:
    with database.read() as connection:
        return what_is_sealed(connection)


def _validator(settings: Settings) -> Validator:
    place = settings.configurations
    if place.validator is None:
        return NoValidator()
    return CommandValidator(place.validator, place.validator_seconds)


def _planner(
    settings: Settings, clock: Clock, database: Database, catalogues: Catalogues, boards: Boards
) -> Planner:
    return Planner(
        database,
        catalogues,
        heartbeat_seconds=settings.agents.heartbeat_seconds,
        clock=clock,
        boards=boards,
        retry_first=timedelta(seconds=settings.agents.retry_seconds),
    )


def _patience(settings: Settings) -> Patience:
    place = settings.agents
    beat = timedelta(seconds=place.heartbeat_seconds)
    return Patience(beat, place.stale_after_missed, timedelta(hours=place.gone_after_hours))


def _key_places(settings: Settings, database: Database) -> tuple[Path, ...]:
    """Return where a key could lie on this server: what the settings name, and what lies beside them.

    The database's own files are no such place: to look into them would drop its locks.
    """
    beside = (
        path for path in sorted(settings.folder.iterdir()) if path.is_file() and path not in database.files
    )
    named = (settings.keys.issuing_ca, settings.keys.tls_key)
    return (settings.keys.folder, *beside, *(key_file(uri) for uri in named))


def key_file(uri: str) -> Path:
    """Return the path of a `file:` URI. Raises SettingsError for any other."""
    scheme, _, rest = uri.partition(":")
    if scheme != "file":
        raise SettingsError(f"key {uri!r} is not a file")
    return Path(unquote(rest))


def _authority(settings: Settings, database: Database, admission: Admission) -> Authority:
    certificate = x509.load_pem_x509_certificate(read_file(settings.keys.issuing_ca_certificate))
    issuer = Issuer(open_private_key(settings.keys.issuing_ca), certificate)
    validity = timedelta(hours=settings.credentials.validity_hours)
    profile = AgentProfile(settings.server.trust_domain, validity)
    return Authority(
        database, issuer, profile, admission, lambda: serial_from(secrets.token_bytes(_SERIAL_BYTES))
    )


def _trust(settings: Settings, root: bytes) -> Trust:
    return Trust(
        trust_domain=settings.server.trust_domain,
        ca_pem=normal_ca(read_file(settings.keys.ca_certificate)),
        tuf_root_version=1,
        tuf_root_sha256=hashlib.sha256(root).hexdigest(),
        agents_url=settings.agents.url,
        downloads_url=settings.downloads.url,
        operators_url=settings.operators.url,
    )


def read_file(path: Path) -> bytes:
    """Return a file's bytes. Raises SettingsError naming it."""
    try:
        return path.read_bytes()
    except OSError as exc:
        raise SettingsError(f"file {str(path)!r} cannot be read: {exc.strerror}") from exc
