"""What one person has asked for and a second one has to, and what has become of it."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(PENDING_REQUEST)
    op.execute("CREATE INDEX pending_request_in_order ON pending_request (asked_at, pending_id)")
    for statement in (GUARD_PENDING_REQUEST, ENDS_ONCE, IS_KEPT):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE pending_request")
    op.execute("DROP FUNCTION guard_pending_request")


PENDING_REQUEST = """
CREATE TABLE pending_request (
    pending_id text COLLATE "C" NOT NULL,
    verb text NOT NULL,
    words text NOT NULL,
    client_id text COLLATE "C",
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'awaiting',
    ended_by text NOT NULL DEFAULT '',
    ended_at timestamptz,
    CONSTRAINT pending_request_pk PRIMARY KEY (pending_id),
    CONSTRAINT pending_request_client_fk FOREIGN KEY (client_id) REFERENCES client (client_id),
    CONSTRAINT pending_request_state_is_known CHECK (state IN ('awaiting', 'confirmed', 'cancelled')),
    CONSTRAINT pending_request_end_has_a_person
        CHECK ((state = 'awaiting') = (ended_at IS NULL) AND (ended_at IS NULL) = (ended_by = '')),
    CONSTRAINT pending_request_four_eyes CHECK (state <> 'confirmed' OR ended_by <> asked_by)
)
"""

GUARD_PENDING_REQUEST = """
CREATE FUNCTION guard_pending_request() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.state = 'awaiting' AND NEW.state <> 'awaiting'
        AND (NEW.pending_id, NEW.verb, NEW.words, NEW.client_id, NEW.asked_by, NEW.asked_at, NEW.expires_at) IS NOT DISTINCT FROM
            (OLD.pending_id, OLD.verb, OLD.words, OLD.client_id, OLD.asked_by, OLD.asked_at, OLD.expires_at)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'what two persons are asked for is never changed, and ends once'
        USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
END
$$
"""

ENDS_ONCE = """
CREATE TRIGGER pending_request_ends_once BEFORE UPDATE OR DELETE ON pending_request
FOR EACH ROW EXECUTE FUNCTION guard_pending_request()
"""

IS_KEPT = """
CREATE TRIGGER pending_request_is_kept BEFORE TRUNCATE ON pending_request
FOR EACH STATEMENT EXECUTE FUNCTION guard_pending_request()
"""
