"""Statements of custodians and venues, what they were compared with, and what people say of breaks."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in (STATEMENT, STATEMENT_ACCOUNT, COMPARISON, BREAKS, BREAK_NOTE, REFUSE_CHANGE):
        op.execute(statement)
    for table in ("statement", "statement_account", "comparison", "break_note"):
        op.execute(APPEND_ONLY.format(table=table))


def downgrade() -> None:
    for table in ("break_note", "comparison", "statement_account", "statement"):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION refuse_statement_change")


# House-wide: one statement speaks of accounts of many clients. What it says of each is below.
STATEMENT = """
CREATE TABLE statement (
    statement_id text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    as_of timestamptz NOT NULL,
    instruments text[] NOT NULL,
    tolerance ledger_decimal NOT NULL,
    reconciled_by text NOT NULL,
    reconciled_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT statement_pk PRIMARY KEY (statement_id)
)
"""

STATEMENT_ACCOUNT = """
CREATE TABLE statement_account (
    client_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    statement_id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    CONSTRAINT statement_account_pk PRIMARY KEY (client_id, account_id, statement_id),
    CONSTRAINT statement_account_account_fk FOREIGN KEY (client_id, account_id) REFERENCES account (client_id, account_id),
    CONSTRAINT statement_account_statement_fk FOREIGN KEY (statement_id) REFERENCES statement (statement_id)
)
"""

COMPARISON = """
CREATE TABLE comparison (
    client_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    statement_id text COLLATE "C" NOT NULL,
    instrument_id text COLLATE "C" NOT NULL,
    stated ledger_decimal,
    held ledger_decimal NOT NULL,
    kind text,
    value ledger_decimal,
    external_reference text NOT NULL,
    agreed_as_of timestamptz,
    agreed_sequence bigint,
    CONSTRAINT comparison_pk PRIMARY KEY (client_id, account_id, statement_id, instrument_id),
    CONSTRAINT comparison_statement_account_fk FOREIGN KEY (client_id, account_id, statement_id)
        REFERENCES statement_account (client_id, account_id, statement_id),
    CONSTRAINT comparison_kind_is_known CHECK (kind IN ('missing here', 'missing there', 'quantity differs')),
    CONSTRAINT comparison_agreed_is_whole CHECK ((agreed_as_of IS NULL) = (agreed_sequence IS NULL))
)
"""

BREAKS = """
CREATE INDEX comparison_breaks ON comparison (client_id, account_id, statement_id, instrument_id) WHERE kind IS NOT NULL
"""

BREAK_NOTE = """
CREATE TABLE break_note (
    client_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    statement_id text COLLATE "C" NOT NULL,
    instrument_id text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    state text NOT NULL,
    note text NOT NULL,
    noted_by text NOT NULL,
    noted_at timestamptz NOT NULL,
    CONSTRAINT break_note_pk PRIMARY KEY (client_id, account_id, statement_id, instrument_id, number),
    CONSTRAINT break_note_comparison_fk FOREIGN KEY (client_id, account_id, statement_id, instrument_id)
        REFERENCES comparison (client_id, account_id, statement_id, instrument_id),
    CONSTRAINT break_note_state_is_known CHECK (state IN ('explained', 'closed'))
)
"""

REFUSE_CHANGE = """
CREATE FUNCTION refuse_statement_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was reconciled is never changed: a later statement, or a note, says more'
        USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
END
$$
"""

APPEND_ONLY = """
CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION refuse_statement_change()
"""
