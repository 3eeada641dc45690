"""What a house run knows of an account is not read again while it stands, and is never told when it does not."""

from __future__ import annotations

import random

import pytest

from crossmargin.adapters.postgres.database import Database
from crossmargin.adapters.postgres.kept_packed import KeptPacked
from crossmargin.adapters.postgres.kept_positions import PositionsStamp
from crossmargin.adapters.postgres.projections import PostgresProjections
from crossmargin.domain.client_scope import ClientScope
from crossmargin.domain.packed_positions import PackedPositions
from crossmargin.usecases.caller import ADMITTED, Caller
from tests.contract.storage import CORE, OTHER, a_deposit, a_request, postgres_storage, sql
from tests.ledger_rig import book

ROUNDS = 25


@pytest.fixture
async def hot(database_url):
    async with postgres_storage(database_url) as storage:
        await storage.open_accounts(CORE, OTHER)
        await storage.book(a_request("first", CORE), CORE, 1000)
        yield storage


@pytest.fixture
async def owner(database_url):
    """What repairs projections: somebody else than the service, as a command of its own."""
    database = Database(database_url)
    await database.open()
    yield PostgresProjections(database)
    await database.close()


async def quantities(storage, ref=CORE):
    (state,) = await storage.books.packed_states([ref])
    return [one.quantity for one in state.unpacked().positions]


async def test_what_stands_is_the_same_text_and_what_moved_is_read(hot, database_url):
    first = {state.account.ref: state for state in await hot.books.packed_states([CORE, OTHER])}
    async with postgres_storage(database_url) as another:
        await book(another, a_deposit(OTHER, 7))
    again = {state.account.ref: state for state in await hot.books.packed_states([CORE, OTHER])}
    assert again[CORE].positions is first[CORE].positions
    assert [one.quantity for one in again[OTHER].unpacked().positions] == [7]


async def test_what_is_known_is_not_sent_again(hot, database_url):
    """Rows that somebody changes by hand are what a reader who knows the account does not see before its next entry."""
    assert await quantities(hot) == [1000]
    sql(database_url, "UPDATE position SET quantity = 3 WHERE client_id = 'alpha'")
    assert await quantities(hot) == [1000]
    await book(hot, a_deposit(CORE, 1))
    assert await quantities(hot) == [4]


async def test_positions_made_anew_without_an_entry_are_read_again(hot, owner, database_url):
    await quantities(hot)
    sql(database_url, "DELETE FROM position WHERE client_id = 'alpha'")
    assert await quantities(hot) == []
    await owner.rebuild("position", CORE)
    assert await quantities(hot) == [1000]


async def test_books_that_were_put_back_and_went_another_way_are_others(hot, database_url):
    await quantities(hot)
    sql(database_url, "UPDATE position SET quantity = 3 WHERE client_id = 'alpha'")
    sql(database_url, "UPDATE account_head SET chain_hash = sha256('another history') WHERE client_id = 'alpha'")
    assert await quantities(hot) == [3]


async def test_what_is_known_is_told_to_nobody_who_may_not_see_the_account(hot):
    await quantities(hot)
    token = ADMITTED.set(Caller("p", scope=ClientScope(frozenset({OTHER.client_id}))))
    try:
        assert list(await hot.books.packed_states([CORE])) == []
    finally:
        ADMITTED.reset(token)


async def test_whatever_happens_it_is_what_one_who_knows_nothing_reads(hot, owner, database_url):
    chance = random.Random(1)  # noqa: S311 - a seed says which run it was
    async with postgres_storage(database_url) as cold:
        for number in range(ROUNDS):
            ref = chance.choice((CORE, CORE, OTHER))
            match chance.choice(("deposit", "deposit", "spoil", "repair", "look")):
                case "deposit":
                    await book(hot, a_deposit(ref, chance.randint(-9, 9) or 1, instrument=chance.choice(("USD", "BTC"))))
                case "spoil":
                    sql(database_url, "DELETE FROM position WHERE client_id = %s", ref.client_id)
                case "repair":
                    await owner.rebuild("position", ref)
                case _:
                    await quantities(hot, ref)
            cold.database.packed = KeptPacked()
            fresh = await cold.books.packed_states([CORE, OTHER])
            assert list(map(repr, await hot.books.packed_states([CORE, OTHER]))) == list(map(repr, fresh)), number


def test_what_there_is_no_room_for_is_not_kept_and_takes_nobodys_place():
    stamp = PositionsStamp(1, b"hash", None)
    text = PackedPositions("main USD 1 0")
    room = KeptPacked(most_bytes=600)
    room.keep(CORE, stamp, text)
    room.keep(OTHER, stamp, text)
    assert list(room.known([CORE, OTHER])) == [CORE]
    longer = PackedPositions("main USD 1.000 0")
    room.keep(CORE, PositionsStamp(2, b"next", None), longer)
    assert room.known([CORE])[CORE].positions is longer
    room.keep(CORE, stamp, PackedPositions("main USD 1 0 " * 20))
    assert len(room) == 0, "what is old must not stand in for what is too long"
    room.keep(OTHER, stamp, text)
    assert len(room) == 1
