"""Which trades are still to be settled: a projection, so that who settles or withdraws need not read every trade there ever was.

A trigger follows the ledger, so that the release before this one keeps it as well. The next migration fills in what was booked before.
"""

from __future__ import annotations

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in (UNSETTLED_TRADE, LET_THE_SERVICE, FOLLOW, FOLLOWS):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER entry_details_settles ON entry_details")
    op.execute("DROP FUNCTION follow_settlements()")
    op.execute("DROP TABLE unsettled_trade")


# No foreign key to the entry: every trade would pay for it, and what is stored is compared with the ledger anyway.
UNSETTLED_TRADE = """
CREATE TABLE unsettled_trade (
    client_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    settle_date date NOT NULL,
    CONSTRAINT unsettled_trade_pk PRIMARY KEY (client_id, account_id, sequence)
)
"""

# The service of the release before writes through the trigger from here on, before the walls are raised.
LET_THE_SERVICE = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'crossmargin_app') THEN
        GRANT SELECT, INSERT, DELETE ON unsettled_trade TO crossmargin_app;
    END IF;
END
$$
"""

# Events are named "settlement of entry 7", and "settlement of entry 7 #2" after the first was taken back.
FOLLOW = r"""
CREATE FUNCTION follow_settlements() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    due date := (NEW.details::jsonb ->> 'settle_date')::date;
    settled bigint := substring(NEW.event FROM '^settlement of entry (\d{1,18})(?: #\d+)?$')::bigint;
BEGIN
    IF due IS NOT NULL THEN
        INSERT INTO unsettled_trade (client_id, account_id, sequence, settle_date)
        VALUES (NEW.client_id, NEW.account_id, NEW.sequence, due)
        ON CONFLICT DO NOTHING;
    END IF;
    IF settled IS NOT NULL THEN
        DELETE FROM unsettled_trade AS u
        WHERE u.client_id = NEW.client_id AND u.account_id = NEW.account_id AND u.sequence = settled;
    END IF;
    IF NEW.reverses IS NOT NULL THEN
        DELETE FROM unsettled_trade AS u
        WHERE u.client_id = NEW.client_id AND u.account_id = NEW.account_id AND u.sequence = NEW.reverses;
        SELECT substring(s.event FROM '^settlement of entry (\d{1,18})(?: #\d+)?$')::bigint INTO settled FROM entry_details AS s
        WHERE s.client_id = NEW.client_id AND s.account_id = NEW.account_id AND s.sequence = NEW.reverses;
        IF settled IS NOT NULL THEN
            INSERT INTO unsettled_trade (client_id, account_id, sequence, settle_date)
            SELECT t.client_id, t.account_id, t.sequence, (t.details::jsonb ->> 'settle_date')::date FROM entry_details AS t
            WHERE t.client_id = NEW.client_id AND t.account_id = NEW.account_id AND t.sequence = settled
                AND NOT EXISTS (
                    SELECT FROM entry_details AS r
                    WHERE r.client_id = NEW.client_id AND r.account_id = NEW.account_id AND r.reverses = settled
                )
            ON CONFLICT DO NOTHING;
        END IF;
    END IF;
    RETURN NULL;
END
$$
"""

FOLLOWS = """
CREATE TRIGGER entry_details_settles AFTER INSERT ON entry_details FOR EACH ROW
WHEN (NEW.event IS NOT NULL OR NEW.reverses IS NOT NULL OR NEW.details LIKE '%"settle_date"%')
EXECUTE FUNCTION follow_settlements()
"""
