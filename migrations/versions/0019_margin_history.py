"""Keeps what house runs find, the band that each account is held to be in, and which lead of the monitors is the latest."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in (MONITOR_LEAD, FIRST_LEAD, HOUSE_RUN, HOUSE_RUN_TO_THIN, MARGIN_HISTORY, ACCOUNT_BAND):
        op.execute(statement)


def downgrade() -> None:
    for table in ("account_band", "margin_history", "house_run", "monitor_lead"):
        op.execute(f"DROP TABLE {table}")


MONITOR_LEAD = """
CREATE TABLE monitor_lead (
    scope text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    led_since timestamptz,
    CONSTRAINT monitor_lead_pk PRIMARY KEY (scope),
    CONSTRAINT monitor_lead_is_one_row CHECK (scope = 'monitor')
)
"""

FIRST_LEAD = "INSERT INTO monitor_lead (scope, epoch) VALUES ('monitor', 0)"

HOUSE_RUN = """
CREATE TABLE house_run (
    run bigint GENERATED ALWAYS AS IDENTITY,
    recorded_at timestamptz NOT NULL,
    epoch bigint NOT NULL,
    snapshot_id text COLLATE "C" NOT NULL,
    as_of timestamptz NOT NULL,
    parameter_set_id text COLLATE "C" NOT NULL,
    parameters_hash text NOT NULL,
    scenario_set_hash text NOT NULL,
    engine_version text NOT NULL,
    ramp jsonb,
    house_view_id text COLLATE "C",
    has_change boolean NOT NULL,
    is_thinned boolean NOT NULL DEFAULT false,
    CONSTRAINT house_run_pk PRIMARY KEY (run)
)
"""

HOUSE_RUN_TO_THIN = "CREATE INDEX house_run_to_thin ON house_run (run) WHERE is_thinned IS false"

# No foreign key to the run: runs are thinned by the thousand, and the key would be looked for in every account.
MARGIN_HISTORY = """
CREATE TABLE margin_history (
    client_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    run bigint NOT NULL,
    sequence bigint NOT NULL,
    methodology text NOT NULL,
    utilization numeric,
    equity ledger_decimal NOT NULL,
    maintenance_margin ledger_decimal NOT NULL,
    initial_margin ledger_decimal NOT NULL,
    plain_band text NOT NULL,
    band text NOT NULL,
    band_before text,
    is_immediate boolean NOT NULL,
    CONSTRAINT margin_history_pk PRIMARY KEY (client_id, account_id, run),
    CONSTRAINT margin_history_account_fk FOREIGN KEY (client_id, account_id) REFERENCES account (client_id, account_id)
)
"""

ACCOUNT_BAND = """
CREATE TABLE account_band (
    client_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    band text NOT NULL,
    is_immediate boolean NOT NULL,
    since timestamptz NOT NULL,
    run bigint NOT NULL,
    CONSTRAINT account_band_pk PRIMARY KEY (client_id, account_id),
    CONSTRAINT account_band_account_fk FOREIGN KEY (client_id, account_id) REFERENCES account (client_id, account_id),
    CONSTRAINT account_band_band_is_known CHECK (band IN ('healthy', 'watch', 'at risk', 'margin call', 'liquidation'))
)
"""
