"""The audit trail: who was turned away, and who looked at what is not his own."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in (AUDIT_EVENT, BY_PRINCIPAL, REFUSE_CHANGE, APPEND_ONLY):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE audit_event")
    op.execute("DROP FUNCTION refuse_audit_change")


# House-wide: an event may name several clients, or none, and is nobody's to read but the house's.
AUDIT_EVENT = """
CREATE TABLE audit_event (
    number bigint GENERATED ALWAYS AS IDENTITY,
    happened_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    kind text NOT NULL,
    principal text COLLATE "C" NOT NULL,
    roles text[] NOT NULL,
    method text NOT NULL,
    clients text[] NOT NULL,
    reason text NOT NULL,
    workload text NOT NULL,
    token text NOT NULL,
    CONSTRAINT audit_event_pk PRIMARY KEY (number),
    CONSTRAINT audit_event_kind_is_known CHECK (kind IN ('denied', 'privileged_call'))
)
"""

BY_PRINCIPAL = "CREATE INDEX audit_event_by_principal ON audit_event (principal, number)"

REFUSE_CHANGE = """
CREATE FUNCTION refuse_audit_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is only ever added to'
        USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
END
$$
"""

APPEND_ONLY = """
CREATE TRIGGER audit_event_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event
FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()
"""
