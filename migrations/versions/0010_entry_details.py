"""What an entry says beyond its postings: which entry it takes back, when a trade settles, which event it books.

A table of its own, so that the ledger's tables, and the functions that both releases write them with, stay as they are.
"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in (ENTRY_DETAILS, REVERSES_INDEX, EVENT_INDEX, APPEND_ONLY):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE entry_details")


ENTRY_DETAILS = """
CREATE TABLE entry_details (
    client_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    details text NOT NULL,
    reverses bigint,
    event text COLLATE "C",
    CONSTRAINT entry_details_pk PRIMARY KEY (client_id, account_id, sequence),
    CONSTRAINT entry_details_entry_fk FOREIGN KEY (client_id, account_id, sequence) REFERENCES entry (client_id, account_id, sequence),
    CONSTRAINT entry_details_reverses_fk FOREIGN KEY (client_id, account_id, reverses) REFERENCES entry (client_id, account_id, sequence),
    CONSTRAINT entry_details_reverses_what_came_before CHECK (reverses < sequence),
    CONSTRAINT entry_details_columns_are_those_of_the_text CHECK (
        reverses IS NOT DISTINCT FROM (details::jsonb ->> 'reverses')::bigint AND event IS NOT DISTINCT FROM (details::jsonb ->> 'event')
    )
)
"""

REVERSES_INDEX = "CREATE UNIQUE INDEX entry_details_reverses ON entry_details (client_id, account_id, reverses)"
EVENT_INDEX = "CREATE UNIQUE INDEX entry_details_event ON entry_details (client_id, account_id, event)"

APPEND_ONLY = """
CREATE TRIGGER entry_details_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entry_details
FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change()
"""
