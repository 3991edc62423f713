"""Channels remembered: rows that point at signed releases. They choose among what verifies, and mint nothing.

The journal entry of a change is the flow's (`flows/deploy`), in the transaction that is passed in here.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import JSON, Boolean, Column, Connection, RowMapping, String, Table, delete, insert, select

from distribution.domain.assignment import Channel
from distribution.domain.package import Version
from distribution.domain.states import state_of
from distribution.errors import UnknownError
from storage.database import UtcDateTime, metadata

channels: Final = Table(
    "channels",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("publisher", String(63), nullable=False),
    Column("package", String(63), nullable=False),
    Column("version", String(64), nullable=False),
    Column("allow_downgrade", Boolean, nullable=False),
    Column("selector", JSON, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("updated_by", String(200), nullable=False),
)


@dataclass(frozen=True, slots=True)
class SetChannel:
    """A channel as it stands, and who set it so. `updated_at` is aware UTC."""

    channel: Channel
    updated_at: datetime
    updated_by: str

    @property
    def state(self) -> str:
        """What a change may name as what it is based on (`domain.states`)."""
        return channel_state(self.channel)

    def __str__(self) -> str:
        channel = self.channel
        return f"{channel.publisher}/{channel.package}@{channel.version} by {self.updated_by}"


def channel_state(channel: Channel) -> str:
    """Return the state of a channel that stands like this."""
    parts = (channel.publisher, channel.package, str(channel.version), channel.allow_downgrade)
    return state_of("channel", *parts, dict(channel.selector))


def put(connection: Connection, channel: Channel, *, actor: str, now: datetime) -> None:
    """Write the channel, new or over the one of its name."""
    connection.execute(delete(channels).where(channels.c.name == channel.name))
    connection.execute(
        insert(channels).values(
            name=channel.name,
            publisher=channel.publisher,
            package=channel.package,
            version=str(channel.version),
            allow_downgrade=channel.allow_downgrade,
            selector=dict(channel.selector),
            updated_at=now,
            updated_by=actor,
        )
    )


def find(connection: Connection, name: str) -> SetChannel | None:
    """Return the channel of that name, or None."""
    row = connection.execute(select(channels).where(channels.c.name == name)).mappings().first()
    return None if row is None else _from_row(row)


def every(connection: Connection) -> tuple[SetChannel, ...]:
    """Return all channels in the order of their names."""
    rows = connection.execute(select(channels).order_by(channels.c.name)).mappings()
    return tuple(_from_row(row) for row in rows)


def remove(connection: Connection, name: str) -> SetChannel:
    """Delete the channel and return what it was. Raises UnknownError if there is none of that name."""
    found = find(connection, name)
    if found is None:
        raise UnknownError(f"channel {name!r} does not exist")
    connection.execute(delete(channels).where(channels.c.name == name))
    return found


def _from_row(row: RowMapping) -> SetChannel:
    channel = Channel(
        name=row["name"],
        publisher=row["publisher"],
        package=row["package"],
        version=Version.parse(row["version"]),
        allow_downgrade=row["allow_downgrade"],
        selector=dict(row["selector"]),
    )
    return SetChannel(channel, row["updated_at"], row["updated_by"])
