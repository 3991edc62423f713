"""One server: its core, three listeners, and the jobs beside them.

Step 1  the core is built (`compose.core`);
Step 2  the journal still holds the head that was kept outside (a database restored from a copy does not);
        what an earlier process began and did not finish is settled, and the catalogue is loaded;
Step 3  the listeners and jobs are made; whoever asked for them serves them.
"""

import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from uuid import UUID

import uvicorn

from distribution.compose.core import Core, build_core, key_file, read_file
from distribution.compose.jobs import jobs_of
from distribution.domain.buckets import Rate
from distribution.domain.terms import Terms
from distribution.flows.commits import Commits
from distribution.flows.configuration.effective import Examiner
from distribution.flows.configuration.versions import Parts
from distribution.flows.custom import OURS
from distribution.flows.equip import Equipper
from distribution.flows.exchange import Exchange
from distribution.flows.grant import Granting
from distribution.flows.ports import Clock
from distribution.flows.pulse import Pulse
from distribution.flows.watch import Watches
from distribution.setting_sections import LimitsSettings
from distribution.settings import Settings
from distribution.transport.agents import STOP_SECONDS, agents_server
from distribution.transport.downloads import downloads_app
from distribution.transport.files import raise_file_limit
from distribution.transport.gate import Bounds
from distribution.transport.heads import BoundedHttpProtocol
from distribution.transport.listeners import Job, Listener
from distribution.transport.load import Enrollments, Load
from distribution.transport.load_metrics import LoadCollector
from distribution.transport.operators.app import operators_app
from distribution.transport.operators.services import Check, Limits, OperatorServices, Randomness
from distribution.transport.tls import agents_context, server_context
from keys.identity import AgentId, new_uid
from storage import journal_head

_SERIAL_BYTES = 19
_SALT_BYTES = 16
_SECRET_BYTES = 32
_TOKEN_ID_BYTES = 6
_UID_BYTES = 10
_KEEP_ALIVE_SECONDS = 30
_BURST_SECONDS = 10
_FILES_BESIDE = 512
"""Open files that are no connection: the database, the store, uploads."""
_CONNECTIONS_LEAST = 64


def utc_now() -> datetime:
    """Return the time now: aware UTC, whole seconds."""
    return _second(int(time.time()))


@lru_cache(maxsize=2)  # it is asked for every message, and most come within the same second
def _second(number: int) -> datetime:
    return datetime.fromtimestamp(number, UTC)


@dataclass(frozen=True, slots=True)
class Composed:
    """A server that is ready to be served; the caller MUST close it afterwards."""

    listeners: tuple[Listener, ...]
    jobs: tuple[Job, ...]
    close: Callable[[], None]


def compose(settings: Settings, clock: Clock = utc_now) -> Composed:
    """Build the server.

    Raises:
        SettingsError, SchemaError, UnsuitableError, RoleMisuseError, CustodyError, UnverifiedError: what an
            operator has to mend; the message names it.
        UnavailableError: the database or the store does not answer now.
    """
    # Step 1
    core = build_core(settings, clock)
    with ExitStack() as undoing:
        undoing.callback(core.database.close)
        # Step 2
        journal_head.advance(core.database, core.store)
        commits = Commits(core.database, core.store, core.repository)
        commits.settle(clock())
        core.repository.refresh(clock())
        core.catalogues.reload(clock())
        core.planner.reload()
        # Step 3
        pulse = Pulse(core.database, time.monotonic)
        composed = Composed(_listeners(core, commits, pulse), jobs_of(core, pulse), partial(_close, core))
        undoing.pop_all()
    return composed


def _listeners(core: Core, commits: Commits, pulse: Pulse) -> tuple[Listener, ...]:
    limits, room = core.settings.limits, raise_file_limit() - _FILES_BESIDE
    load = Load(secrets.SystemRandom().random, _enrollments(limits), core.known_tokens.holds, pulse.why_away)
    exchange, watches = _exchange(core), Watches(core.clock)
    few = max(_CONNECTIONS_LEAST, room // 8)
    listeners = (
        Listener(
            "agents",
            _agents(core, load, exchange, watches),
            bounds=_bounds(limits, max(_CONNECTIONS_LEAST, room - 2 * few)),
            load=load,
            drain_seconds=core.settings.agents.drain_seconds,
        ),
        Listener("downloads", _downloads(core), bounds=_bounds(limits, few)),
        Listener(
            "operators",
            _operators(core, commits, pulse, exchange, watches),
            bounds=_bounds(limits, few),
            last=True,
        ),
    )
    core.metrics.register(LoadCollector(listeners, load))
    return listeners


def _enrollments(limits: LimitsSettings) -> Enrollments:
    together, one = limits.enrollments_per_second, limits.enrollments_per_second_per_address
    return Enrollments(Rate(together, together * _BURST_SECONDS), Rate(one, one * _BURST_SECONDS))


def _bounds(limits: LimitsSettings, connections: int) -> Bounds:
    idle = limits.fruitless_handshakes_per_second
    return Bounds(
        connections,
        limits.connections_per_address,
        limits.handshakes_at_once,
        Rate(idle, idle * _BURST_SECONDS),
    )


def _terms(core: Core) -> Terms:
    return Terms(core.trust.agents_url, core.trust.downloads_url, core.trust.ca_pem)


def _exchange(core: Core) -> Exchange:
    return Exchange(
        database=core.database,
        registry=core.registry,
        admission=core.admission,
        authority=core.authority,
        connections=core.hub,
        plan_for=core.planner.plan_for,
        as_of=core.planner.as_of,
        heartbeat_seconds=core.settings.agents.heartbeat_seconds,
        clock=core.clock,
        commands=core.commands,
        examiner=Examiner(core.database, core.config_board.declared),
        equipper=Equipper(core.database, _terms(core)),
        custom=OURS,
        grants=core.grants,
        new_uid=partial(_new_uid, core.clock),
    )


def _agents(core: Core, load: Load, exchange: Exchange, watches: Watches) -> uvicorn.Config:
    settings = core.settings
    issuing = read_file(settings.keys.issuing_ca_certificate).decode("ascii")
    return agents_server(
        exchange=exchange,
        hub=core.hub,
        terms=_terms(core),
        trust_domain=settings.server.trust_domain,
        tls=agents_context(
            certificate=settings.keys.tls_certificate,
            key=key_file(settings.keys.tls_key),
            issuing_pem=issuing,
        ),
        host=settings.agents.host,
        port=settings.agents.port,
        path=settings.agents.path,
        max_bytes=settings.limits.message_max_bytes,
        load=load,
        watches=watches,
    )


def _new_uid(clock: Clock) -> UUID:
    return new_uid(clock(), secrets.token_bytes(_UID_BYTES))


def _downloads(core: Core) -> uvicorn.Config:
    place = core.settings.downloads
    return _plain_config(core.settings, downloads_app(core.store), place.host, place.port)


def _operators(
    core: Core, commits: Commits, pulse: Pulse, exchange: Exchange, watches: Watches
) -> uvicorn.Config:
    services = OperatorServices(
        database=core.database,
        store=core.store,
        commits=commits,
        catalogues=core.catalogues,
        authority=core.authority,
        granting=Granting(core.grants, core.authority, core.hub, core.registry.introduce),
        admission=core.admission,
        known_tokens=core.known_tokens,
        connections=core.hub,
        registry=core.registry,
        exchange=exchange,
        watches=watches,
        commands=core.commands,
        trust=core.trust,
        limits=_limits(core.settings.limits),
        randomness=Randomness(
            token_id=lambda: secrets.token_hex(_TOKEN_ID_BYTES),
            secret=lambda: secrets.token_urlsafe(_SECRET_BYTES),
            salt=lambda: secrets.token_bytes(_SALT_BYTES),
            uid=lambda: AgentId(_new_uid(core.clock)),
        ),
        clock=core.clock,
        stopwatch=time.monotonic,
        checks=_checks(core, pulse),
        pulse=pulse,
        seal=core.seal,
        connection_board=core.connection_board,
        config_board=core.config_board,
        configurations=Parts(core.database, core.hub, core.together.validator, core.seal, core.together),
        metrics=core.metrics,
    )
    place = core.settings.operators
    return _plain_config(core.settings, operators_app(services), place.host, place.port)


def _limits(limits: LimitsSettings) -> Limits:
    return Limits(
        upload_max_bytes=limits.upload_max_bytes,
        uploads_at_once=limits.uploads_at_once,
        role_max_bytes=limits.role_max_bytes,
        body_max_bytes=limits.body_max_bytes,
    )


def _checks(core: Core, pulse: Pulse) -> tuple[Check, ...]:
    return (
        Check("database", pulse.require_writes),
        Check("repository", core.repository.current),
        Check("catalogue", lambda: core.catalogues.current(core.clock())),
        Check("journal", partial(journal_head.advance, core.database, core.store)),
    )


def _plain_config(settings: Settings, app: object, host: str, port: int) -> uvicorn.Config:
    tls = server_context(certificate=settings.keys.tls_certificate, key=key_file(settings.keys.tls_key))
    return uvicorn.Config(
        app,  # type: ignore[arg-type] # an ASGI application, whose type uvicorn keeps to itself
        host=host,
        port=port,
        http=BoundedHttpProtocol,
        ws="none",
        ssl_context_factory=lambda _config, _default: tls,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


def _close(core: Core) -> None:
    try:
        while core.registry.flush():
            pass  # each takes a part
        journal_head.advance(core.database, core.store)
    finally:
        core.database.close()
