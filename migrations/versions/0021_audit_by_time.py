"""The audit trail is read by time: the newest of a day without looking at all that came before."""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX audit_event_by_time ON audit_event (happened_at)")


def downgrade() -> None:
    op.execute("DROP INDEX audit_event_by_time")
