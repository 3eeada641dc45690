"""What is kept of positions is bounded, and follows the entries that move none."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from crossmargin.adapters.postgres.kept_positions import KeptPositions, PositionsStamp, columns_of
from crossmargin.domain.account import GENESIS_HASH, AccountHead, AccountMode, AccountStatus
from crossmargin.domain.book import EntryKind, NewEntry, append_to_chain
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, InstrumentId
from crossmargin.domain.position import Position
from tests.builders import AS_OF
from tests.contract.storage import CORE, a_deposit

FIRST, SECOND, THIRD = (AccountRef(ClientId("alpha"), AccountId(name)) for name in ("first", "second", "third"))
EPOCH = UUID(int=7)
NOTHING_MOVES = NewEntry(CORE, EntryKind.RESERVATION, AS_OF, "an order", ())


def some(number):
    return tuple(Position(BookId("desk"), InstrumentId(f"P{place}"), Decimal(1)) for place in range(number))


def stamp(sequence=0, chain_hash=GENESIS_HASH):
    return PositionsStamp(sequence, chain_hash, EPOCH)


def chained(*entries):
    return append_to_chain(AccountHead(CORE, AccountMode.CROSS, AccountStatus.OPEN, sequence=0, chain_hash=GENESIS_HASH), entries)


def test_the_account_asked_for_longest_ago_goes_first():
    kept = KeptPositions(most_positions=24)
    kept.keep(FIRST, stamp(), some(10))
    kept.keep(SECOND, stamp(), some(10))
    assert set(kept.known([FIRST])) == {FIRST}
    kept.keep(THIRD, stamp(), some(10))
    assert set(kept.known([FIRST, SECOND, THIRD])) == {FIRST, THIRD}


def test_what_is_read_again_is_counted_once():
    kept = KeptPositions(most_positions=24)
    for _ in range(9):
        kept.keep(FIRST, stamp(), some(10))
    kept.keep(SECOND, stamp(), some(10))
    assert set(kept.known([FIRST, SECOND])) == {FIRST, SECOND}


def test_an_account_too_large_to_be_kept_pushes_nobody_out():
    kept = KeptPositions(most_positions=24)
    kept.keep(FIRST, stamp(), some(10))
    kept.keep(SECOND, stamp(), some(10))
    kept.keep(SECOND, stamp(1), some(23))
    assert set(kept.known([FIRST, SECOND])) == {FIRST}


def test_entries_that_move_nothing_are_followed_as_far_as_they_go():
    kept, held = KeptPositions(), some(2)
    kept.keep(CORE, stamp(), held)
    one, two, moving, after = chained(NOTHING_MOVES, NOTHING_MOVES, a_deposit(CORE, 5), NOTHING_MOVES)
    kept.follow([one, two])
    known = kept.known([CORE])[CORE]
    assert (known.stamp, known.positions is held) == (PositionsStamp(2, two.chain_hash, EPOCH), True)
    kept.follow([moving, after])
    assert kept.known([CORE])[CORE].stamp.sequence == 2


@pytest.mark.parametrize("other", [stamp(1), stamp(0, b"x" * 32)])
def test_entries_that_do_not_continue_what_is_kept_are_not_followed(other):
    kept = KeptPositions()
    kept.keep(CORE, other, some(1))
    kept.follow(chained(NOTHING_MOVES))
    assert kept.known([CORE])[CORE].stamp == other


def test_entries_of_an_account_that_is_not_kept_are_nobodys():
    kept = KeptPositions()
    kept.follow(chained(replace(NOTHING_MOVES, reference="another order")))
    assert len(kept) == 0


def test_what_is_known_is_asked_with_in_columns():
    kept = KeptPositions()
    kept.keep(FIRST, stamp(3), some(1))
    assert list(columns_of(kept.known([FIRST, SECOND])).values()) == [["alpha"], ["first"], [3], [GENESIS_HASH], [EPOCH]]
