"""What each account is margined by. The release before knows one methodology only, and that is the default."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(METHODOLOGY)
    for function in (READ_BOOKS, BEGIN_DECISION):
        op.execute(function)


def downgrade() -> None:
    # An account would be margined by something else than its ledger says.
    op.execute(REFUSE_WHILE_IN_USE)
    op.execute("DROP FUNCTION begin_margined_decision")
    op.execute("DROP FUNCTION read_margined_books")
    op.execute("ALTER TABLE account DROP COLUMN methodology")


METHODOLOGY = """
ALTER TABLE account ADD COLUMN methodology text NOT NULL DEFAULT 'expected_shortfall'
    CONSTRAINT account_methodology_is_known
    CHECK (methodology IN ('expected_shortfall', 'span_grid', 'tims_grid', 'standard_schedule', 'ratio'))
"""

REFUSE_WHILE_IN_USE = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM account WHERE methodology <> 'expected_shortfall') THEN
        RAISE EXCEPTION 'set every account back to expected_shortfall before going back to the release before';
    END IF;
END
$$
"""

# What read_books and begin_decision return, which the release before goes on using, and what each account is margined by.
READ_BOOKS = """
CREATE FUNCTION read_margined_books(
    p_client_ids text[], p_account_ids text[], p_reservations bigint[], p_is_fact boolean, p_now timestamptz
)
RETURNS TABLE (
    client_id text, account_id text, display_name text, mode text, parent_id text, methodology text, status text,
    sequence bigint, chain_hash bytea,
    book_ids text[], instrument_ids text[], quantities numeric[], costs numeric[], policy_instrument_ids text[], policies text[],
    reservations jsonb, limits jsonb, halts jsonb, decided_at timestamptz,
    snapshot_id text, parameters_version bigint, instruments_version bigint, history_version bigint
)
LANGUAGE sql STABLE AS $$
    WITH limits AS MATERIALIZED (
        SELECT
            bool_or(l.account_id = '') AS has_shared,
            coalesce(jsonb_agg(jsonb_build_object(
                'client_id', l.client_id, 'account_id', l.account_id, 'gross', l.gross::text, 'net', l.net::text,
                'order_notional', l.order_notional::text, 'groups', l.group_limits, 'set_by', l.set_by, 'set_at', l.set_at
            ) ORDER BY l.client_id, l.account_id), '[]'::jsonb) AS found
        FROM exposure_limits AS l
        WHERE l.client_id = ANY (p_client_ids)
            AND (l.account_id = '' OR (l.client_id, l.account_id) IN (SELECT * FROM unnest(p_client_ids, p_account_ids)))
    )
    SELECT
        a.client_id, a.account_id, a.display_name, a.mode, a.parent_id, a.methodology, h.status, h.sequence, h.chain_hash,
        held.book_ids, held.instrument_ids, held.quantities, held.costs, chosen.policy_instrument_ids, chosen.policies,
        read_reservations(a.client_id, a.account_id, p_reservations, p_now), limits.found, halts.found, p_now,
        market.snapshot_id, market.parameters_version, market.instruments_version, market.history_version
    FROM limits
    CROSS JOIN (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'scope', c.scope, 'reason', c.reason, 'changed_by', c.changed_by, 'changed_at', c.changed_at
        ) ORDER BY c.scope DESC), '[]'::jsonb) AS found
        FROM control AS c
        WHERE c.is_halted AND NOT p_is_fact
            AND (c.scope = 'house' OR c.scope IN (SELECT 'clients/' || wanted FROM unnest(p_client_ids) AS wanted))
    ) AS halts
    CROSS JOIN read_market_version() AS market
    JOIN account AS a
        ON (a.client_id, a.account_id) IN (SELECT * FROM unnest(p_client_ids, p_account_ids))
        OR (limits.has_shared AND a.client_id IN (SELECT l.client_id FROM exposure_limits AS l
            WHERE l.account_id = '' AND l.client_id = ANY (p_client_ids)))
    JOIN account_head AS h ON h.client_id = a.client_id AND h.account_id = a.account_id
    CROSS JOIN LATERAL (
        SELECT
            array_agg(p.book_id ORDER BY p.book_id, p.instrument_id) AS book_ids,
            array_agg(p.instrument_id ORDER BY p.book_id, p.instrument_id) AS instrument_ids,
            array_agg(p.quantity::numeric ORDER BY p.book_id, p.instrument_id) AS quantities,
            array_agg(p.cost::numeric ORDER BY p.book_id, p.instrument_id) AS costs
        FROM position AS p
        WHERE p.client_id = a.client_id AND p.account_id = a.account_id AND (p.quantity <> 0 OR p.cost <> 0)
            AND (NOT p_is_fact OR limits.found <> '[]'::jsonb)
    ) AS held
    CROSS JOIN LATERAL (
        SELECT
            array_agg(c.instrument_id ORDER BY c.instrument_id) AS policy_instrument_ids,
            array_agg(c.policy ORDER BY c.instrument_id) AS policies
        FROM collateral_policy AS c
        WHERE c.client_id = a.client_id AND c.account_id = a.account_id AND NOT p_is_fact
    ) AS chosen
    ORDER BY a.client_id, a.account_id
$$
"""

# As begin_write, but what a decision needs is read here, after the locks: every statement of a volatile function sees what was
# committed before that statement. Shares of the halt switches are kept until the commit, so nobody can halt in between.
BEGIN_DECISION = """
CREATE FUNCTION begin_margined_decision(
    p_principal text, p_method text, p_key text, p_request_hash bytea, p_is_fact boolean, p_client_ids text[], p_account_ids text[],
    p_reservations bigint[]
)
RETURNS TABLE (
    outcome text, stored_response bytea,
    client_id text, account_id text, display_name text, mode text, parent_id text, methodology text, status text,
    sequence bigint, chain_hash bytea,
    book_ids text[], instrument_ids text[], quantities numeric[], costs numeric[], policy_instrument_ids text[], policies text[],
    reservations jsonb, limits jsonb, halts jsonb, decided_at timestamptz,
    snapshot_id text, parameters_version bigint, instruments_version bigint, history_version bigint
)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    known record;
    shared text[];
    locked text[];
BEGIN
    INSERT INTO idempotency (principal, method, key, request_hash)
    VALUES (p_principal, p_method, p_key, p_request_hash)
    ON CONFLICT (principal, method, key) DO NOTHING;
    IF NOT FOUND THEN
        SELECT i.request_hash, i.response INTO STRICT known
        FROM idempotency AS i
        WHERE i.principal = p_principal AND i.method = p_method AND i.key = p_key;
        outcome := CASE WHEN known.request_hash = p_request_hash THEN 'replayed' ELSE 'reused' END;
        stored_response := known.response;
        RETURN NEXT;
        RETURN;
    END IF;

    IF NOT p_is_fact THEN
        PERFORM FROM control AS c
        WHERE c.scope = 'house' OR c.scope IN (SELECT 'clients/' || wanted FROM unnest(p_client_ids) AS wanted)
        ORDER BY c.scope
        FOR SHARE;
    END IF;

    -- A limit on all accounts of a client is held by locking them all. It may have been set while this waited for its locks, so what was
    -- locked is compared with what has to be: whoever sets one needs the locks that are held here, so the second round is the last.
    LOOP
        shared := CASE WHEN p_is_fact THEN '{}' ELSE ARRAY(
            SELECT l.client_id FROM exposure_limits AS l WHERE l.account_id = '' AND l.client_id = ANY (p_client_ids)
            ORDER BY l.client_id
        ) END;
        EXIT WHEN shared = locked;
        PERFORM FROM account_head AS h
        WHERE h.client_id = ANY (p_client_ids)
            AND (h.client_id = ANY (shared) OR (h.client_id, h.account_id) IN (SELECT * FROM unnest(p_client_ids, p_account_ids)))
        ORDER BY h.client_id, h.account_id
        FOR UPDATE;
        locked := shared;
    END LOOP;

    RETURN QUERY
    SELECT 'reserved', NULL::bytea, books.*
    FROM read_margined_books(p_client_ids, p_account_ids, p_reservations, p_is_fact, clock_timestamp()) AS books;
END
$$
"""
