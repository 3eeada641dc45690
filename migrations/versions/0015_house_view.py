"""Keeps the totals over all accounts that a house run found, because margins rest on them."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(HOUSE_VIEW)
    op.execute("CREATE INDEX house_view_by_id ON house_view (view_id)")
    op.execute(HOUSE_VIEW_TRIGGER)


def downgrade() -> None:
    op.execute("DROP TABLE house_view")


HOUSE_VIEW = """
CREATE TABLE house_view (
    recorded_order bigint GENERATED ALWAYS AS IDENTITY,
    view_id text COLLATE "C" NOT NULL,
    document text NOT NULL,
    CONSTRAINT house_view_pk PRIMARY KEY (recorded_order)
)
"""

HOUSE_VIEW_TRIGGER = """
CREATE TRIGGER house_view_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON house_view
FOR EACH STATEMENT EXECUTE FUNCTION refuse_evidence_change()
"""
