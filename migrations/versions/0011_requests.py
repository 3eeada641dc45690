"""Reservations, exposure limits and halts with a reason, and the two functions that decide requests on locked books."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in (RESERVATION, OPEN_RESERVATIONS, EXPOSURE_LIMITS, CONTROL_COLUMNS):
        op.execute(statement)
    # The release before goes on calling it as it did; from here on it refuses the requests of a halted client too.
    op.execute(BEGIN_WRITE.format(clients_scopes=" OR c.scope IN (SELECT 'clients/' || wanted FROM unnest(p_client_ids) AS wanted)"))
    for statement in (RESERVATION_STATUS, READ_RESERVATIONS, READ_MARKET_VERSION, READ_BOOKS, BEGIN_DECISION, FINISH_DECISION):
        op.execute(statement)


def downgrade() -> None:
    for function in ("finish_decision", "begin_decision", "read_books", "read_market_version", "read_reservations", "reservation_status"):
        op.execute(f"DROP FUNCTION {function}")
    op.execute(BEGIN_WRITE.format(clients_scopes=""))
    op.execute("DELETE FROM control WHERE scope <> 'house'")
    for column in ("reason", "changed_by", "changed_at"):
        op.execute(f"ALTER TABLE control DROP COLUMN {column}")
    for table in ("exposure_limits", "reservation"):
        op.execute(f"DROP TABLE {table}")


RESERVATION = """
CREATE TABLE reservation (
    client_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    book_id text COLLATE "C" NOT NULL,
    instrument_id text COLLATE "C" NOT NULL,
    settlement text COLLATE "C",
    quantity ledger_decimal NOT NULL,
    price ledger_decimal NOT NULL,
    kind text NOT NULL,
    lifetime_s bigint NOT NULL,
    reference text NOT NULL,
    consideration ledger_decimal NOT NULL,
    paid_in text COLLATE "C",
    filled ledger_decimal NOT NULL,
    reserved_by text NOT NULL,
    reserved_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    state text NOT NULL,
    CONSTRAINT reservation_pk PRIMARY KEY (client_id, account_id, sequence),
    CONSTRAINT reservation_entry_fk FOREIGN KEY (client_id, account_id, sequence) REFERENCES entry (client_id, account_id, sequence),
    CONSTRAINT reservation_kind_is_known CHECK (kind IN ('immediate', 'resting')),
    CONSTRAINT reservation_state_is_known CHECK (state IN ('active', 'filled', 'released', 'expired')),
    CONSTRAINT reservation_only_immediate_ones_expire CHECK (state <> 'expired' OR kind = 'immediate'),
    CONSTRAINT reservation_filled_is_part_of_it CHECK (filled * quantity >= 0 AND abs(filled) <= abs(quantity)),
    CONSTRAINT reservation_filled_says_so CHECK ((state = 'filled') = (filled = quantity)),
    CONSTRAINT reservation_lifetime_is_positive CHECK (lifetime_s > 0)
)
"""

OPEN_RESERVATIONS = "CREATE INDEX reservation_open ON reservation (client_id, account_id, sequence) WHERE state = 'active'"

# An empty account stands for all accounts of the client together.
EXPOSURE_LIMITS = """
CREATE TABLE exposure_limits (
    client_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    gross ledger_decimal,
    net ledger_decimal,
    order_notional ledger_decimal,
    group_limits jsonb NOT NULL,
    set_by text NOT NULL,
    set_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT exposure_limits_pk PRIMARY KEY (client_id, account_id),
    CONSTRAINT exposure_limits_client_fk FOREIGN KEY (client_id) REFERENCES client (client_id)
)
"""

CONTROL_COLUMNS = """
ALTER TABLE control
    ADD COLUMN reason text NOT NULL DEFAULT '',
    ADD COLUMN changed_by text NOT NULL DEFAULT '',
    ADD COLUMN changed_at timestamptz
"""

BEGIN_WRITE = """
CREATE OR REPLACE FUNCTION begin_write(
    p_principal text, p_method text, p_key text, p_request_hash bytea, p_is_fact boolean, p_client_ids text[], p_account_ids text[]
)
RETURNS TABLE (
    outcome text, stored_response bytea, head_client_id text, head_account_id text, head_mode text, head_status text,
    head_sequence bigint, head_chain_hash bytea
)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    known record;
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
        -- Looked at once they are shared, in a statement of its own, which sees what whoever was waited for has committed.
        PERFORM FROM control AS c WHERE c.scope = 'house'{clients_scopes} ORDER BY c.scope FOR SHARE;
        PERFORM FROM control AS c WHERE c.is_halted AND (c.scope = 'house'{clients_scopes});
        IF FOUND THEN
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

# The one place that says when a reservation's time is over, for every reader.
RESERVATION_STATUS = """
CREATE FUNCTION reservation_status(p_state text, p_kind text, p_expires_at timestamptz, p_now timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN p_state <> 'active' OR p_now < p_expires_at THEN p_state
        WHEN p_kind = 'immediate' THEN 'expired'
        ELSE 'suspect'
    END
$$
"""

# Amounts as text, because a JSON number would be read as a float.
READ_RESERVATIONS = """
CREATE FUNCTION read_reservations(p_client_id text, p_account_id text, p_named bigint[], p_now timestamptz) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'client_id', r.client_id, 'account_id', r.account_id, 'sequence', r.sequence, 'book_id', r.book_id,
        'instrument_id', r.instrument_id, 'settlement', r.settlement, 'quantity', r.quantity::text, 'price', r.price::text,
        'kind', r.kind, 'lifetime_s', r.lifetime_s, 'reference', r.reference, 'consideration', r.consideration::text,
        'paid_in', r.paid_in, 'filled', r.filled::text, 'reserved_by', r.reserved_by, 'reserved_at', r.reserved_at,
        'expires_at', r.expires_at, 'status', reservation_status(r.state, r.kind, r.expires_at, p_now)
    ) ORDER BY r.sequence), '[]'::jsonb)
    FROM reservation AS r
    WHERE r.client_id = p_client_id AND r.account_id = p_account_id AND (r.state = 'active' OR r.sequence = ANY (p_named))
$$
"""

READ_MARKET_VERSION = """
CREATE FUNCTION read_market_version() RETURNS TABLE (
    snapshot_id text, parameters_version bigint, instruments_version bigint, history_version bigint
)
LANGUAGE sql STABLE AS $$
    SELECT
        (SELECT m.snapshot_id FROM market_snapshot AS m ORDER BY m.as_of DESC, m.stored_order DESC LIMIT 1),
        (SELECT c.value FROM counter AS c WHERE c.name = 'risk_parameters'),
        (SELECT c.value FROM counter AS c WHERE c.name = 'instruments'),
        (SELECT c.value FROM counter AS c WHERE c.name = 'history')
$$
"""

READ_BOOKS = """
CREATE FUNCTION read_books(
    p_client_ids text[], p_account_ids text[], p_reservations bigint[], p_is_fact boolean, p_now timestamptz
)
RETURNS TABLE (
    client_id text, account_id text, display_name text, mode text, parent_id text, status text, sequence bigint, chain_hash bytea,
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
        a.client_id, a.account_id, a.display_name, a.mode, a.parent_id, h.status, h.sequence, h.chain_hash,
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
CREATE FUNCTION begin_decision(
    p_principal text, p_method text, p_key text, p_request_hash bytea, p_is_fact boolean, p_client_ids text[], p_account_ids text[],
    p_reservations bigint[]
)
RETURNS TABLE (
    outcome text, stored_response bytea,
    client_id text, account_id text, display_name text, mode text, parent_id text, status text, sequence bigint, chain_hash bytea,
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
    FROM read_books(p_client_ids, p_account_ids, p_reservations, p_is_fact, clock_timestamp()) AS books;
END
$$
"""

FINISH_DECISION = """
CREATE FUNCTION finish_decision(
    p_principal text, p_method text, p_key text, p_response bytea,
    e_client_ids text[], e_account_ids text[], e_sequences bigint[], e_kinds text[], e_effective_at timestamptz[], e_references text[],
    e_previous_hashes bytea[], e_chain_hashes bytea[],
    p_client_ids text[], p_account_ids text[], p_sequences bigint[], p_legs smallint[], p_ledger_accounts text[], p_book_ids text[],
    p_instrument_ids text[], p_quantities numeric[], p_costs numeric[], p_reservations jsonb
)
RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM finish_write(
        p_principal, p_method, p_key, p_response,
        e_client_ids, e_account_ids, e_sequences, e_kinds, e_effective_at, e_references, e_previous_hashes, e_chain_hashes,
        p_client_ids, p_account_ids, p_sequences, p_legs, p_ledger_accounts, p_book_ids, p_instrument_ids, p_quantities, p_costs
    );
    -- The order itself never changes: only how much of it was filled, and whether it has ended.
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
