"""Instruments, collateral policies, market snapshots, factor history and risk parameters."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in (INSTRUMENT, COLLATERAL_POLICY, MARKET_SNAPSHOT, LATEST_SNAPSHOT, FACTOR_HISTORY, RISK_PARAMETERS, STORED_ORDER):
        op.execute(statement)


def downgrade() -> None:
    for table in ("risk_parameters", "factor_history", "market_snapshot", "collateral_policy", "instrument"):
        op.execute(f"DROP TABLE {table}")


INSTRUMENT = """
CREATE TABLE instrument (
    instrument_id text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    terms jsonb NOT NULL,
    quantity_places smallint NOT NULL,
    collateral_class text,
    description text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT instrument_pk PRIMARY KEY (instrument_id)
)
"""

COLLATERAL_POLICY = """
CREATE TABLE collateral_policy (
    client_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    instrument_id text COLLATE "C" NOT NULL,
    policy text NOT NULL,
    CONSTRAINT collateral_policy_pk PRIMARY KEY (client_id, account_id, instrument_id),
    CONSTRAINT collateral_policy_account_fk FOREIGN KEY (client_id, account_id) REFERENCES account (client_id, account_id),
    CONSTRAINT collateral_policy_instrument_fk FOREIGN KEY (instrument_id) REFERENCES instrument (instrument_id),
    CONSTRAINT collateral_policy_policy_is_known CHECK (policy IN ('risked', 'pledged'))
)
"""

MARKET_SNAPSHOT = """
CREATE TABLE market_snapshot (
    snapshot_id text COLLATE "C" NOT NULL,
    as_of timestamptz NOT NULL,
    stored_order bigint GENERATED ALWAYS AS IDENTITY,
    content_hash bytea NOT NULL,
    levels jsonb NOT NULL,
    marks jsonb NOT NULL,
    CONSTRAINT market_snapshot_pk PRIMARY KEY (snapshot_id)
)
"""

LATEST_SNAPSHOT = "CREATE INDEX market_snapshot_latest ON market_snapshot (as_of DESC, stored_order DESC)"

FACTOR_HISTORY = """
CREATE TABLE factor_history (
    factor text COLLATE "C" NOT NULL,
    date date NOT NULL,
    level ledger_decimal NOT NULL,
    CONSTRAINT factor_history_pk PRIMARY KEY (factor, date)
)
"""

RISK_PARAMETERS = """
CREATE TABLE risk_parameters (
    set_id text COLLATE "C" NOT NULL,
    stored_order bigint NOT NULL,
    content_hash text NOT NULL,
    document text NOT NULL,
    CONSTRAINT risk_parameters_pk PRIMARY KEY (set_id)
)
"""

STORED_ORDER = "CREATE UNIQUE INDEX risk_parameters_stored_order ON risk_parameters (stored_order)"
