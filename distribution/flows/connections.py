"""The story of connection settings: an operator names a destination, and the agents it is for are told.

Step 1  the setting must be one that no client reads as insecure (`domain.connection_lint`).
Step 2  no other setting may decide the same for the same agents.
Step 3  row and journal entry are one transaction; the entry has names of headers and no value of one.
Step 4  the agents' plans are decided again; nobody waits for a heartbeat.

The board answers what an agent is to have, from memory: the settings as they were read last, and one value
for all agents of equal labels and capabilities behind one gateway, or behind none, certified or not.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from sqlalchemy import Connection

from distribution.domain.agent import AgentView, Capability
from distribution.domain.connection_choice import BEARING, Kind, Setting, chosen, permitted
from distribution.domain.connection_lint import require_safe_destination
from distribution.domain.connection_status import Truth, credential_truth
from distribution.domain.connections import ConnectionSet
from distribution.domain.states import require_state
from distribution.errors import ConflictError, InsecureOfferError, InvalidError, PolicyError
from distribution.fleet import connections as rows
from distribution.fleet.connections import SetSetting
from distribution.flows.ports import Connections
from keys import ledger
from keys.certificate import Slot
from keys.errors import CustodyError
from keys.identity import AgentId
from keys.sealing import Seal
from storage import journal
from storage.database import Database

_KINDS_MAX: Final = 10_000
"""Kinds of agents (labels and capabilities) whose sets are kept; beyond, all are decided anew."""

Sort = tuple[frozenset[tuple[str, str]], Capability, AgentId | None, bool]

GatewayOf = Callable[[AgentId], AgentId | None]
"""Returns the gateway that speaks for an agent, None where it speaks for itself; memory only."""

IsCertified = Callable[[AgentId], bool]
"""Says whether an agent holds a live certificate; memory only."""


def set_setting(
    database: Database,
    connections: Connections,
    setting: Setting,
    *,
    seal: Seal,
    actor: str,
    now: datetime,
    at_state: str | None = None,
) -> SetSetting:
    """Write a setting, new or over the one of its name; return it as it stands, its secrets hidden.

    Raises:
        InsecureOfferError: a client would read it as insecure. InvalidError: its CA is no certificate.
        ConflictError: it was of another kind, or another setting decides the same for the same labels, or
            it is at another state than `at_state`, which its caller saw.
    """
    # Step 1
    _require_sound(setting)
    with database.write() as connection:
        # Step 2
        before = rows.find(connection, setting.name)
        _require_state(before, setting.name, at_state)
        if before is not None and before.setting.place != setting.place:
            raise ConflictError(
                f"connection setting {setting.name!r} is for {before.setting.place}, not for "
                f"{setting.place}; remove it first if that is meant"
            )
        for other in rows.every(connection):
            _require_not_tied(other.setting, setting)
        # Step 3
        written = rows.put(connection, setting, seal, actor=actor, now=now)
        _note(connection, "connections.set", setting, actor=actor, now=now)
    # Step 4
    connections.wake()
    return written


def remove_setting(
    database: Database,
    connections: Connections,
    name: str,
    *,
    actor: str,
    now: datetime,
    at_state: str | None = None,
) -> SetSetting:
    """Delete a setting. Agents that nothing else applies to are told nothing more, and keep what they have.

    Raises:
        UnknownError: there is none of that name. ConflictError: it is at another state than `at_state`.
    """
    with database.write() as connection:
        removed = rows.remove(connection, name)
        _require_state(removed, name, at_state)
        _note(connection, "connections.removed", removed.setting, actor=actor, now=now)
    connections.wake()
    return removed


def all_settings(database: Database) -> tuple[SetSetting, ...]:
    """Return the settings in the order of their names, their secrets hidden."""
    with database.read() as connection:
        return rows.every(connection)


def credential_of(database: Database, view: AgentView, now: datetime) -> Truth:
    """Return what is known of an agent's credential: by the ledger and by what was heard, not by its word.

    What lies ahead of `now` (aware UTC) was heard before the clock was set back, and proves nothing.
    """
    with database.read() as connection:
        live = [one for one in ledger.open_credentials(connection, AgentId(view.uid)) if one.issued_at]
    by_slot = {one.slot: one for one in live}
    current, awaited = by_slot.get(Slot.CURRENT), by_slot.get(Slot.NEXT)
    since = None if current is None else current.issued_at
    heard = view.last_seen is not None and since is not None and since <= view.last_seen <= now
    return credential_truth(_serial(current), _serial(awaited), view.connections, heard=heard)


class ConnectionBoard:
    """Answers what each agent's connections are to be. Thread-safe; memory only but for `reload`."""

    def __init__(
        self, database: Database, seal: Seal, gateway_of: GatewayOf, is_certified: IsCertified
    ) -> None:
        self._gateway_of = gateway_of
        self._is_certified = is_certified
        self._database = database
        self._seal = seal
        self._reloading = threading.Lock()
        self._board = _Board(())

    def reload(self) -> None:
        """Read the settings again.

        What the seal does not open is no reason to stop everything else: every agent is then told nothing,
        and its problem says why. Raises: as `Database.read`; what is answered then stays as it was.
        """
        with self._reloading, self._database.read() as connection:
            try:
                self._board = _Board(rows.opened(connection, self._seal))
            except CustodyError as exc:
                self._board = _Board((), f"connection settings cannot be read: {exc}")

    def connections_for(self, view: AgentView) -> ConnectionSet | None:
        """Return what this agent's connections are to be; None where nothing is decided for its labels.

        Raises:
            PolicyError: settings tie, cannot be read, or none of what is decided for it can be told to it.
        """
        board = self._board
        if board.empty:
            return None
        agent = AgentId(view.uid)
        certified = self._is_certified(agent)
        return board.find(view.labels, view.capabilities, self._gateway_of(agent), certified=certified)

    def own_beat(self, view: AgentView) -> timedelta | None:
        """Return the heartbeat that is set for this agent alone, None where the usual one applies."""
        try:
            found = self.connections_for(view)
        except PolicyError:
            return None
        seconds = None if found is None else found.heartbeat_seconds
        return None if seconds is None else timedelta(seconds=seconds)


class _Board:
    """The settings at one moment, and the sets that came of them so far."""

    def __init__(self, settings: tuple[Setting, ...], problem: str = "") -> None:
        self._settings = settings
        self._problem = problem
        self.empty = not settings and not problem
        self._found: dict[Sort, ConnectionSet | None] = {}

    def find(
        self,
        labels: Mapping[str, str],
        capabilities: Capability,
        gateway: AgentId | None,
        *,
        certified: bool,
    ) -> ConnectionSet | None:
        if self._problem:
            raise PolicyError(self._problem)
        sort = (frozenset(labels.items()), capabilities & BEARING, gateway, certified)
        known = self._found  # another thread may put an empty one in its place
        if sort not in known:
            if len(known) >= _KINDS_MAX:
                known = self._found = {}
            known[sort] = self._decide(labels, capabilities, gateway, certified=certified)
        return known[sort]

    def _decide(
        self,
        labels: Mapping[str, str],
        capabilities: Capability,
        gateway: AgentId | None,
        *,
        certified: bool,
    ) -> ConnectionSet | None:
        wanted = chosen(labels, self._settings)
        if wanted is None:
            return None
        if not capabilities:
            raise PolicyError("agent has not said yet what it accepts")
        behind = None if gateway is None else gateway.uuid
        return permitted(wanted, capabilities, behind, certified=certified)


def _serial(credential: ledger.Credential | None) -> str | None:
    return None if credential is None else str(credential.serial)


def _require_state(present: SetSetting | None, name: str, expected: str | None) -> None:
    found = None if present is None else present.state
    require_state(f"connection setting {name!r}", expected, found, str(present))


def _require_sound(setting: Setting) -> None:
    target = setting.destination
    if target is None:
        return
    try:
        require_safe_destination(setting.place, target, full_url=setting.kind is not Kind.OTHER)
    except InsecureOfferError as exc:
        raise InsecureOfferError(f"connection setting {setting.name!r}: {exc}") from exc
    if target.ca_pem:
        try:
            x509.load_pem_x509_certificates(target.ca_pem.encode())
        except ValueError as exc:
            raise InvalidError(f"connection setting {setting.name!r}: ca is not certificates in PEM") from exc


def _require_not_tied(other: Setting, wanted: Setting) -> None:
    same = other.place == wanted.place and dict(other.selector) == dict(wanted.selector)
    if other.name != wanted.name and same:
        raise ConflictError(
            f"connection setting {other.name!r} decides {wanted.place} for the same agents as {wanted.name!r}"
        )


def _note(connection: Connection, kind: str, setting: Setting, *, actor: str, now: datetime) -> None:
    target = setting.destination
    detail: dict[str, journal.JSON] = {
        "kind": setting.kind.value,
        "connection": setting.connection,
        "selector": dict(setting.selector),
        "endpoint": "" if target is None else target.endpoint,
        "headers": [] if target is None else list[journal.JSON](sorted(target.headers)),
        "heartbeat_seconds": setting.heartbeat_seconds,
        "plain_text_is_meant": target is not None and target.plain_text_is_meant,
    }
    subject = f"connections:{setting.name}"
    journal.append(connection, kind=kind, actor=actor, subject=subject, detail=detail, at=now)
