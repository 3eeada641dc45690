"""What one person withdrew for a client lately is added up under locks, so it has to be found without looking for it."""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Nobody's writes wait while it is built. A build that was given up leaves a part of it behind.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS entry_withdrawals")
        op.execute("CREATE INDEX CONCURRENTLY IF NOT EXISTS entry_withdrawals ON entry (client_id, effective_at) WHERE kind = 'withdrawal'")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS entry_withdrawals")
