"""0004: what changes often of an agent stands in a narrow table of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_MOVED = ("health", "connected", "last_seen")


def upgrade() -> None:
    """Move the status of every agent; one that is not in the index yet gets its number."""
    op.create_table(
        "agent_status",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("health", sa.Text(), nullable=True),
        sa.Column("connected", sa.Boolean(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_agent_status"),
        postgresql_with={"fillfactor": 50},
    )
    op.execute(
        "INSERT INTO agent_numbers (uid) SELECT uid FROM agents "
        "WHERE uid NOT IN (SELECT uid FROM agent_numbers) ORDER BY uid"
    )
    seconds = (
        "CAST(EXTRACT(EPOCH FROM last_seen) AS BIGINT)"
        if op.get_context().dialect.name == "postgresql"
        else "CAST(strftime('%s', last_seen) AS INTEGER)"
    )
    op.execute(
        "INSERT INTO agent_status (number, health, connected, last_seen) "  # noqa: S608 - nothing from outside
        f"SELECT number, health, connected, {seconds} FROM agents "
        "JOIN agent_numbers ON agent_numbers.uid = agents.uid"
    )
    for name in _MOVED:
        op.drop_column("agents", name)
