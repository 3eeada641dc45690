"""Books read without the positions that whoever asks knows already, and what tells him when they were made anew.

The release before goes on using read_margined_books and begin_margined_decision.
"""

from __future__ import annotations

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE account_head ADD COLUMN positions_epoch uuid")
    for statement in (RENEW, RENEWS, READ_BOOKS, BEGIN_DECISION):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP FUNCTION begin_decision_beyond")
    op.execute("DROP FUNCTION read_books_beyond")
    op.execute("DROP TRIGGER position_renews ON position")
    op.execute("DROP FUNCTION renew_positions()")
    op.execute("ALTER TABLE account_head DROP COLUMN positions_epoch")


# Positions follow from the entries, so an account's sequence and chain hash say which they are; but for those that were made anew without
# an entry. That begins with taking rows away, which nothing else does: the repair of the release before, and a person, are noticed so too.
RENEW = """
CREATE FUNCTION renew_positions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE account_head AS h SET positions_epoch = gen_random_uuid()
    FROM (SELECT DISTINCT client_id, account_id FROM gone) AS g
    WHERE h.client_id = g.client_id AND h.account_id = g.account_id;
    RETURN NULL;
END
$$
"""
RENEWS = """
CREATE TRIGGER position_renews AFTER DELETE ON position REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION renew_positions()
"""

# As read_margined_books, but no positions of an account that stands where k_... says that it is known: its sequence, its chain hash and the
# epoch of its positions. Planned once a session, which a function in SQL alone is at every call.
READ_BOOKS = """
CREATE FUNCTION read_books_beyond(
    p_client_ids text[], p_account_ids text[], p_reservations bigint[], p_is_fact boolean, p_now timestamptz,
    k_client_ids text[], k_account_ids text[], k_sequences bigint[], k_chain_hashes bytea[], k_epochs uuid[]
)
RETURNS TABLE (
    client_id text, account_id text, display_name text, mode text, parent_id text, methodology text, status text,
    sequence bigint, chain_hash bytea, positions_epoch uuid, is_known boolean,
    book_ids text[], instrument_ids text[], quantities numeric[], costs numeric[], policy_instrument_ids text[], policies text[],
    reservations jsonb, limits jsonb, halts jsonb, decided_at timestamptz,
    snapshot_id text, parameters_version bigint, instruments_version bigint, history_version bigint
)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH limits AS MATERIALIZED (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'client_id', l.client_id, 'account_id', l.account_id, 'gross', l.gross::text, 'net', l.net::text,
            'order_notional', l.order_notional::text, 'groups', l.group_limits, 'set_by', l.set_by, 'set_at', l.set_at
        ) ORDER BY l.client_id, l.account_id), '[]'::jsonb) AS found
        FROM exposure_limits AS l
        WHERE l.client_id = ANY (p_client_ids)
            AND (l.account_id = '' OR (l.client_id, l.account_id) IN (SELECT * FROM unnest(p_client_ids, p_account_ids)))
    ),
    -- By name, and not by a condition on every account there is.
    wanted AS (
        SELECT w.client_id, w.account_id FROM unnest(p_client_ids, p_account_ids) AS w (client_id, account_id)
        UNION
        SELECT o.client_id, o.account_id
        FROM exposure_limits AS l JOIN account AS o ON o.client_id = l.client_id
        WHERE l.account_id = '' AND l.client_id = ANY (p_client_ids)
    )
    SELECT
        a.client_id, a.account_id, a.display_name, a.mode, a.parent_id, a.methodology, h.status,
        h.sequence, h.chain_hash, h.positions_epoch, k.client_id IS NOT NULL,
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
            AND (c.scope = 'house' OR c.scope IN (SELECT 'clients/' || one FROM unnest(p_client_ids) AS one))
    ) AS halts
    CROSS JOIN read_market_version() AS market
    CROSS JOIN wanted
    JOIN account AS a ON a.client_id = wanted.client_id AND a.account_id = wanted.account_id
    JOIN account_head AS h ON h.client_id = a.client_id AND h.account_id = a.account_id
    LEFT JOIN unnest(k_client_ids, k_account_ids, k_sequences, k_chain_hashes, k_epochs)
        AS k (client_id, account_id, sequence, chain_hash, epoch)
        ON k.client_id = h.client_id AND k.account_id = h.account_id
        AND k.sequence = h.sequence AND k.chain_hash = h.chain_hash AND k.epoch IS NOT DISTINCT FROM h.positions_epoch
    CROSS JOIN LATERAL (
        SELECT
            array_agg(p.book_id ORDER BY p.book_id, p.instrument_id) AS book_ids,
            array_agg(p.instrument_id ORDER BY p.book_id, p.instrument_id) AS instrument_ids,
            array_agg(p.quantity::numeric ORDER BY p.book_id, p.instrument_id) AS quantities,
            array_agg(p.cost::numeric ORDER BY p.book_id, p.instrument_id) AS costs
        FROM position AS p
        WHERE p.client_id = a.client_id AND p.account_id = a.account_id AND (p.quantity <> 0 OR p.cost <> 0)
            AND k.client_id IS NULL AND (NOT p_is_fact OR limits.found <> '[]'::jsonb)
    ) AS held
    CROSS JOIN LATERAL (
        SELECT
            array_agg(c.instrument_id ORDER BY c.instrument_id) AS policy_instrument_ids,
            array_agg(c.policy ORDER BY c.instrument_id) AS policies
        FROM collateral_policy AS c
        WHERE c.client_id = a.client_id AND c.account_id = a.account_id AND NOT p_is_fact
    ) AS chosen
    ORDER BY a.client_id, a.account_id;
END
$$
"""

# As begin_margined_decision, with the same left out.
BEGIN_DECISION = """
CREATE FUNCTION begin_decision_beyond(
    p_principal text, p_method text, p_key text, p_request_hash bytea, p_is_fact boolean, p_client_ids text[], p_account_ids text[],
    p_reservations bigint[],
    k_client_ids text[], k_account_ids text[], k_sequences bigint[], k_chain_hashes bytea[], k_epochs uuid[]
)
RETURNS TABLE (
    outcome text, stored_response bytea,
    client_id text, account_id text, display_name text, mode text, parent_id text, methodology text, status text,
    sequence bigint, chain_hash bytea, positions_epoch uuid, is_known boolean,
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
    FROM read_books_beyond(
        p_client_ids, p_account_ids, p_reservations, p_is_fact, clock_timestamp(),
        k_client_ids, k_account_ids, k_sequences, k_chain_hashes, k_epochs
    ) AS books;
END
$$
"""
