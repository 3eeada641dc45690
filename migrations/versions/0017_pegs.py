"""Keeps with every market snapshot what is remembered of stablecoins: their slow prices, and since when they are off their pegs.

A release before this one publishes snapshots that remember nothing: a slow price and a clock begin anew after each of them. It also takes
the id of a snapshot from its content without pegs, so every replica should be new before a stamp is reproduced.
"""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A default that is a constant rewrites nothing, and lets the release before publish snapshots.
    op.execute("ALTER TABLE market_snapshot ADD COLUMN pegs jsonb NOT NULL DEFAULT '{}'::jsonb")
    op.execute("INSERT INTO counter (name, value) VALUES ('snapshots', 0)")


def downgrade() -> None:
    op.execute("DELETE FROM counter WHERE name = 'snapshots'")
    op.execute("ALTER TABLE market_snapshot DROP COLUMN pegs")
