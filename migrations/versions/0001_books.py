"""Clients, accounts, the ledger and what its writers need."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in (LEDGER_DECIMAL, CLIENT, ACCOUNT, ACCOUNT_HEAD, ENTRY, POSTING, POSITION, IDEMPOTENCY, CONTROL, COUNTER):
        op.execute(statement)
    op.execute("INSERT INTO control (scope, is_halted) VALUES ('house', false)")
    op.execute("INSERT INTO counter (name, value) VALUES ('history', 0), ('instruments', 0), ('risk_parameters', 0)")


def downgrade() -> None:
    for table in ("counter", "control", "idempotency", "position", "posting", "entry", "account_head", "account", "client"):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP DOMAIN ledger_decimal")


LEDGER_DECIMAL = """
CREATE DOMAIN ledger_decimal AS numeric(38, 18)
    CONSTRAINT ledger_decimal_is_finite
    CHECK (VALUE <> 'NaN'::numeric AND VALUE <> 'Infinity'::numeric AND VALUE <> '-Infinity'::numeric)
"""

CLIENT = """
CREATE TABLE client (
    client_id text COLLATE "C" NOT NULL,
    display_name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT client_pk PRIMARY KEY (client_id)
)
"""

ACCOUNT = """
CREATE TABLE account (
    client_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    display_name text NOT NULL,
    mode text NOT NULL,
    parent_id text COLLATE "C",
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT account_pk PRIMARY KEY (client_id, account_id),
    CONSTRAINT account_client_fk FOREIGN KEY (client_id) REFERENCES client (client_id),
    CONSTRAINT account_parent_fk FOREIGN KEY (client_id, parent_id) REFERENCES account (client_id, account_id),
    CONSTRAINT account_mode_is_known CHECK (mode IN ('cross', 'isolated')),
    CONSTRAINT account_isolated_has_parent CHECK ((mode = 'isolated') = (parent_id IS NOT NULL))
)
"""

ACCOUNT_HEAD = """
CREATE TABLE account_head (
    client_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    chain_hash bytea NOT NULL,
    status text NOT NULL,
    mode text NOT NULL,
    CONSTRAINT account_head_pk PRIMARY KEY (client_id, account_id),
    CONSTRAINT account_head_account_fk FOREIGN KEY (client_id, account_id) REFERENCES account (client_id, account_id),
    CONSTRAINT account_head_sequence_is_not_negative CHECK (sequence >= 0),
    CONSTRAINT account_head_chain_hash_is_sha256 CHECK (octet_length(chain_hash) = 32),
    CONSTRAINT account_head_status_is_known CHECK (status IN ('open', 'closed')),
    CONSTRAINT account_head_mode_is_known CHECK (mode IN ('cross', 'isolated'))
)
"""

ENTRY = """
CREATE TABLE entry (
    client_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    kind text NOT NULL,
    effective_at timestamptz NOT NULL,
    reference text NOT NULL,
    previous_hash bytea NOT NULL,
    chain_hash bytea NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT entry_pk PRIMARY KEY (client_id, account_id, sequence),
    CONSTRAINT entry_account_fk FOREIGN KEY (client_id, account_id) REFERENCES account (client_id, account_id),
    CONSTRAINT entry_sequence_is_positive CHECK (sequence >= 1)
)
"""

POSTING = """
CREATE TABLE posting (
    client_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    leg smallint NOT NULL,
    ledger_account text COLLATE "C" NOT NULL,
    book_id text COLLATE "C" NOT NULL,
    instrument_id text COLLATE "C" NOT NULL,
    quantity ledger_decimal NOT NULL,
    cost ledger_decimal NOT NULL,
    CONSTRAINT posting_pk PRIMARY KEY (client_id, account_id, sequence, leg),
    CONSTRAINT posting_entry_fk FOREIGN KEY (client_id, account_id, sequence) REFERENCES entry (client_id, account_id, sequence)
)
"""

POSITION = """
CREATE TABLE position (
    client_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    book_id text COLLATE "C" NOT NULL,
    instrument_id text COLLATE "C" NOT NULL,
    quantity ledger_decimal NOT NULL,
    cost ledger_decimal NOT NULL,
    CONSTRAINT position_pk PRIMARY KEY (client_id, account_id, book_id, instrument_id),
    CONSTRAINT position_account_fk FOREIGN KEY (client_id, account_id) REFERENCES account (client_id, account_id)
)
"""

IDEMPOTENCY = """
CREATE TABLE idempotency (
    principal text COLLATE "C" NOT NULL,
    method text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    request_hash bytea NOT NULL,
    response bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_pk PRIMARY KEY (principal, method, key)
)
"""

CONTROL = """
CREATE TABLE control (
    scope text COLLATE "C" NOT NULL,
    is_halted boolean NOT NULL,
    CONSTRAINT control_pk PRIMARY KEY (scope)
)
"""

COUNTER = """
CREATE TABLE counter (
    name text COLLATE "C" NOT NULL,
    value bigint NOT NULL,
    CONSTRAINT counter_pk PRIMARY KEY (name)
)
"""
