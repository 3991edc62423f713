"""0003: all that an agent reports, and what it is told beyond packages."""

import sqlalchemy as sa
from alembic import op

from storage.migrations import v0003_configurations, v0003_credentials

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add what is new; rows that are there keep their values."""
    _agents()
    _index()
    v0003_credentials.create_tables()
    _connection_settings()
    v0003_configurations.create_tables()


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


def _connection_settings() -> None:
    op.create_table(
        "connection_settings",
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("connection", sa.String(200), nullable=False),
        sa.Column("selector", sa.JSON(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("ca_pem", sa.Text(), nullable=False),
        sa.Column("plain_text_is_meant", sa.Boolean(), nullable=False),
        sa.Column("heartbeat_seconds", sa.Integer(), nullable=True),
        sa.Column("header_names", sa.JSON(), nullable=False),
        sa.Column("setting_names", sa.JSON(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_connection_settings"),
    )
