"""Quotes of named sources, and what is known of the levels of a snapshot beside the levels."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(QUOTE_SOURCE)
    op.execute(LATEST_QUOTE)
    # Defaults that are constants rewrite nothing, and let the release before publish snapshots.
    op.execute("ALTER TABLE market_snapshot ADD COLUMN level_quality jsonb NOT NULL DEFAULT '{}'::jsonb")
    op.execute("ALTER TABLE market_snapshot ADD COLUMN mark_quality jsonb NOT NULL DEFAULT '{}'::jsonb")


def downgrade() -> None:
    op.execute("ALTER TABLE market_snapshot DROP COLUMN mark_quality")
    op.execute("ALTER TABLE market_snapshot DROP COLUMN level_quality")
    op.execute("DROP TABLE latest_quote")
    op.execute("DROP TABLE quote_source")


QUOTE_SOURCE = """
CREATE TABLE quote_source (
    source text COLLATE "C" NOT NULL,
    last_sequence bigint NOT NULL,
    missed_count bigint NOT NULL,
    CONSTRAINT quote_source_pk PRIMARY KEY (source),
    CONSTRAINT quote_source_counts_are_not_negative CHECK (last_sequence >= 0 AND missed_count >= 0)
)
"""

LATEST_QUOTE = """
CREATE TABLE latest_quote (
    subject text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    value ledger_decimal NOT NULL,
    sequence bigint NOT NULL,
    observed_at timestamptz NOT NULL,
    CONSTRAINT latest_quote_pk PRIMARY KEY (subject, source),
    CONSTRAINT latest_quote_source_fk FOREIGN KEY (source) REFERENCES quote_source (source),
    CONSTRAINT latest_quote_sequence_is_positive CHECK (sequence >= 1)
)
"""
