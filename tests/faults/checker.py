"""Compares the raw tables with what callers were told, in SQL. Nothing here is the service's own code, so that no mistake is made twice.

Each counter is one query that returns what is wrong, one row for each; a sound ledger returns none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

import psycopg

from tests.faults.history import History, LineAnswer, Outcome, account_parts

_SHOWN: Final = 5

_TABLES: Final = """
CREATE TEMP TABLE asked (
    request_id text, kind text, client_id text COLLATE "C", account_id text COLLATE "C", line int, reference text, instrument_id text,
    quantity numeric, about bigint, invoked_at float8
);
CREATE TEMP TABLE answered (
    request_id text, line int, outcome text, sequence bigint, flags text[], invoked_at float8, replied_at float8
);
CREATE TEMP TABLE seen (client_id text COLLATE "C", account_id text COLLATE "C", sequence bigint, invoked_at float8);
"""
# A line that was asked, with the one answer that all answers should agree on. `sequence` 0 is an answer that tells none.
_VIEWS: Final = """
CREATE INDEX ON asked (request_id, line);
CREATE INDEX ON asked (reference);
CREATE INDEX ON answered (request_id, line);
CREATE TEMP VIEW acknowledged AS
SELECT a.request_id, a.kind, a.client_id, a.account_id, a.line, a.reference, a.instrument_id, a.quantity, a.about, a.invoked_at,
    min(r.sequence) AS sequence, min(r.flags) AS flags, min(r.replied_at) AS replied_at
FROM asked AS a JOIN answered AS r USING (request_id, line)
WHERE r.outcome = 'booked'
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10;
-- What fills used of reservations, and which trades they say did.
CREATE TEMP TABLE fill AS
SELECT e.client_id, e.account_id, e.sequence, split_part(e.reference, ' ', 1)::bigint AS reservation,
    split_part(e.reference, ' ', 3)::numeric AS quantity, split_part(e.reference, ' ', 5)::bigint AS trade, e.xmin AS commit
FROM entry AS e WHERE e.kind = 'reservation fill';
CREATE TEMP TABLE ending AS
SELECT e.client_id, e.account_id, e.sequence, split_part(e.reference, ' ', 1)::bigint AS reservation,
    split_part(e.reference, ' ', 2) AS how, e.recorded_at
FROM entry AS e WHERE e.kind = 'reservation end';
-- What entries move for their own account.
CREATE TEMP VIEW own AS
SELECT e.client_id, e.account_id, e.sequence, e.kind, e.reference, e.xmin AS commit, p.instrument_id, p.quantity::numeric AS quantity,
    other.ledger_account AS other_side
FROM entry AS e
JOIN posting AS p USING (client_id, account_id, sequence)
JOIN posting AS other ON (other.client_id, other.account_id, other.sequence) = (p.client_id, p.account_id, p.sequence)
    AND other.leg = p.leg + 1
WHERE p.ledger_account = e.account_id;
CREATE TEMP TABLE timed AS
SELECT e.client_id, e.account_id, e.sequence, e.reference, a.invoked_at, a.replied_at
FROM acknowledged AS a JOIN entry AS e USING (client_id, account_id, sequence);
CREATE INDEX ON fill (client_id, account_id, reservation);
CREATE INDEX ON fill (client_id, account_id, trade);
CREATE INDEX ON ending (client_id, account_id, reservation);
ANALYZE asked; ANALYZE answered; ANALYZE timed; ANALYZE fill; ANALYZE ending;
"""

COUNTERS: Final[dict[str, str]] = {
    # Acknowledged, and not in the ledger under the sequence that was told, with the reference and the quantity that were asked.
    "lost": """
        SELECT a.request_id, a.line, a.sequence FROM acknowledged AS a
        WHERE a.sequence > 0 AND NOT EXISTS (
            SELECT FROM entry AS e
            WHERE (e.client_id, e.account_id, e.sequence) = (a.client_id, a.account_id, a.sequence) AND e.reference = a.reference
                AND (a.quantity = 0 OR EXISTS (
                    SELECT FROM posting AS p
                    WHERE (p.client_id, p.account_id, p.sequence) = (e.client_id, e.account_id, e.sequence)
                        AND p.ledger_account = e.account_id AND p.instrument_id = a.instrument_id AND p.quantity = a.quantity
                ))
        )
        UNION ALL
        SELECT max(a.request_id), 0, count(*) FROM acknowledged AS a
        WHERE a.sequence = 0
        GROUP BY a.client_id, a.account_id, a.reference
        HAVING count(*) > (
            SELECT count(*) FROM entry AS e
            WHERE (e.client_id, e.account_id, e.reference) = (a.client_id, a.account_id, a.reference)
        )
        UNION ALL
        SELECT DISTINCT a.request_id, 0, 0 FROM acknowledged AS a
        WHERE NOT EXISTS (
            SELECT FROM idempotency AS i WHERE i.response IS NOT NULL
                AND i.key IN (a.request_id, a.request_id || ' clients/' || a.client_id || '/accounts/' || a.account_id)
        )
    """,
    # One reference, more than one entry in a ledger; one trade, more than one cancellation.
    "doubled": """
        SELECT e.reference, e.client_id, count(*) FROM entry AS e
        JOIN (SELECT DISTINCT client_id, account_id, reference FROM asked WHERE kind <> 'policy') AS a
            USING (client_id, account_id, reference)
        GROUP BY e.client_id, e.account_id, e.reference HAVING count(*) > 1
        UNION ALL
        SELECT min(d.account_id), d.client_id, count(*) FROM entry_details AS d
        WHERE d.details::jsonb ? 'reverses'
        GROUP BY d.client_id, d.account_id, d.details::jsonb ->> 'reverses' HAVING count(*) > 1
        UNION ALL
        SELECT e.reference, e.client_id, count(*) FROM entry AS e
        WHERE e.kind = 'collateral policy'
        GROUP BY e.client_id, e.account_id, e.reference
        HAVING count(*) > (
            SELECT count(*) FROM asked AS a
            WHERE a.kind = 'policy' AND (a.client_id, a.account_id, a.reference) = (e.client_id, e.account_id, e.reference)
        )
    """,
    # In the ledger, and never asked for, or not like this. A fill follows from a trade that named its reservation, in the same commit; that
    # an immediate order is over, from the time; what funding pays, from what was held.
    "phantom": """
        SELECT e.client_id, e.account_id, e.sequence FROM entry AS e
        WHERE e.reference NOT LIKE '%prepare' AND e.kind <> 'reservation fill'
            AND NOT (e.kind = 'reservation end' AND e.reference LIKE '% expired') AND NOT EXISTS (
            SELECT FROM asked AS a
            WHERE (a.client_id, a.account_id, a.reference) = (e.client_id, e.account_id, e.reference)
                AND (a.quantity = 0 OR EXISTS (
                    SELECT FROM posting AS p
                    WHERE (p.client_id, p.account_id, p.sequence) = (e.client_id, e.account_id, e.sequence)
                        AND p.ledger_account = e.account_id AND p.instrument_id = a.instrument_id AND p.quantity = a.quantity
                ))
        )
        UNION ALL
        SELECT f.client_id, f.account_id, f.sequence FROM fill AS f
        WHERE NOT EXISTS (
            SELECT FROM entry AS e JOIN asked AS a USING (client_id, account_id, reference)
            WHERE (e.client_id, e.account_id, e.sequence) = (f.client_id, f.account_id, f.trade)
                AND e.xmin = f.commit AND a.about = f.reservation AND f.quantity <= a.quantity
        )
        UNION ALL
        SELECT n.client_id, n.account_id, n.sequence FROM ending AS n
        LEFT JOIN reservation AS r ON (r.client_id, r.account_id, r.sequence) = (n.client_id, n.account_id, n.reservation)
        WHERE n.how = 'expired' AND (r.kind = 'immediate' AND r.expires_at <= n.recorded_at + interval '3 s') IS NOT TRUE
        UNION ALL
        SELECT o.client_id, o.account_id, o.sequence FROM own AS o
        JOIN entry_details AS d USING (client_id, account_id, sequence)
        WHERE o.kind = 'funding' AND o.quantity <> -(d.details::jsonb #>> '{terms,rate}')::numeric
            * (d.details::jsonb #>> '{terms,price}')::numeric * (
                SELECT coalesce(sum(h.quantity), 0) FROM own AS h
                WHERE (h.client_id, h.account_id) = (o.client_id, o.account_id) AND h.sequence < o.sequence
                    AND h.instrument_id = split_part(d.details::jsonb ->> 'event', ' ', 2)
            )
    """,
    # Some answer said no, and the ledger says yes.
    "refused but booked": """
        SELECT a.request_id, a.line, e.sequence FROM answered AS r
        JOIN asked AS a USING (request_id, line)
        JOIN entry AS e USING (client_id, account_id, reference)
        WHERE r.outcome = 'refused' AND a.kind NOT IN ('policy', 'funding again')
    """,
    # Two answers under one request id that do not say the same.
    "divergent replies": """
        SELECT request_id, line, count(DISTINCT (outcome, sequence)) FROM answered
        GROUP BY 1, 2 HAVING count(DISTINCT (outcome, sequence)) > 1
        UNION ALL
        SELECT min(request_id), 0, count(DISTINCT request_id) FROM acknowledged
        WHERE sequence > 0
        GROUP BY client_id, account_id, sequence HAVING count(DISTINCT (request_id, line)) > 1
    """,
    # An account's entries are 1, 2, 3 to its head, and each carries the hash of the one before.
    "sequence gaps": """
        SELECT client_id, account_id, sequence FROM (
            SELECT e.client_id, e.account_id, e.sequence, e.previous_hash,
                lag(e.sequence, 1, 0::bigint) OVER chain AS before, lag(e.chain_hash, 1, decode(repeat('00', 32), 'hex')) OVER chain AS hash
            FROM entry AS e WINDOW chain AS (PARTITION BY e.client_id, e.account_id ORDER BY e.sequence)
        ) AS link
        WHERE sequence <> before + 1 OR previous_hash <> hash
        UNION ALL
        SELECT h.client_id, h.account_id, h.sequence FROM account_head AS h
        LEFT JOIN LATERAL (
            SELECT e.sequence, e.chain_hash FROM entry AS e
            WHERE (e.client_id, e.account_id) = (h.client_id, h.account_id) ORDER BY e.sequence DESC LIMIT 1
        ) AS last ON true
        WHERE h.sequence <> coalesce(last.sequence, 0) OR (last.chain_hash IS NOT NULL AND h.chain_hash <> last.chain_hash)
    """,
    # What an account holds is the sum of what was posted to it.
    "balance is not the sum": """
        SELECT client_id, account_id, instrument_id FROM (
            SELECT client_id, account_id, book_id, instrument_id, sum(quantity::numeric) AS quantity, sum(cost::numeric) AS cost
            FROM posting WHERE ledger_account = account_id GROUP BY 1, 2, 3, 4
        ) AS posted
        FULL JOIN (SELECT client_id, account_id, book_id, instrument_id, quantity, cost FROM position) AS held
            USING (client_id, account_id, book_id, instrument_id)
        WHERE coalesce(posted.quantity, 0) <> coalesce(held.quantity, 0) OR coalesce(posted.cost, 0) <> coalesce(held.cost, 0)
    """,
    # When an order was approved, what its account held and had in open orders came to no more than its limit; when money left, there was as
    # much. Facts may go beyond, and say so: nothing is filled beyond its reservation, and a trade of more than was left of it is flagged.
    # All orders are to buy, at the market's price; those that end by the clock are not looked at here (see `clock_jumps`).
    "over limit": """
        SELECT client_id, account_id, sequence FROM (
            SELECT e.client_id, e.account_id, e.sequence, e.kind, opened.notional AS asked, l.gross, coalesce(moved.cash, 0) AS paid,
                sum(coalesce(opened.notional, 0) - coalesce(used.notional, 0) - coalesce(ended.notional, 0)) OVER ledger AS open_notional,
                sum(coalesce(moved.contracts, 0)) OVER ledger * max(opened.price) OVER (PARTITION BY e.client_id, e.account_id) AS held,
                sum(coalesce(moved.cash, 0)) OVER ledger AS cash
            FROM entry AS e
            JOIN exposure_limits AS l USING (client_id, account_id)
            LEFT JOIN LATERAL (
                SELECT r.quantity::numeric * r.price::numeric AS notional, r.price::numeric AS price FROM reservation AS r
                WHERE (r.client_id, r.account_id, r.sequence) = (e.client_id, e.account_id, e.sequence) AND r.kind = 'resting'
            ) AS opened ON true
            LEFT JOIN LATERAL (
                SELECT f.quantity * r.price::numeric AS notional FROM fill AS f
                JOIN reservation AS r ON (r.client_id, r.account_id, r.sequence) = (f.client_id, f.account_id, f.reservation)
                WHERE (f.client_id, f.account_id, f.sequence) = (e.client_id, e.account_id, e.sequence) AND r.kind = 'resting'
            ) AS used ON true
            LEFT JOIN LATERAL (
                SELECT (r.quantity::numeric - coalesce((
                    SELECT sum(f.quantity) FROM fill AS f
                    WHERE (f.client_id, f.account_id, f.reservation) = (n.client_id, n.account_id, n.reservation)
                ), 0)) * r.price::numeric AS notional
                FROM ending AS n
                JOIN reservation AS r ON (r.client_id, r.account_id, r.sequence) = (n.client_id, n.account_id, n.reservation)
                WHERE (n.client_id, n.account_id, n.sequence) = (e.client_id, e.account_id, e.sequence) AND r.kind = 'resting'
            ) AS ended ON true
            LEFT JOIN LATERAL (
                SELECT sum(p.quantity::numeric) FILTER (WHERE p.instrument_id = 'USD') AS cash,
                    sum(p.quantity::numeric) FILTER (WHERE p.instrument_id IN (
                        SELECT r.instrument_id FROM reservation AS r WHERE (r.client_id, r.account_id) = (e.client_id, e.account_id)
                    )) AS contracts
                FROM posting AS p
                WHERE (p.client_id, p.account_id, p.sequence) = (e.client_id, e.account_id, e.sequence) AND p.ledger_account = e.account_id
            ) AS moved ON true
            WINDOW ledger AS (PARTITION BY e.client_id, e.account_id ORDER BY e.sequence)
        ) AS running
        WHERE (asked IS NOT NULL AND open_notional + abs(held) > gross) OR (kind IN ('withdrawal', 'transfer') AND paid < 0 AND cash < 0)
        UNION ALL
        SELECT f.client_id, f.account_id, f.reservation FROM fill AS f
        LEFT JOIN reservation AS r ON (r.client_id, r.account_id, r.sequence) = (f.client_id, f.account_id, f.reservation)
        GROUP BY f.client_id, f.account_id, f.reservation, r.quantity
        HAVING (sum(f.quantity) <= r.quantity::numeric) IS NOT TRUE
        UNION ALL
        SELECT a.client_id, a.account_id, a.sequence FROM acknowledged AS a
        LEFT JOIN fill AS f ON (f.client_id, f.account_id, f.trade) = (a.client_id, a.account_id, a.sequence)
        WHERE a.kind = 'fill' AND (coalesce(f.quantity, 0) < a.quantity) <> (a.flags && ARRAY[
            'TRADE_FLAG_BEYOND_RESERVATION', 'TRADE_FLAG_AFTER_RELEASE', 'TRADE_FLAG_AFTER_EXPIRY'
        ])
    """,
    # Nothing comes from nowhere: every entry, and with it the ledger, sums to zero in each instrument; and what a transfer takes from one
    # account it brings to the other, in the same commit.
    "sum is not zero": """
        SELECT client_id, account_id, sequence FROM posting
        GROUP BY client_id, account_id, sequence, instrument_id HAVING sum(quantity::numeric) <> 0 OR sum(cost::numeric) <> 0
        UNION ALL
        SELECT o.client_id, o.account_id, o.sequence FROM own AS o
        WHERE o.kind = 'transfer' AND 1 <> (
            SELECT count(*) FROM own AS there
            WHERE (there.client_id, there.account_id) = (o.client_id, o.other_side) AND there.other_side = o.account_id
                AND there.kind = 'transfer' AND there.reference = o.reference AND there.instrument_id = o.instrument_id
                AND there.quantity = -o.quantity AND there.commit = o.commit
        )
    """,
    # What was answered before another was asked comes before it; and a read shows whatever was answered before it began.
    "real-time order": """
        SELECT client_id, account_id, sequence FROM (
            SELECT t.*, min(t.replied_at) OVER (
                PARTITION BY t.client_id, t.account_id ORDER BY t.sequence ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
            ) AS later_replied_at
            FROM timed AS t
        ) AS ordered
        WHERE later_replied_at < invoked_at
        UNION ALL
        SELECT s.client_id, s.account_id, s.sequence FROM seen AS s
        WHERE EXISTS (
            SELECT FROM timed AS t
            WHERE (t.client_id, t.account_id) = (s.client_id, s.account_id) AND t.replied_at < s.invoked_at AND t.sequence > s.sequence
        )
    """,
}


@dataclass(frozen=True, slots=True)
class Count:
    """How often a counter found something, and the first few things it found."""

    total: int
    examples: tuple[str, ...]


LEDGER_ALONE: Final = frozenset({"sequence gaps", "balance is not the sum", "over limit", "sum is not zero"})
"""Counters that need no history: what must hold of any ledger."""


def check(url: str, history: History, *, names: Collection[str] = tuple(COUNTERS)) -> dict[str, Count]:
    """Return the counters by their names. The service must be at rest, with every operation decided."""
    with psycopg.connect(url) as connection:
        connection.execute(_TABLES)
        _load(connection, history)
        connection.execute(_VIEWS)
        return {name: _count(connection, COUNTERS[name]) for name in COUNTERS if name in names}


def _load(connection, history: History) -> None:
    with connection.cursor().copy("COPY asked FROM STDIN") as copy:
        for row in _asked(history):
            copy.write_row(row)
    with connection.cursor().copy("COPY answered FROM STDIN") as copy:
        for row in _answered(history):
            copy.write_row(row)
    with connection.cursor().copy("COPY seen FROM STDIN") as copy:
        for read in history.reads:
            copy.write_row((*account_parts(read.account), read.sequence, read.invoked_at))


def _asked(history: History) -> Iterator[tuple]:
    for request_id, operation in history.operations.items():
        for number, line in enumerate(operation.lines):
            moved = (number, line.reference, line.instrument_id, line.quantity, line.about)
            account = account_parts(line.account or operation.account)
            yield (request_id, operation.kind, *account, *moved, history.first_invoked[request_id])


def _answered(history: History) -> Iterator[tuple]:
    for answer in history.answers:
        if answer.operation.is_altered or answer.outcome not in {Outcome.BOOKED, Outcome.REFUSED}:
            continue
        for number in range(len(answer.operation.lines)):
            said = answer.lines[number] if answer.lines else LineAnswer(None)
            outcome = "refused" if said.sequence is None else "booked"
            told = (outcome, said.sequence, list(said.flags))
            yield (answer.operation.request_id, number, *told, answer.invoked_at, answer.replied_at)


def _count(connection, query: str) -> Count:
    rows = connection.execute(query).fetchall()
    return Count(len(rows), tuple("/".join(map(str, row)) for row in rows[:_SHOWN]))
