"""0005: what the variables of agents were before, so that it can be hidden where it is still reported."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table; nothing that is there is touched."""
    op.create_table(
        "config_earlier_values",
        sa.Column("uid", sa.String(36), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("uid", "name", "revision", name="pk_config_earlier_values"),
    )
