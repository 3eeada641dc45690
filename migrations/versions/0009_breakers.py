"""Breakers that pause margin calls and liquidations until a person has looked."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(BREAKER)
    op.execute("INSERT INTO breaker (kind) VALUES ('calls'), ('liquidations'), ('concentration')")


def downgrade() -> None:
    op.execute("DROP TABLE breaker")


BREAKER = """
CREATE TABLE breaker (
    kind text COLLATE "C" NOT NULL,
    is_tripped boolean NOT NULL DEFAULT false,
    tripped_at timestamptz,
    cause text NOT NULL DEFAULT '',
    reset_at timestamptz,
    reset_by text NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT '',
    CONSTRAINT breaker_pk PRIMARY KEY (kind),
    CONSTRAINT breaker_kind_is_known CHECK (kind IN ('calls', 'liquidations', 'concentration')),
    CONSTRAINT breaker_trip_has_a_time CHECK (NOT is_tripped OR tripped_at IS NOT NULL)
)
"""
