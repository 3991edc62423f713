"""Connection settings remembered. Values of headers and of other settings lie here sealed.

Rules: names of headers are kept openly, to be listed; their values only in `sealed`, which opens with the
server's seal file. The journal entry of a change is the flow's (`flows/connections`), in its transaction.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
)

from distribution.domain.connection_choice import Kind, Setting
from distribution.domain.connections import Destination
from distribution.domain.states import state_of
from distribution.errors import UnknownError
from keys.sealing import Seal
from storage.database import UtcDateTime, metadata

settings: Final = Table(
    "connection_settings",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("connection", String(200), nullable=False),
    Column("selector", JSON, nullable=False),
    # Empty where there is no destination: a signal that is off, or the OpAMP connection.
    Column("endpoint", Text, nullable=False),
    Column("ca_pem", Text, nullable=False),
    Column("plain_text_is_meant", Boolean, nullable=False),
    Column("heartbeat_seconds", Integer, nullable=True),
    Column("header_names", JSON, nullable=False),
    Column("setting_names", JSON, nullable=False),
    # {"headers": {...}, "settings": {...}}, sealed; empty where there are none.
    Column("sealed", Text, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("updated_by", String(200), nullable=False),
)

_WRITTEN: Final = tuple(
    column.name for column in settings.columns if column.name not in {"name", "updated_at", "updated_by"}
)

HIDDEN: Final = "(sealed)"
"""What stands for a secret's value wherever one is shown."""


@dataclass(frozen=True, slots=True)
class SetSetting:
    """A setting as it stands, with `HIDDEN` for each secret, and who set it so. `updated_at` is aware UTC."""

    setting: Setting
    updated_at: datetime
    updated_by: str
    state: str
    """What a change may name as what it is based on (`domain.states`): another one after each change of a
    secret, of which it tells nothing else."""

    def __str__(self) -> str:
        return f"{self.setting.place} by {self.updated_by}"


def put(connection: Connection, setting: Setting, seal: Seal, *, actor: str, now: datetime) -> SetSetting:
    """Write the setting, new or over the one of its name; return it as it stands, its secrets hidden."""
    target = setting.destination or Destination("")
    secrets = {"headers": dict(target.headers), "settings": dict(target.settings)}
    connection.execute(delete(settings).where(settings.c.name == setting.name))
    connection.execute(
        insert(settings).values(
            name=setting.name,
            kind=setting.kind.value,
            connection=setting.connection,
            selector=dict(setting.selector),
            endpoint=target.endpoint,
            ca_pem=target.ca_pem,
            plain_text_is_meant=target.plain_text_is_meant,
            heartbeat_seconds=setting.heartbeat_seconds,
            header_names=sorted(target.headers),
            setting_names=sorted(target.settings),
            sealed=seal.seal(json.dumps(secrets)) if any(secrets.values()) else "",
            updated_at=now,
            updated_by=actor,
        )
    )
    row = connection.execute(select(settings).where(settings.c.name == setting.name)).mappings().one()
    return _shown(row)


def find(connection: Connection, name: str) -> SetSetting | None:
    """Return the setting of that name, its secrets hidden, or None."""
    row = connection.execute(select(settings).where(settings.c.name == name)).mappings().first()
    return None if row is None else _shown(row)


def every(connection: Connection) -> tuple[SetSetting, ...]:
    """Return all settings in the order of their names, their secrets hidden; nothing is opened."""
    rows = connection.execute(select(settings).order_by(settings.c.name)).mappings()
    return tuple(_shown(row) for row in rows)


def opened(connection: Connection, seal: Seal) -> tuple[Setting, ...]:
    """Return all settings as they are offered.

    Raises:
        CustodyError: the seal does not open one of them.
    """
    rows = connection.execute(select(settings).order_by(settings.c.name)).mappings()
    return tuple(_setting(row, *_secrets(row["sealed"], seal)) for row in rows)


def remove(connection: Connection, name: str) -> SetSetting:
    """Delete the setting and return what it was. Raises UnknownError if there is none of that name."""
    found = find(connection, name)
    if found is None:
        raise UnknownError(f"connection setting {name!r} does not exist")
    connection.execute(delete(settings).where(settings.c.name == name))
    return found


def _secrets(sealed: str, seal: Seal) -> tuple[dict[str, str], dict[str, str]]:
    found = json.loads(seal.open(sealed)) if sealed else {"headers": {}, "settings": {}}
    return found["headers"], found["settings"]


def _shown(row: RowMapping) -> SetSetting:
    headers, others = dict.fromkeys(row["header_names"], HIDDEN), dict.fromkeys(row["setting_names"], HIDDEN)
    return SetSetting(_setting(row, headers, others), row["updated_at"], row["updated_by"], _state(row))


def _state(row: RowMapping) -> str:
    """Return the state of a row; secrets count as they lie there, sealed anew by each change."""
    return state_of("connection", *(row[name] for name in _WRITTEN))


def _setting(row: RowMapping, headers: dict[str, str], others: dict[str, str]) -> Setting:
    target = None
    if row["endpoint"]:
        target = Destination(row["endpoint"], headers, row["ca_pem"], others, row["plain_text_is_meant"])
    return Setting(
        name=row["name"],
        kind=Kind(row["kind"]),
        selector=dict(row["selector"]),
        destination=target,
        connection=row["connection"],
        heartbeat_seconds=row["heartbeat_seconds"],
    )
