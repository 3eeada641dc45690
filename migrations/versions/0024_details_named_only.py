"""Index only those details that name an event or take an entry back.

Few do, so every trade kept a row of nothing in both indexes; and while there are no statistics PostgreSQL may look up details by number in
one of them instead of in the primary key, which reads an account's whole history once for each row.
"""

from __future__ import annotations

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in ("reverses", "event"):
        _replace(f"entry_details_{column}", f"entry_details_by_{column}", f"{column}) WHERE {column} IS NOT NULL")


def downgrade() -> None:
    for column in ("reverses", "event"):
        _replace(f"entry_details_by_{column}", f"entry_details_{column}", f"{column})")


def _replace(old: str, new: str, last: str) -> None:
    """Build an index beside the old one: nobody's writes wait, and at every moment one of the two keeps names unique."""
    with op.get_context().autocommit_block():
        # A build that was given up leaves a part of it behind.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {new}")
        op.execute(f"CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS {new} ON entry_details (client_id, account_id, {last}")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {old}")
