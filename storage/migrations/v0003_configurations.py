"""0003, of configurations: named versions, who is to run them, what each agent's variables are."""

import sqlalchemy as sa
from alembic import op


def create_tables() -> None:
    """Make the tables of remote configuration; `v0003_whole_protocol` calls it."""
    _versions()
    _assignments()
    op.create_table(
        "config_values",
        sa.Column("uid", sa.String(36), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("uid", "name", name="pk_config_values"),
    )
    op.create_index("ix_config_values_revision", "config_values", ["revision"])
    op.create_table(
        "config_agreements",
        sa.Column("uid", sa.String(36), nullable=False),
        sa.Column("intended", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("uid", name="pk_config_agreements"),
    )


def _versions() -> None:
    op.create_table(
        "config_versions",
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("secret", sa.Boolean(), nullable=False),
        sa.Column("variables", sa.JSON(), nullable=False),
        sa.Column("validator", sa.Text(), nullable=False),
        sa.Column("valid", sa.Boolean(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("name", "number", name="pk_config_versions"),
    )
    op.create_index("ix_config_versions_content", "config_versions", ["name", "digest"], unique=True)
    op.create_table(
        "config_objects",
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("role", sa.String(255), nullable=False),
        sa.Column("content_type", sa.String(255), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", "number", "key", name="pk_config_objects"),
    )


def _assignments() -> None:
    op.create_table(
        "config_assignments",
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("config", sa.String(63), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("counts", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("name", "step", name="pk_config_assignments"),
    )
    op.create_index("ix_config_assignments_counts", "config_assignments", ["counts"])
