"""The accounts of a question, and what is known of them, as the database takes them: nearly always one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from crossmargin.adapters.postgres.kept_positions import Known
from crossmargin.domain.identifiers import AccountRef

ONE: Final = b"ARRAY[%s::text], ARRAY[%s::text], ARRAY[%s::bigint], ARRAY[%s::bytea], ARRAY[%s::uuid]"
"""The places of one account: it is made into arrays where that costs least."""
SEVERAL: Final = b"%s::text[], %s::text[], %s::bigint[], %s::bytea[], %s::uuid[]"


def account_values(refs: Sequence[AccountRef], known: Known) -> tuple[object, ...]:
    """Return what goes into the places `ONE` for one account, and into `SEVERAL` for another number of them.

    Names, and beside them the sequence, chain hash and epoch that each account is known to stand at; null where nothing is known.
    """
    if len(refs) == 1:
        return _values(refs[0], known)
    rows = [_values(ref, known) for ref in dict.fromkeys(refs)]
    return tuple([row[column] for row in rows] for column in range(5))


def _values(ref: AccountRef, known: Known) -> tuple[object, ...]:
    found = known.get(ref)
    if found is None:
        return ref.client_id, ref.account_id, None, None, None
    stamp = found.stamp
    return ref.client_id, ref.account_id, stamp.sequence, stamp.chain_hash, stamp.epoch
