"""What the variables of an agent were before: an agent may run and report a value after it was replaced.

Rules: the last values of each variable are kept, as many as `KEPT_MAX`, each of them once, and they lie
sealed as they lay; they are opened to be hidden, for nothing else. A reset of the agent removes them.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Column, Connection, Integer, String, Table, Text, bindparam, delete, insert, select

from keys.errors import CustodyError
from keys.identity import AgentId
from keys.sealing import Seal
from storage.database import metadata

KEPT_MAX: Final = 64
"""Of one variable of one agent."""

earlier_values: Final = Table(
    "config_earlier_values",
    metadata,
    Column("uid", String(36), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("value", Text, nullable=False),
)

OF_AGENT: Final = select(earlier_values.c.value).where(earlier_values.c.uid == bindparam("agent"))
"""All earlier values of the agent with this uid, sealed."""


def keep(
    connection: Connection, agent: AgentId, replaced: Mapping[str, str], *, revision: int, seal: Seal
) -> None:
    """Keep sealed values, by the variable's name, that the change of this revision replaced or took away."""
    for name, sealed in replaced.items():
        of_name = (earlier_values.c.uid == str(agent), earlier_values.c.name == name)
        before = connection.execute(
            select(earlier_values.c.revision, earlier_values.c.value)
            .where(*of_name)
            .order_by(earlier_values.c.revision.desc())
        ).all()
        text = opened(sealed, seal)
        others = [at for at, value in before if text is None or opened(value, seal) != text]
        left = others[: KEPT_MAX - 1]
        connection.execute(delete(earlier_values).where(*of_name, earlier_values.c.revision.not_in(left)))
        connection.execute(
            insert(earlier_values).values(uid=str(agent), name=name, revision=revision, value=sealed)
        )


def remove(connection: Connection, agent: AgentId) -> None:
    """Keep none of the agent any more."""
    connection.execute(delete(earlier_values).where(earlier_values.c.uid == str(agent)))


def opened(sealed: str, seal: Seal) -> str | None:
    """Return what was sealed, None where the seal does not open it."""
    try:
        return seal.open(sealed)
    except CustodyError:
        return None
