"""Part of revision 0003: bearer tokens, gateways and whom they speak for, requests that wait."""

import sqlalchemy as sa
from alembic import op


def create_tables() -> None:
    """Create the tables; nothing that is there is touched."""
    _bearer_tokens()
    _gateways()
    _waiting_requests()


def _bearer_tokens() -> None:
    op.create_table(
        "bearer_tokens",
        sa.Column("token_id", sa.String(64), nullable=False),
        sa.Column("agent", sa.String(36), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("token_id", name="pk_bearer_tokens"),
        sa.ForeignKeyConstraint(["agent"], ["enrollments.agent"], name="fk_bearer_tokens_agent_enrollments"),
    )
    op.create_index("ix_bearer_tokens_agent", "bearer_tokens", ["agent"])


def _gateways() -> None:
    op.create_table(
        "gateways",
        sa.Column("agent", sa.String(36), nullable=False),
        sa.Column("admits", sa.String(8), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("granted_by", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("agent", name="pk_gateways"),
        sa.ForeignKeyConstraint(["agent"], ["enrollments.agent"], name="fk_gateways_agent_enrollments"),
    )
    op.create_table(
        "passages",
        sa.Column("agent", sa.String(36), nullable=False),
        sa.Column("gateway", sa.String(36), nullable=False),
        sa.Column("admitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("admitted_by", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("agent", name="pk_passages"),
        sa.ForeignKeyConstraint(["agent"], ["enrollments.agent"], name="fk_passages_agent_enrollments"),
        sa.ForeignKeyConstraint(["gateway"], ["gateways.agent"], name="fk_passages_gateway_gateways"),
    )
    op.create_index("ix_passages_gateway", "passages", ["gateway"])


def _waiting_requests() -> None:
    op.create_table(
        "waiting_requests",
        sa.Column("agent", sa.String(36), nullable=False),
        sa.Column("spki_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("agent", name="pk_waiting_requests"),
        sa.ForeignKeyConstraint(
            ["agent"], ["enrollments.agent"], name="fk_waiting_requests_agent_enrollments"
        ),
    )
