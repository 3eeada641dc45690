"""Functions that are told whom they work for with the question itself, and one that writes an entry without postings.

They go on using the functions before, which the release before calls itself.
"""

from __future__ import annotations

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in (READ_BOOKS, BEGIN_DECISION, FINISH_ENTRY):
        op.execute(statement)


def downgrade() -> None:
    for function in ("finish_entry", "begin_decision_for", "read_books_for"):
        op.execute(f"DROP FUNCTION {function}")


# The walls are raised before anything is read, statement after statement, which the order of what one statement does would not promise:
# for the whole house while the latest totals are named, which is told to everybody, and then for whom the question is. What is known of
# accounts comes beside their names, null where nothing is. Empty documents are null, so that nobody takes them apart.
# Planned once, for whatever is asked; whoever plans for tables that are empty yet must not go on reading them from end to end.
READ_BOOKS = """
CREATE FUNCTION read_books_for(
    p_clients text, p_client_ids text[], p_account_ids text[], k_sequences bigint[], k_chain_hashes bytea[], k_epochs uuid[]
)
RETURNS TABLE (
    client_id text, account_id text, display_name text, mode text, parent_id text, methodology text, status text,
    sequence bigint, chain_hash bytea, positions_epoch uuid, is_known boolean,
    book_ids text[], instrument_ids text[], quantities numeric[], costs numeric[], policy_instrument_ids text[], policies text[],
    reservations jsonb, limits jsonb, halts jsonb, decided_at timestamptz,
    snapshot_id text, parameters_version bigint, instruments_version bigint, history_version bigint, house_view_id text
)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    latest text;
BEGIN
    PERFORM set_config('crossmargin.clients', '*', true);
    SELECT v.view_id INTO latest FROM house_view AS v ORDER BY v.recorded_order DESC LIMIT 1;
    PERFORM set_config('crossmargin.clients', p_clients, true);
    RETURN QUERY
    SELECT
        b.client_id, b.account_id, b.display_name, b.mode, b.parent_id, b.methodology, b.status,
        b.sequence, b.chain_hash, b.positions_epoch, b.is_known,
        b.book_ids, b.instrument_ids, b.quantities, b.costs, b.policy_instrument_ids, b.policies,
        nullif(b.reservations, '[]'), nullif(b.limits, '[]'), nullif(b.halts, '[]'), b.decided_at,
        b.snapshot_id, b.parameters_version, b.instruments_version, b.history_version, latest
    FROM read_books_beyond(
        p_client_ids, p_account_ids, '{}', false, clock_timestamp(), p_client_ids, p_account_ids, k_sequences, k_chain_hashes, k_epochs
    ) AS b;
END
$$
"""

# What is set here of whom the transaction works for holds until its end, beyond this function.
BEGIN_DECISION = """
CREATE FUNCTION begin_decision_for(
    p_clients text, p_principal text, p_method text, p_key text, p_request_hash bytea, p_is_fact boolean, p_reservations bigint[],
    p_client_ids text[], p_account_ids text[], k_sequences bigint[], k_chain_hashes bytea[], k_epochs uuid[]
)
RETURNS TABLE (
    outcome text, stored_response bytea,
    client_id text, account_id text, display_name text, mode text, parent_id text, methodology text, status text,
    sequence bigint, chain_hash bytea, positions_epoch uuid, is_known boolean,
    book_ids text[], instrument_ids text[], quantities numeric[], costs numeric[], policy_instrument_ids text[], policies text[],
    reservations jsonb, limits jsonb, halts jsonb, decided_at timestamptz,
    snapshot_id text, parameters_version bigint, instruments_version bigint, history_version bigint, locked_at timestamptz
)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('crossmargin.clients', p_clients, true), set_config('crossmargin.principal', p_principal, true);
    RETURN QUERY
    SELECT
        b.outcome, b.stored_response,
        b.client_id, b.account_id, b.display_name, b.mode, b.parent_id, b.methodology, b.status,
        b.sequence, b.chain_hash, b.positions_epoch, b.is_known,
        b.book_ids, b.instrument_ids, b.quantities, b.costs, b.policy_instrument_ids, b.policies,
        nullif(b.reservations, '[]'), nullif(b.limits, '[]'), nullif(b.halts, '[]'), b.decided_at,
        b.snapshot_id, b.parameters_version, b.instruments_version, b.history_version, now()
    FROM begin_decision_beyond(
        p_principal, p_method, p_key, p_request_hash, p_is_fact, p_client_ids, p_account_ids, p_reservations,
        p_client_ids, p_account_ids, k_sequences, k_chain_hashes, k_epochs
    ) AS b;
END
$$
"""

# As finish_decision for one entry that moves nothing, with the same checks: what most decisions on orders come to.
FINISH_ENTRY = """
CREATE FUNCTION finish_entry(
    p_principal text, p_method text, p_key text, p_response bytea,
    e_client_id text, e_account_id text, e_sequence bigint, e_kind text, e_effective_at timestamptz, e_reference text,
    e_previous_hash bytea, e_chain_hash bytea, p_reservations jsonb
)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    UPDATE idempotency AS i SET response = p_response
    WHERE i.principal = p_principal AND i.method = p_method AND i.key = p_key;

    UPDATE account_head AS h SET sequence = e_sequence, chain_hash = e_chain_hash
    WHERE h.client_id = e_client_id AND h.account_id = e_account_id
        AND h.sequence = e_sequence - 1 AND h.chain_hash = e_previous_hash;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the entry does not follow the head of its account' USING ERRCODE = 'CM001';
    END IF;

    INSERT INTO entry (client_id, account_id, sequence, kind, effective_at, reference, previous_hash, chain_hash)
    VALUES (e_client_id, e_account_id, e_sequence, e_kind, e_effective_at, e_reference, e_previous_hash, e_chain_hash);

    INSERT INTO reservation AS held (
        client_id, account_id, sequence, book_id, instrument_id, settlement, quantity, price, kind, lifetime_s, reference, consideration,
        paid_in, filled, reserved_by, reserved_at, expires_at, state
    )
    SELECT
        r.client_id, r.account_id, r.sequence, r.book_id, r.instrument_id, r.settlement, r.quantity, r.price, r.kind, r.lifetime_s,
        r.reference, r.consideration, r.paid_in, r.filled, r.reserved_by, r.reserved_at, r.expires_at, r.state
    FROM jsonb_to_recordset(p_reservations) AS r (
        client_id text, account_id text, sequence bigint, book_id text, instrument_id text, settlement text, quantity numeric,
        price numeric, kind text, lifetime_s bigint, reference text, consideration numeric, paid_in text, filled numeric,
        reserved_by text, reserved_at timestamptz, expires_at timestamptz, state text
    )
    ON CONFLICT (client_id, account_id, sequence) DO UPDATE SET filled = excluded.filled, state = excluded.state;
END
$$
"""
