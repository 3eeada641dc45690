"""Whose holidays are no business days for the margin calls of a client. Terms that were set before go on knowing weekends alone.

The release before goes on setting terms without one.
"""

from __future__ import annotations

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE call_agreement ADD COLUMN calendar text NOT NULL DEFAULT 'weekends'")


def downgrade() -> None:
    op.execute("ALTER TABLE call_agreement DROP COLUMN calendar")
