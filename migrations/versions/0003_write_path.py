"""The two functions of the write path, and the triggers that guard the ledger against everything else."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in (BEGIN_WRITE, FINISH_WRITE, CHECK_POSTINGS, POSTINGS_TRIGGER, REFUSE_CHANGE, ENTRY_TRIGGER, POSTING_TRIGGER):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER posting_is_append_only ON posting")
    op.execute("DROP TRIGGER entry_is_append_only ON entry")
    op.execute("DROP TRIGGER posting_sums_to_zero ON posting")
    for function in ("refuse_ledger_change", "check_postings_sum_to_zero", "finish_write", "begin_write"):
        op.execute(f"DROP FUNCTION {function}")


# Reserving the key comes first: whoever asks with the same key meanwhile waits here until we are done, and then reads our answer.
# Every statement of a volatile function sees what was committed before that statement, so the heads are read as of their lock.
BEGIN_WRITE = """
CREATE FUNCTION begin_write(
    p_principal text, p_method text, p_key text, p_request_hash bytea, p_is_fact boolean, p_client_ids text[], p_account_ids text[]
)
RETURNS TABLE (
    outcome text, stored_response bytea, head_client_id text, head_account_id text, head_mode text, head_status text,
    head_sequence bigint, head_chain_hash bytea
)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    known record;
    is_halted boolean;
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

    -- What has happened is booked whatever the switch says, so facts do not queue for it.
    IF NOT p_is_fact THEN
        SELECT c.is_halted INTO STRICT is_halted FROM control AS c WHERE c.scope = 'house' FOR SHARE;
        IF is_halted THEN
            outcome := 'halted';
            RETURN NEXT;
            RETURN;
        END IF;
    END IF;

    RETURN QUERY
    SELECT 'reserved', NULL::bytea, h.client_id, h.account_id, h.mode, h.status, h.sequence, h.chain_hash
    FROM account_head AS h
    JOIN unnest(p_client_ids, p_account_ids) AS wanted (client_id, account_id)
        ON h.client_id = wanted.client_id AND h.account_id = wanted.account_id
    ORDER BY h.client_id, h.account_id
    FOR UPDATE OF h;
END
$$
"""

FINISH_WRITE = """
CREATE FUNCTION finish_write(
    p_principal text, p_method text, p_key text, p_response bytea,
    e_client_ids text[], e_account_ids text[], e_sequences bigint[], e_kinds text[], e_effective_at timestamptz[], e_references text[],
    e_previous_hashes bytea[], e_chain_hashes bytea[],
    p_client_ids text[], p_account_ids text[], p_sequences bigint[], p_legs smallint[], p_ledger_accounts text[], p_book_ids text[],
    p_instrument_ids text[], p_quantities numeric[], p_costs numeric[]
)
RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    chained_accounts bigint;
    moved_heads bigint;
BEGIN
    UPDATE idempotency SET response = p_response
    WHERE principal = p_principal AND method = p_method AND key = p_key;
    IF cardinality(e_sequences) = 0 THEN
        RETURN;
    END IF;

    PERFORM FROM (
        SELECT
            e.sequence, e.previous_hash,
            lag(e.sequence) OVER chain AS sequence_before,
            lag(e.chain_hash) OVER chain AS hash_before
        FROM unnest(e_client_ids, e_account_ids, e_sequences, e_previous_hashes, e_chain_hashes)
            AS e (client_id, account_id, sequence, previous_hash, chain_hash)
        WINDOW chain AS (PARTITION BY e.client_id, e.account_id ORDER BY e.sequence)
    ) AS link
    WHERE link.sequence_before IS NOT NULL
        AND (link.sequence <> link.sequence_before + 1 OR link.previous_hash <> link.hash_before);
    IF FOUND THEN
        RAISE EXCEPTION 'entries do not follow one another' USING ERRCODE = 'CM001';
    END IF;

    WITH chains AS (
        SELECT
            e.client_id, e.account_id,
            min(e.sequence) AS first_sequence,
            max(e.sequence) AS last_sequence,
            (array_agg(e.previous_hash ORDER BY e.sequence))[1] AS first_previous_hash,
            (array_agg(e.chain_hash ORDER BY e.sequence DESC))[1] AS last_chain_hash
        FROM unnest(e_client_ids, e_account_ids, e_sequences, e_previous_hashes, e_chain_hashes)
            AS e (client_id, account_id, sequence, previous_hash, chain_hash)
        GROUP BY e.client_id, e.account_id
    ),
    moved AS (
        UPDATE account_head AS h SET sequence = chains.last_sequence, chain_hash = chains.last_chain_hash
        FROM chains
        WHERE h.client_id = chains.client_id AND h.account_id = chains.account_id
            AND h.sequence = chains.first_sequence - 1 AND h.chain_hash = chains.first_previous_hash
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM chains), (SELECT count(*) FROM moved) INTO chained_accounts, moved_heads;
    IF moved_heads <> chained_accounts THEN
        RAISE EXCEPTION 'entries do not follow the head of their account' USING ERRCODE = 'CM001';
    END IF;

    INSERT INTO entry (client_id, account_id, sequence, kind, effective_at, reference, previous_hash, chain_hash)
    SELECT * FROM unnest(
        e_client_ids, e_account_ids, e_sequences, e_kinds, e_effective_at, e_references, e_previous_hashes, e_chain_hashes
    );
    INSERT INTO posting (client_id, account_id, sequence, leg, ledger_account, book_id, instrument_id, quantity, cost)
    SELECT * FROM unnest(
        p_client_ids, p_account_ids, p_sequences, p_legs, p_ledger_accounts, p_book_ids, p_instrument_ids, p_quantities, p_costs
    );
    -- The other side of an entry, the street or a custodian, is in the postings; only the account's own legs are its positions.
    INSERT INTO position AS held (client_id, account_id, book_id, instrument_id, quantity, cost)
    SELECT p.client_id, p.account_id, p.book_id, p.instrument_id, sum(p.quantity), sum(p.cost)
    FROM unnest(p_client_ids, p_account_ids, p_ledger_accounts, p_book_ids, p_instrument_ids, p_quantities, p_costs)
        AS p (client_id, account_id, ledger_account, book_id, instrument_id, quantity, cost)
    WHERE p.ledger_account = p.account_id
    GROUP BY p.client_id, p.account_id, p.book_id, p.instrument_id
    ON CONFLICT (client_id, account_id, book_id, instrument_id)
    DO UPDATE SET quantity = held.quantity + excluded.quantity, cost = held.cost + excluded.cost;
END
$$
"""

CHECK_POSTINGS = """
CREATE FUNCTION check_postings_sum_to_zero() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM posting AS p
    WHERE p.client_id = NEW.client_id AND p.account_id = NEW.account_id AND p.sequence = NEW.sequence
        AND p.instrument_id = NEW.instrument_id
    HAVING sum(p.quantity) <> 0 OR sum(p.cost) <> 0;
    IF FOUND THEN
        RAISE EXCEPTION 'postings of an entry do not sum to zero'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'posting_sums_to_zero', TABLE = 'posting';
    END IF;
    RETURN NULL;
END
$$
"""

# Deferred, because an entry's legs arrive one by one and balance only when all are there.
POSTINGS_TRIGGER = """
CREATE CONSTRAINT TRIGGER posting_sums_to_zero AFTER INSERT ON posting
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_postings_sum_to_zero()
"""

REFUSE_CHANGE = """
CREATE FUNCTION refuse_ledger_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: a mistake is corrected by a reversing entry'
        USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
END
$$
"""

ENTRY_TRIGGER = """
CREATE TRIGGER entry_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entry
FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change()
"""

POSTING_TRIGGER = """
CREATE TRIGGER posting_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON posting
FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change()
"""
