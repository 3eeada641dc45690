"""Two functions that write facts of many accounts in one transaction, each under its own key.

The release before goes on writing one by one beside it: both lock the heads of accounts, and both reserve their keys in the same table.
"""

from __future__ import annotations

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(BEGIN_FACTS)
    op.execute(FINISH_FACTS)


def downgrade() -> None:
    op.execute("DROP FUNCTION finish_facts")
    op.execute("DROP FUNCTION begin_facts")


# Heads come first here, and nobody waits for one: an account that somebody else holds does not hold up the others. What is asked of it, of
# one that is closed or not there, or under a limit, is 'alone': nothing was written for it, so that it goes the way of a single write.
# Every statement of a volatile function sees what was committed before that statement, so all is read as of the locks. Whoever plans these
# once, for tables that are empty yet, must not go on reading them from end to end.
BEGIN_FACTS = """
CREATE FUNCTION begin_facts(
    p_principal text, p_methods text[], p_keys text[], p_request_hashes bytea[], p_client_ids text[], p_account_ids text[]
)
RETURNS TABLE (
    outcome text, stored_response bytea,
    client_id text, account_id text, display_name text, mode text, parent_id text, methodology text, status text,
    sequence bigint, chain_hash bytea, reservations jsonb, decided_at timestamptz,
    snapshot_id text, parameters_version bigint, instruments_version bigint, history_version bigint
)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    locked_clients text[];
    locked_accounts text[];
    new_methods text[];
    new_keys text[];
    moment timestamptz;
BEGIN
    SELECT array_agg(held.client_id), array_agg(held.account_id) INTO locked_clients, locked_accounts
    FROM (
        SELECT h.client_id, h.account_id FROM account_head AS h
        JOIN (SELECT DISTINCT * FROM unnest(p_client_ids, p_account_ids)) AS wanted (client_id, account_id)
            ON h.client_id = wanted.client_id AND h.account_id = wanted.account_id
        ORDER BY h.client_id, h.account_id
        FOR UPDATE OF h SKIP LOCKED
    ) AS held;
    moment := clock_timestamp();

    SELECT array_agg(h.client_id), array_agg(h.account_id) INTO locked_clients, locked_accounts
    FROM unnest(locked_clients, locked_accounts) AS locked (client_id, account_id)
    JOIN account_head AS h ON h.client_id = locked.client_id AND h.account_id = locked.account_id
    WHERE h.status = 'open' AND NOT EXISTS (
        SELECT FROM exposure_limits AS l WHERE l.client_id = h.client_id AND l.account_id IN ('', h.account_id)
    );

    -- In one order for everybody, or two of these would wait for one another.
    WITH reserved AS (
        INSERT INTO idempotency (principal, method, key, request_hash)
        SELECT p_principal, called.method, called.key, called.request_hash
        FROM unnest(p_methods, p_keys, p_request_hashes, p_client_ids, p_account_ids)
            AS called (method, key, request_hash, client_id, account_id)
        WHERE (called.client_id, called.account_id) IN (SELECT * FROM unnest(locked_clients, locked_accounts))
        ORDER BY called.method, called.key
        ON CONFLICT (principal, method, key) DO NOTHING
        RETURNING method, key
    )
    SELECT array_agg(reserved.method), array_agg(reserved.key) INTO new_methods, new_keys FROM reserved;

    RETURN QUERY
    SELECT
        CASE
            WHEN locked.client_id IS NULL THEN 'alone'
            WHEN new.key IS NOT NULL THEN 'reserved'
            WHEN known.request_hash = called.request_hash THEN 'replayed'
            ELSE 'reused'
        END,
        known.response,
        called.client_id, called.account_id, a.display_name, a.mode, a.parent_id, a.methodology, h.status, h.sequence, h.chain_hash,
        CASE WHEN new.key IS NOT NULL THEN read_reservations(called.client_id, called.account_id, '{}', moment) END, moment,
        market.snapshot_id, market.parameters_version, market.instruments_version, market.history_version
    FROM unnest(p_methods, p_keys, p_request_hashes, p_client_ids, p_account_ids) WITH ORDINALITY
        AS called (method, key, request_hash, client_id, account_id, place)
    CROSS JOIN read_market_version() AS market
    LEFT JOIN unnest(locked_clients, locked_accounts) AS locked (client_id, account_id)
        ON locked.client_id = called.client_id AND locked.account_id = called.account_id
    LEFT JOIN unnest(new_methods, new_keys) AS new (method, key) ON new.method = called.method AND new.key = called.key
    LEFT JOIN idempotency AS known ON known.principal = p_principal AND known.method = called.method AND known.key = called.key
    LEFT JOIN account AS a ON a.client_id = called.client_id AND a.account_id = called.account_id
    LEFT JOIN account_head AS h ON h.client_id = called.client_id AND h.account_id = called.account_id
    ORDER BY called.place;
END
$$
"""

# The first answer is stored with the entries of all, by the function that writes them for a single write too, with all its checks.
FINISH_FACTS = """
CREATE FUNCTION finish_facts(
    p_principal text, p_methods text[], p_keys text[], p_responses bytea[],
    e_client_ids text[], e_account_ids text[], e_sequences bigint[], e_kinds text[], e_effective_at timestamptz[], e_references text[],
    e_previous_hashes bytea[], e_chain_hashes bytea[],
    p_client_ids text[], p_account_ids text[], p_sequences bigint[], p_legs smallint[], p_ledger_accounts text[], p_book_ids text[],
    p_instrument_ids text[], p_quantities numeric[], p_costs numeric[]
)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    UPDATE idempotency AS known SET response = answered.response
    FROM unnest(p_methods[2:], p_keys[2:], p_responses[2:]) AS answered (method, key, response)
    WHERE known.principal = p_principal AND known.method = answered.method AND known.key = answered.key;
    PERFORM finish_write(
        p_principal, p_methods[1], p_keys[1], p_responses[1],
        e_client_ids, e_account_ids, e_sequences, e_kinds, e_effective_at, e_references, e_previous_hashes, e_chain_hashes,
        p_client_ids, p_account_ids, p_sequences, p_legs, p_ledger_accounts, p_book_ids, p_instrument_ids, p_quantities, p_costs
    );
END
$$
"""
