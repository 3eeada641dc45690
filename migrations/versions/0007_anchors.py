"""Anchors: signed Merkle roots of all account heads, each naming the one before."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in (ANCHOR, REFUSE_CHANGE, ANCHOR_TRIGGER):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE anchor")
    op.execute("DROP FUNCTION refuse_anchor_change")


ANCHOR = """
CREATE TABLE anchor (
    number bigint NOT NULL,
    taken_at timestamptz NOT NULL,
    account_count bigint NOT NULL,
    entry_count bigint NOT NULL,
    root bytea NOT NULL,
    previous_hash bytea NOT NULL,
    is_checkpoint boolean NOT NULL,
    changed jsonb NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    signature bytea NOT NULL,
    CONSTRAINT anchor_pk PRIMARY KEY (number),
    CONSTRAINT anchor_number_is_positive CHECK (number >= 1)
)
"""

REFUSE_CHANGE = """
CREATE FUNCTION refuse_anchor_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'anchors are append-only: what was signed is never changed'
        USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
END
$$
"""

ANCHOR_TRIGGER = """
CREATE TRIGGER anchor_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON anchor
FOR EACH STATEMENT EXECUTE FUNCTION refuse_anchor_change()
"""
