"""Fill in the trades that were booked before there was a table of what is unsettled."""

from __future__ import annotations

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # Without statistics PostgreSQL may read an account's history once for each of its trades.
        op.execute("ANALYZE entry, entry_details")
        op.execute(FILL)


def downgrade() -> None:
    """Leave the rows to the migration before, which takes the table away."""


# What is found without a lock is looked at again under the account's, which is held for the few that are unsettled and not for all that
# ever were. Trades that are booked meanwhile come by the trigger. Whoever waits for the account's lock here keeps nobody waiting but
# those who come later for the same account.
FILL = r"""
DO $$
DECLARE
    own record;
    found bigint[];
BEGIN
    FOR own IN SELECT DISTINCT client_id, account_id FROM entry_details WHERE details LIKE '%"settle_date"%' LOOP
        SELECT array_agg(t.sequence) INTO found
        FROM entry_details AS t
        LEFT JOIN entry_details AS r ON r.client_id = t.client_id AND r.account_id = t.account_id AND r.reverses = t.sequence
        LEFT JOIN (
            SELECT substring(e.event FROM '^settlement of entry (\d{1,18})(?: #\d+)?$')::bigint AS settled
            FROM entry_details AS e
            LEFT JOIN entry_details AS b ON b.client_id = e.client_id AND b.account_id = e.account_id AND b.reverses = e.sequence
            WHERE e.client_id = own.client_id AND e.account_id = own.account_id AND e.event LIKE 'settlement of entry %'
                AND b.sequence IS NULL
        ) AS s ON s.settled = t.sequence
        WHERE t.client_id = own.client_id AND t.account_id = own.account_id AND t.details LIKE '%"settle_date"%'
            AND r.sequence IS NULL AND s.settled IS NULL;
        PERFORM set_config('lock_timeout', '10s', true);
        PERFORM FROM account_head WHERE client_id = own.client_id AND account_id = own.account_id FOR UPDATE;
        INSERT INTO unsettled_trade (client_id, account_id, sequence, settle_date)
        SELECT t.client_id, t.account_id, t.sequence, (t.details::jsonb ->> 'settle_date')::date
        FROM entry_details AS t
        WHERE t.client_id = own.client_id AND t.account_id = own.account_id AND t.sequence = ANY (found)
            AND t.details::jsonb ->> 'settle_date' IS NOT NULL
            AND NOT EXISTS (
                SELECT FROM entry_details AS r
                WHERE r.client_id = t.client_id AND r.account_id = t.account_id AND r.reverses = t.sequence
            )
            AND NOT EXISTS (
                SELECT FROM entry_details AS e
                WHERE e.client_id = t.client_id AND e.account_id = t.account_id
                    AND e.event >= 'settlement of entry ' || t.sequence AND e.event < 'settlement of entry ' || t.sequence || ' $'
                    AND NOT EXISTS (
                        SELECT FROM entry_details AS b
                        WHERE b.client_id = e.client_id AND b.account_id = e.account_id AND b.reverses = e.sequence
                    )
            )
        ON CONFLICT DO NOTHING;
        COMMIT;
    END LOOP;
END
$$
"""
