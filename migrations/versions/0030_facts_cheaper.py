"""Facts in line are looked up by their keys however small the tables were when that was planned, and sums of postings by the statement.

The functions take and return what they did, so the release before calls them as well.
"""

from __future__ import annotations

from pathlib import Path
from runpy import run_path

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(BEGIN_FACTS)
    op.execute(FINISH_FACTS)
    for statement in (CHECK_POSTINGS, "DROP TRIGGER posting_sums_to_zero ON posting", POSTINGS_TRIGGER):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER posting_sums_to_zero ON posting")
    write_path, together = _before("0003_write_path"), _before("0028_facts_together")
    for statement in (
        write_path["CHECK_POSTINGS"],
        write_path["POSTINGS_TRIGGER"],
        together["BEGIN_FACTS"],
        together["FINISH_FACTS"],
    ):
        op.execute(statement.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1))


def _before(name: str) -> dict[str, str]:
    return run_path(str(Path(__file__).with_name(f"{name}.py")))


# A table that grows with every fact was small when this was planned, and was then read from end to end for each of them. What a subquery
# looks up by its whole key is not turned into such a join. What the call itself names is compared by hashing.
BEGIN_FACTS = """
CREATE OR REPLACE FUNCTION begin_facts(
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

    SELECT array_agg(locked.client_id), array_agg(locked.account_id) INTO locked_clients, locked_accounts
    FROM unnest(locked_clients, locked_accounts) AS locked (client_id, account_id)
    CROSS JOIN LATERAL (
        SELECT FROM account_head AS h
        WHERE h.client_id = locked.client_id AND h.account_id = locked.account_id AND h.status = 'open'
        OFFSET 0
    ) AS is_open
    WHERE NOT EXISTS (
        SELECT FROM exposure_limits AS l WHERE l.client_id = locked.client_id AND l.account_id IN ('', locked.account_id)
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
            WHEN NOT called.is_locked THEN 'alone'
            WHEN called.is_new THEN 'reserved'
            WHEN known.request_hash = called.request_hash THEN 'replayed'
            ELSE 'reused'
        END,
        known.response,
        called.client_id, called.account_id, a.display_name, a.mode, a.parent_id, a.methodology, h.status, h.sequence, h.chain_hash,
        CASE WHEN called.is_new THEN
            CASE WHEN EXISTS (
                SELECT FROM reservation AS r
                WHERE r.client_id = called.client_id AND r.account_id = called.account_id AND r.state = 'active'
            ) THEN read_reservations(called.client_id, called.account_id, '{}', moment) ELSE '[]' END
        END,
        moment, market.snapshot_id, market.parameters_version, market.instruments_version, market.history_version
    FROM (
        SELECT
            each.*,
            (each.client_id, each.account_id) IN (SELECT * FROM unnest(locked_clients, locked_accounts)) AS is_locked,
            (each.method, each.key) IN (SELECT * FROM unnest(new_methods, new_keys)) AS is_new
        FROM unnest(p_methods, p_keys, p_request_hashes, p_client_ids, p_account_ids) WITH ORDINALITY
            AS each (method, key, request_hash, client_id, account_id, place)
    ) AS called
    CROSS JOIN (SELECT * FROM read_market_version() OFFSET 0) AS market
    LEFT JOIN LATERAL (
        SELECT i.request_hash, i.response FROM idempotency AS i
        WHERE NOT called.is_new AND called.is_locked AND i.principal = p_principal AND i.method = called.method AND i.key = called.key
        OFFSET 0
    ) AS known ON true
    LEFT JOIN LATERAL (
        SELECT i.display_name, i.mode, i.parent_id, i.methodology FROM account AS i
        WHERE called.is_new AND i.client_id = called.client_id AND i.account_id = called.account_id
        OFFSET 0
    ) AS a ON true
    LEFT JOIN LATERAL (
        SELECT i.status, i.sequence, i.chain_hash FROM account_head AS i
        WHERE called.is_new AND i.client_id = called.client_id AND i.account_id = called.account_id
        OFFSET 0
    ) AS h ON true
    ORDER BY called.place;
END
$$
"""

# The first answer is stored with the entries of all, by the function that writes them for a single write too, with all its checks.
FINISH_FACTS = """
CREATE OR REPLACE FUNCTION finish_facts(
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
DECLARE
    answered record;
BEGIN
    FOR answered IN SELECT * FROM unnest(p_methods[2:], p_keys[2:], p_responses[2:]) AS a (method, key, response) LOOP
        UPDATE idempotency AS known SET response = answered.response
        WHERE known.principal = p_principal AND known.method = answered.method AND known.key = answered.key;
    END LOOP;
    PERFORM finish_write(
        p_principal, p_methods[1], p_keys[1], p_responses[1],
        e_client_ids, e_account_ids, e_sequences, e_kinds, e_effective_at, e_references, e_previous_hashes, e_chain_hashes,
        p_client_ids, p_account_ids, p_sequences, p_legs, p_ledger_accounts, p_book_ids, p_instrument_ids, p_quantities, p_costs
    );
END
$$
"""

# An entry's legs are written by one statement. Since none is ever changed or taken away, an entry balances when what each statement adds
# to it does.
CHECK_POSTINGS = """
CREATE OR REPLACE FUNCTION check_postings_sum_to_zero() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM added AS p
    GROUP BY p.client_id, p.account_id, p.sequence, p.instrument_id
    HAVING sum(p.quantity) <> 0 OR sum(p.cost) <> 0;
    IF FOUND THEN
        RAISE EXCEPTION 'postings of an entry do not sum to zero'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'posting_sums_to_zero', TABLE = 'posting';
    END IF;
    RETURN NULL;
END
$$
"""

POSTINGS_TRIGGER = """
CREATE TRIGGER posting_sums_to_zero AFTER INSERT ON posting
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION check_postings_sum_to_zero()
"""
