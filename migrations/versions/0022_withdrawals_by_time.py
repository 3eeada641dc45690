"""What one person withdrew for a client lately is added up under the lock of its accounts, so it has to be found without looking for it."""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX entry_withdrawals ON entry (client_id, effective_at) WHERE kind = 'withdrawal'")


def downgrade() -> None:
    op.execute("DROP INDEX entry_withdrawals")
