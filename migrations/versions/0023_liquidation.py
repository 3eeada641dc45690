"""Liquidations that two persons have agreed to, and every step of them."""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in (LIQUIDATION, ONE_OPEN, LIQUIDATION_STEP, STEP_IS_KEPT):
        op.execute(statement)


def downgrade() -> None:
    for table in ("liquidation_step", "liquidation"):
        op.execute(f"DROP TABLE {table}")


LIQUIDATION = """
CREATE TABLE liquidation (
    client_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    liquidation_id text COLLATE "C" NOT NULL,
    state text NOT NULL,
    asked_by text NOT NULL,
    confirmed_by text NOT NULL,
    approved_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    last_step bigint NOT NULL,
    document jsonb NOT NULL,
    CONSTRAINT liquidation_pk PRIMARY KEY (client_id, account_id, liquidation_id),
    CONSTRAINT liquidation_account_fk FOREIGN KEY (client_id, account_id) REFERENCES account (client_id, account_id),
    CONSTRAINT liquidation_state_is_known
        CHECK (state IN ('approved', 'executing', 'done', 'abandoned', 'superseded', 'cured', 'expired')),
    CONSTRAINT liquidation_takes_two_persons CHECK (asked_by <> confirmed_by),
    CONSTRAINT liquidation_ended_has_a_time CHECK ((state IN ('approved', 'executing')) = (ended_at IS NULL))
)
"""

ONE_OPEN = """
CREATE UNIQUE INDEX liquidation_one_open ON liquidation (client_id, account_id) WHERE state IN ('approved', 'executing')
"""

LIQUIDATION_STEP = """
CREATE TABLE liquidation_step (
    client_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    liquidation_id text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    stepped_at timestamptz NOT NULL,
    stepped_by text NOT NULL,
    state text NOT NULL,
    words text NOT NULL,
    fill jsonb,
    CONSTRAINT liquidation_step_pk PRIMARY KEY (client_id, account_id, liquidation_id, number),
    CONSTRAINT liquidation_step_liquidation_fk FOREIGN KEY (client_id, account_id, liquidation_id)
        REFERENCES liquidation (client_id, account_id, liquidation_id),
    CONSTRAINT liquidation_step_number_is_positive CHECK (number >= 1),
    CONSTRAINT liquidation_step_fills_say_what CHECK ((kind = 'filled') = (fill IS NOT NULL))
)
"""

STEP_IS_KEPT = """
CREATE TRIGGER liquidation_step_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON liquidation_step
FOR EACH STATEMENT EXECUTE FUNCTION refuse_evidence_change()
"""
