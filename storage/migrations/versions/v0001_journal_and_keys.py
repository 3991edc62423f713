"""0001: the journal, and what keys/ remembers: credentials, enrollments, enrollment tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables in an empty database."""
    _journal()
    _journal_is_append_only()
    _tokens()
    _ledger()


def _journal() -> None:
    op.create_table(
        "journal",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("at", sa.String(20), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_journal"),
    )


_NEVER = "an entry of the journal is never changed or deleted"


def _journal_is_append_only() -> None:
    if op.get_context().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER journal_refuses_{verb.lower()} BEFORE {verb} ON journal "
                f"BEGIN SELECT RAISE(ABORT, '{_NEVER}'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION journal_refuses() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE EXCEPTION '{_NEVER}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(
        "CREATE TRIGGER journal_refuses BEFORE UPDATE OR DELETE OR TRUNCATE ON journal "
        "FOR EACH STATEMENT EXECUTE FUNCTION journal_refuses()"
    )


def _tokens() -> None:
    op.create_table(
        "enrollment_tokens",
        sa.Column("token_id", sa.String(64), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("token_id", name="pk_enrollment_tokens"),
    )
    op.create_table(
        "enrollment_uses",
        sa.Column("token_id", sa.String(64), nullable=False),
        sa.Column("spki_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("agent", sa.String(36), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token_id", "spki_sha256", name="pk_enrollment_uses"),
        sa.ForeignKeyConstraint(
            ["token_id"], ["enrollment_tokens.token_id"], name="fk_enrollment_uses_token_id_enrollment_tokens"
        ),
    )


def _ledger() -> None:
    op.create_table(
        "enrollments",
        sa.Column("agent", sa.String(36), nullable=False),
        sa.Column("token_id", sa.String(64), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("standing", sa.String(16), nullable=False),
        sa.Column("standing_since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("agent", name="pk_enrollments"),
    )
    op.create_table(
        "credentials",
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("agent", sa.String(36), nullable=False),
        sa.Column("slot", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("spki_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("token_id", sa.String(64), nullable=True),
        sa.Column("unsigned_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("chain_pem", sa.LargeBinary(), nullable=False),
        sa.Column("intended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("serial", name="pk_credentials"),
        sa.ForeignKeyConstraint(["agent"], ["enrollments.agent"], name="fk_credentials_agent_enrollments"),
    )
    op.create_index("ix_credentials_agent", "credentials", ["agent"])
    op.create_index("ix_credentials_spki_sha256", "credentials", ["spki_sha256"])
    # At most one open credential of an agent in each of its slots.
    is_open = sa.text("state IN ('intent', 'live')")
    op.create_index(
        "uq_credentials_open_slot",
        "credentials",
        ["agent", "slot"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
