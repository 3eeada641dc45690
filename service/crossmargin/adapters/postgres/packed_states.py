"""What a whole house holds, packed: asked for many accounts at a time, and not read again where it has not moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crossmargin.adapters.postgres.database import Row
from crossmargin.adapters.postgres.kept_packed import KeptPacked, KnownPacked
from crossmargin.adapters.postgres.kept_positions import PositionsStamp, columns_of
from crossmargin.adapters.postgres.statements import Statement
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.packed_positions import PackedPositions

# One text for each account: whoever asks for a house would otherwise take it apart on the thread that everybody's calls wait for. No
# positions of an account that stands where k says that it is known.
PACKED_STATES: Final = Statement(
    b"""
SELECT
    a.client_id, a.account_id, a.display_name, a.mode, a.parent_id, a.methodology,
    h.sequence, h.chain_hash, h.status, h.positions_epoch, k.client_id IS NOT NULL AS is_known,
    held.positions, chosen.policy_instrument_ids, chosen.policies
FROM account AS a
JOIN account_head AS h ON h.client_id = a.client_id AND h.account_id = a.account_id
LEFT JOIN unnest(%(known_client_ids)s::text[], %(known_account_ids)s::text[], %(known_sequences)s::bigint[],
        %(known_chain_hashes)s::bytea[], %(known_epochs)s::uuid[])
    AS k (client_id, account_id, sequence, chain_hash, epoch)
    ON k.client_id = h.client_id AND k.account_id = h.account_id
    AND k.sequence = h.sequence AND k.chain_hash = h.chain_hash AND k.epoch IS NOT DISTINCT FROM h.positions_epoch
CROSS JOIN LATERAL (
    SELECT string_agg(
        p.book_id || ' ' || p.instrument_id || ' ' || p.quantity::numeric::text || ' ' || p.cost::numeric::text,
        ' ' ORDER BY p.book_id, p.instrument_id
    ) AS positions
    FROM position AS p
    WHERE p.client_id = a.client_id AND p.account_id = a.account_id AND (p.quantity <> 0 OR p.cost <> 0) AND k.client_id IS NULL
) AS held
CROSS JOIN LATERAL (
    SELECT
        array_agg(c.instrument_id ORDER BY c.instrument_id) AS policy_instrument_ids,
        array_agg(c.policy ORDER BY c.instrument_id) AS policies
    FROM collateral_policy AS c
    WHERE c.client_id = a.client_id AND c.account_id = a.account_id
) AS chosen
WHERE (a.client_id, a.account_id) IN (SELECT * FROM unnest(%(client_ids)s::text[], %(account_ids)s::text[]))
ORDER BY a.client_id, a.account_id
""",
    {},
    frozenset({"client_ids", "account_ids", *columns_of({})}),
)


def packed_positions_from_row(row: Row, ref: AccountRef, known: Mapping[AccountRef, KnownPacked], kept: KeptPacked) -> PackedPositions:
    """Return what a row says that an account holds, beyond what was known when it was asked for; keep what it says anew."""
    if row["is_known"]:
        return known[ref].positions
    positions = PackedPositions(row["positions"] or "")
    kept.keep(ref, PositionsStamp(row["sequence"], row["chain_hash"], row["positions_epoch"]), positions)
    return positions
