"""Positions that are known are not read again, and what is answered with them is what a process that knows nothing would answer."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from crossmargin.adapters.postgres.database import Database
from crossmargin.adapters.postgres.kept_positions import KeptPositions
from crossmargin.adapters.postgres.projections import PostgresProjections
from crossmargin.domain.account import Account, AccountMode
from crossmargin.domain.book import EntryKind, NewEntry, append_to_chain
from crossmargin.domain.client_scope import ClientScope
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.identifiers import AccountId, AccountRef
from crossmargin.usecases.caller import ADMITTED, Caller
from crossmargin.usecases.ports.writing import Decision
from tests.builders import AS_OF
from tests.contract.facts import book_all, deposits, together
from tests.contract.storage import CORE, OTHER, a_deposit, a_request, an_order, decide_reservation, postgres_storage, sql
from tests.ledger_rig import book

SECOND = AccountRef(CORE.client_id, AccountId("second"))
ROUNDS = 40


@pytest.fixture
async def hot(database_url):
    """A service's storage, which keeps what it reads."""
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


async def positions(storage, ref=CORE):
    return (await storage.books.read_books(ref)).states[ref].positions


async def seen_by_a_decision(storage, key, ref=CORE):
    found = []

    async def decide(books):
        found.append(books.states[ref].positions)
        return Decision(b"looked")

    await storage.writer.decide(a_request(key, ref, is_fact=False), decide)
    return found[0]


async def test_what_stands_is_one_tuple_for_previews_and_decisions(hot):
    first = await positions(hot)
    assert [one.quantity for one in first] == [1000]
    assert await positions(hot) is first
    assert await seen_by_a_decision(hot, "look") is first


async def test_a_reservation_moves_no_position_and_a_trade_does(hot):
    first = await positions(hot)
    await hot.writer.decide(a_request("order", CORE, is_fact=False), decide_reservation(an_order()))
    books = await hot.books.read_books(CORE)
    assert books.states[CORE].positions is first
    assert books.states[CORE].head.sequence == 2
    assert len(books.reservations[CORE]) == 1
    await book(hot, a_deposit(CORE, 5))
    assert [one.quantity for one in await positions(hot)] == [1005]


async def test_facts_that_are_written_together_are_seen_and_those_that_move_nothing_leave_all_known(hot):
    first = await positions(hot)

    async def moves_nothing(books):
        note = NewEntry(CORE, EntryKind.METHODOLOGY, AS_OF, "expected shortfall", ())
        return Decision(b"noted", append_to_chain(books.states[CORE].head, (note,)))

    await book_all(hot, *[(a_request(f"note {n}", CORE), moves_nothing) for n in range(3)], (a_request("other", OTHER), deposits(OTHER, 9)))
    books = await hot.books.read_books(CORE)
    assert books.states[CORE].head.sequence == 4
    assert books.states[CORE].positions is first
    await book_all(hot, *[(a_request(f"k{n}", CORE), deposits(CORE, n)) for n in (1, 2, 3)])
    assert [one.quantity for one in await positions(hot)] == [1006]
    assert [one.quantity for one in await positions(hot, OTHER)] == [9]
    assert together(hot) == {4: 1, 3: 1}


async def test_what_another_process_booked_is_seen(hot, database_url):
    await positions(hot)
    async with postgres_storage(database_url) as another:
        await book(another, a_deposit(CORE, 7))
    assert [one.quantity for one in await positions(hot)] == [1007]


@pytest.mark.parametrize("stored", [7, None])
async def test_positions_that_were_made_anew_without_an_entry_are_read_again(hot, owner, database_url, stored):
    sql(database_url, "DELETE FROM position WHERE client_id = 'alpha'")
    if stored is not None:
        sql(database_url, "INSERT INTO position VALUES ('alpha', 'core', 'desk', 'USD', %s, 0)", stored)
    spoiled = [] if stored is None else [stored]
    assert [one.quantity for one in await positions(hot)] == spoiled
    await owner.rebuild("position", CORE)
    assert [one.quantity for one in await positions(hot)] == [1000]
    assert [one.quantity for one in await seen_by_a_decision(hot, "look")] == [1000]


async def test_rows_that_were_taken_away_are_missed_whoever_took_them(hot, database_url):
    assert len(await positions(hot)) == 1
    sql(database_url, "DELETE FROM position WHERE client_id = 'alpha'")
    assert await positions(hot) == ()


async def test_books_that_were_put_back_and_went_another_way_are_others(hot, database_url):
    """As many entries, but not the same ones."""
    await positions(hot)
    sql(database_url, "UPDATE position SET quantity = 3 WHERE client_id = 'alpha'")
    sql(database_url, "UPDATE account_head SET chain_hash = sha256('another history') WHERE client_id = 'alpha'")
    assert [one.quantity for one in await positions(hot)] == [3]


async def test_what_is_known_is_told_to_nobody_who_may_not_see_the_account(hot):
    await positions(hot)
    token = ADMITTED.set(Caller("p", scope=ClientScope(frozenset({OTHER.client_id}))))
    try:
        with pytest.raises(DomainError) as refused:
            await hot.books.read_books(CORE)
        assert refused.value.reason is Reason.UNKNOWN_ACCOUNT
    finally:
        ADMITTED.reset(token)


async def test_a_fact_is_decided_without_positions_and_leaves_them_known(hot):
    first = await positions(hot)
    found = []

    async def decide(books):
        found.append(books.states[CORE].positions)
        return Decision(b"looked")

    await hot.writer.decide(a_request("fact", CORE), decide)
    assert found == [()]
    assert await positions(hot) is first


async def test_under_a_limit_of_the_client_all_its_accounts_come_and_are_known(hot):
    await hot.create(Account(SECOND, "Another", AccountMode.CROSS), ExposureLimits(CORE.client_id, None, gross=Decimal(10)))
    await book(hot, a_deposit(SECOND, 3))
    books = await hot.books.read_books(CORE)
    assert {str(ref): [one.quantity for one in state.positions] for ref, state in books.states.items()} == {
        str(CORE): [1000],
        str(SECOND): [3],
    }
    again = await hot.books.read_books(CORE, SECOND)
    assert all(again.states[ref].positions is books.states[ref].positions for ref in (CORE, SECOND))


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_happens_two_processes_that_keep_and_one_that_does_not_say_the_same(hot, owner, database_url, seed):
    chance = random.Random(seed)  # noqa: S311 - a seed says which run it was
    async with postgres_storage(database_url) as also_hot, postgres_storage(database_url) as cold:
        for number in range(ROUNDS):
            ref = chance.choice((CORE, CORE, OTHER))
            doer = chance.choice((hot, also_hot))
            match chance.choice(("deposit", "line", "order", "spoil", "repair", "look")):
                case "deposit":
                    await book(doer, a_deposit(ref, chance.randint(-9, 9) or 1, instrument=chance.choice(("USD", "BTC"))))
                case "line":
                    facts = [(one, chance.randint(1, 9)) for one in (CORE, OTHER, ref)]
                    await book_all(doer, *[(a_request(f"{number} {n}", one), deposits(one, size)) for n, (one, size) in enumerate(facts)])
                case "order":
                    request = a_request(f"order {number}", ref, is_fact=False)
                    await doer.writer.decide(request, decide_reservation(an_order(account=ref)))
                case "spoil":
                    sql(database_url, "DELETE FROM position WHERE client_id = %s", ref.client_id)
                case "repair":
                    await owner.rebuild("position", ref)
                case _:
                    await seen_by_a_decision(doer, f"look {number}", ref)
            cold.database.positions = KeptPositions()
            fresh = (await cold.books.read_books(CORE, OTHER)).states
            for process in (hot, also_hot):
                kept = (await process.books.read_books(CORE, OTHER)).states
                assert kept == fresh, number
                assert [repr(one) for state in kept.values() for one in state.positions] == [
                    repr(one) for state in fresh.values() for one in state.positions
                ]
