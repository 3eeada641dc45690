"""Margin calls, what happens to them, and what was agreed with clients about them."""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in (MARGIN_CALL, ONE_OPEN, CALL_NOTICE, NOTICE_IS_KEPT, CALL_AGREEMENT):
        op.execute(statement)


def downgrade() -> None:
    for table in ("call_agreement", "call_notice", "margin_call"):
        op.execute(f"DROP TABLE {table}")


MARGIN_CALL = """
CREATE TABLE margin_call (
    client_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    state text NOT NULL,
    trigger text NOT NULL,
    amount ledger_decimal NOT NULL,
    met ledger_decimal NOT NULL,
    is_provisional boolean NOT NULL,
    issued_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    sequence bigint NOT NULL,
    recognised_to bigint NOT NULL,
    snapshot_id text COLLATE "C" NOT NULL,
    utilization numeric,
    last_notice bigint NOT NULL,
    closed_at timestamptz,
    CONSTRAINT margin_call_pk PRIMARY KEY (client_id, account_id, number),
    CONSTRAINT margin_call_account_fk FOREIGN KEY (client_id, account_id) REFERENCES account (client_id, account_id),
    CONSTRAINT margin_call_state_is_known
        CHECK (state IN ('issued', 'acknowledged', 'disputed', 'partially met', 'escalated', 'met', 'waived', 'rescinded')),
    CONSTRAINT margin_call_trigger_is_known CHECK (trigger IN ('band', 'schedule')),
    CONSTRAINT margin_call_asks_for_something CHECK (amount > 0 AND met >= 0),
    CONSTRAINT margin_call_closed_has_a_time
        CHECK ((state IN ('issued', 'acknowledged', 'disputed', 'partially met', 'escalated')) = (closed_at IS NULL))
)
"""

ONE_OPEN = """
CREATE UNIQUE INDEX margin_call_one_open ON margin_call (client_id, account_id)
WHERE state IN ('issued', 'acknowledged', 'disputed', 'partially met', 'escalated')
"""

CALL_NOTICE = """
CREATE TABLE call_notice (
    client_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    call_number bigint NOT NULL,
    kind text NOT NULL,
    noticed_at timestamptz NOT NULL,
    noticed_by text NOT NULL,
    state text NOT NULL,
    amount ledger_decimal NOT NULL,
    met ledger_decimal NOT NULL,
    due_at timestamptz NOT NULL,
    reason text NOT NULL,
    words text NOT NULL,
    CONSTRAINT call_notice_pk PRIMARY KEY (client_id, account_id, sequence),
    CONSTRAINT call_notice_call_fk FOREIGN KEY (client_id, account_id, call_number)
        REFERENCES margin_call (client_id, account_id, number),
    CONSTRAINT call_notice_sequence_is_positive CHECK (sequence >= 1)
)
"""

NOTICE_IS_KEPT = """
CREATE TRIGGER call_notice_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON call_notice
FOR EACH STATEMENT EXECUTE FUNCTION refuse_evidence_change()
"""

CALL_AGREEMENT = """
CREATE TABLE call_agreement (
    client_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    threshold ledger_decimal NOT NULL,
    minimum_transfer_amount ledger_decimal NOT NULL,
    rounding_unit ledger_decimal NOT NULL,
    cut_off time NOT NULL,
    due_days smallint NOT NULL,
    due_time time NOT NULL,
    on_business_days boolean NOT NULL,
    set_by text NOT NULL,
    set_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT call_agreement_pk PRIMARY KEY (client_id, account_id),
    CONSTRAINT call_agreement_client_fk FOREIGN KEY (client_id) REFERENCES client (client_id)
)
"""
