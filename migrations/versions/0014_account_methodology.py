"""What each account is margined by. The release before knows one methodology only, and that is the default."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(METHODOLOGY)


def downgrade() -> None:
    # An account would be margined by something else than its ledger says.
    op.execute(REFUSE_WHILE_IN_USE)
    op.execute("ALTER TABLE account DROP COLUMN methodology")


METHODOLOGY = """
ALTER TABLE account ADD COLUMN methodology text NOT NULL DEFAULT 'expected_shortfall'
    CONSTRAINT account_methodology_is_known
    CHECK (methodology IN ('expected_shortfall', 'span_grid', 'tims_grid', 'standard_schedule', 'ratio'))
"""

REFUSE_WHILE_IN_USE = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM account WHERE methodology <> 'expected_shortfall') THEN
        RAISE EXCEPTION 'set every account back to expected_shortfall before going back to the release before';
    END IF;
END
$$
"""
