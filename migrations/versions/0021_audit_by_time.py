"""The audit trail is read by time: the newest of a day without looking at all that came before."""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Nobody's writes wait while it is built. A build that was given up leaves a part of it behind.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS audit_event_by_time")
        op.execute("CREATE INDEX CONCURRENTLY IF NOT EXISTS audit_event_by_time ON audit_event (happened_at)")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS audit_event_by_time")
