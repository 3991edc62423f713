"""0003: all that an agent reports, and what it is told beyond packages."""

import sqlalchemy as sa
from alembic import op

from storage.migrations import v0003_credentials

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add what is new; rows that are there keep their values."""
    _agents()
    _index()
    v0003_credentials.create_tables()


def _agents() -> None:
    for name in ("config", "effective", "connections", "components"):
        op.add_column("agents", sa.Column(name, sa.Text(), nullable=True))
    op.create_table(
        "agent_documents",
        sa.Column("uid", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("uid", "kind", name="pk_agent_documents"),
    )


def _index() -> None:
    op.create_table(
        "agent_numbers",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(36), nullable=False),
        sa.Column("labels", sa.LargeBinary(), nullable=True),
        sa.Column("told", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_agent_numbers"),
        sa.UniqueConstraint("uid", name="uq_agent_numbers_uid"),
    )
    op.create_table(
        "agent_facts",
        sa.Column("fact", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("chunk", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("members", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("fact", "chunk", name="pk_agent_facts"),
    )
