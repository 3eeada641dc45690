"""What every storage promises about statements: compared with the books of their time, kept as they were, breaks noted in order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.adapters.memory.reconciliation import MemoryReconciliationStore
from crossmargin.adapters.postgres.reconciliation import PostgresReconciliationStore
from crossmargin.adapters.runtime.clock import SystemClock
from crossmargin.domain.client_scope import NO_CLIENT, ClientScope
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, BookId, InstrumentId
from crossmargin.domain.reconciliation import BreakKind, BreakState, Statement, StatementLine
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.note_break import NoteBreak
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.ports.reconciliation import BreakFilter
from crossmargin.usecases.reconcile_statement import ReconcileStatement
from tests.builders import AS_OF
from tests.contract.storage import CORE, OTHER, a_deposit
from tests.ledger_rig import FUND, a_trade, book

USD, EUR, PERP = InstrumentId("USD"), InstrumentId("EUR"), InstrumentId("BTC-PERP")
DAY = timedelta(days=1)
ALL = Page(100)
NOBODY = replace(CORE, account_id=AccountId("nobody"))


@pytest.fixture
async def store(storage):
    """Two accounts; the first has 1,000 USD in two books at noon, 50 more a day later, and a contract."""
    await storage.open_accounts(CORE, FUND, OTHER)
    await book(storage, a_deposit(CORE, 900), a_deposit(CORE, 100, book=BookId("other")), a_trade(CORE, 2, cost=80))
    await book(storage, replace(a_deposit(CORE, 50), effective_at=AS_OF + DAY))
    is_memory = type(storage.books).__name__.startswith("Memory")
    return MemoryReconciliationStore(storage.database) if is_memory else PostgresReconciliationStore(storage.database)


@pytest.fixture
def reconcile(storage, store):
    async def run(statement, *, key=None):
        return await ReconcileStatement(storage.writer, store)(statement, caller=Caller("alice", key or statement.statement_id))

    return run


@pytest.fixture
def note(storage, store):
    async def run(statement_id, state, words, *, account=CORE, instrument=USD, key=None, by="alice"):
        caller = Caller(by, key or f"{state} {words}".replace(" ", "-"))
        return await NoteBreak(storage.writer, store, SystemClock())(statement_id, account, instrument, state, words, caller=caller)

    return run


def says(*lines, as_of=AS_OF, source="bank-1", **changes):
    """A statement of (account, instrument, quantity)."""
    return Statement(source, as_of, tuple(StatementLine(ref, name, Decimal(quantity)) for ref, name, quantity in lines), **changes)


def found(reconciled):
    return [
        (each.account, each.instrument_id, each.kind, each.stated, each.held) for each in reconciled.comparisons if each.kind is not None
    ]


async def refusal(reason, awaitable):
    with pytest.raises(DomainError) as refused:
        await awaitable
    assert refused.value.reason is reason
    return refused.value


async def test_what_was_held_is_that_of_the_moment_over_all_books(store):
    held = await store.held_at([CORE, OTHER], AS_OF)
    assert (held[CORE].sequence, held[CORE].quantities) == (3, {USD: 1000, PERP: 2})
    assert (held[OTHER].sequence, held[OTHER].quantities) == (0, {})
    later = await store.held_at([CORE], AS_OF + DAY)
    assert (later[CORE].sequence, later[CORE].quantities[USD]) == (4, 1050)
    assert (await store.held_at([CORE], AS_OF - DAY))[CORE].quantities == {}
    await refusal(Reason.UNKNOWN_ACCOUNT, store.held_at([NOBODY], AS_OF))


async def test_a_statement_that_agrees_has_no_breaks(reconcile):
    reconciled = await reconcile(says((CORE, USD, 1000), (CORE, PERP, 2)))
    assert found(reconciled) == []
    assert (len(reconciled.comparisons), reconciled.sequences, reconciled.reconciled_by) == (2, {CORE: 3}, "alice")


async def test_every_way_to_part_is_named(reconcile):
    reconciled = await reconcile(says((CORE, USD, "999.5"), (CORE, EUR, 7), accounts=(CORE, OTHER)))
    assert found(reconciled) == [
        (CORE, PERP, BreakKind.MISSING_THERE, None, 2),
        (CORE, EUR, BreakKind.MISSING_HERE, 7, 0),
        (CORE, USD, BreakKind.QUANTITY_DIFFERS, Decimal("999.5"), 1000),
    ] or sorted(found(reconciled), key=lambda each: each[1]) == [
        (CORE, PERP, BreakKind.MISSING_THERE, None, 2),
        (CORE, EUR, BreakKind.MISSING_HERE, 7, 0),
        (CORE, USD, BreakKind.QUANTITY_DIFFERS, Decimal("999.5"), 1000),
    ]


async def test_a_venue_speaks_of_its_contracts_only_and_a_tolerance_is_kept(reconcile):
    assert found(await reconcile(says((CORE, PERP, 2), instruments=(PERP,)))) == []
    assert found(await reconcile(says((CORE, PERP, 2), (CORE, USD, "999.99"), tolerance=Decimal("0.01")))) == []
    assert len(found(await reconcile(says((CORE, PERP, 2), (CORE, USD, "999.98"), tolerance=Decimal("0.01"))))) == 1


async def test_a_break_says_since_when(reconcile):
    first = await reconcile(says((CORE, USD, 900), (CORE, PERP, 2), as_of=AS_OF - timedelta(seconds=0)))
    assert [each.last_agreed for each in first.comparisons if each.kind is not None] == [None]
    await reconcile(says((CORE, USD, 1000), (CORE, PERP, 2), as_of=AS_OF + timedelta(hours=1)))
    await reconcile(says((CORE, USD, 1000), as_of=AS_OF + timedelta(hours=2), source="bank-2", instruments=(USD,)))
    parted = await reconcile(says((CORE, USD, 1000), (CORE, PERP, 2), as_of=AS_OF + DAY))
    (usd,) = [each for each in parted.comparisons if each.kind is not None]
    assert (usd.stated, usd.held, usd.last_agreed.sequence, usd.last_agreed.as_of) == (1000, 1050, 3, AS_OF + timedelta(hours=1))


async def test_the_same_statement_again_is_answered_as_it_was(storage, store, reconcile):
    statement = says((CORE, USD, 1000), (CORE, PERP, 2))
    first = await reconcile(statement)
    # Booked late: it changes what was held at the time, and not what was reconciled.
    await book(storage, a_deposit(CORE, 5))
    assert await reconcile(statement, key="another") == first
    assert await store.find_statement(statement.statement_id) == first
    assert await store.find_statement("0" * 32) is None


async def test_breaks_are_listed_in_order_chosen_and_in_pages(store, reconcile):
    for day in range(3):
        await reconcile(says((CORE, USD, 1), (OTHER, EUR, 1), as_of=AS_OF + day * DAY, instruments=(USD, EUR)))
    await reconcile(says((CORE, USD, 2), source="bank-2", instruments=(USD,)))
    every = await store.list_breaks(BreakFilter(), ALL)
    assert len(every) == 7
    assert [each.key for each in every] == sorted(each.key for each in every)
    paged, after = [], None
    while page := await store.list_breaks(BreakFilter(), Page(2, after)):
        paged, after = [*paged, *page], page[-1].key
    assert paged == list(every)
    assert len(await store.list_breaks(BreakFilter(source="bank-2"), ALL)) == 1
    assert {each.comparison.account for each in await store.list_breaks(BreakFilter(account=OTHER), ALL)} == {OTHER}
    assert len(await store.list_breaks(BreakFilter(statement_id=every[0].statement_id), ALL)) in {1, 2}
    inside = ClientScope(frozenset({OTHER.client_id}))
    assert {each.comparison.account for each in await store.list_breaks(BreakFilter(scope=inside), ALL)} == {OTHER}
    assert await store.list_breaks(BreakFilter(scope=NO_CLIENT), ALL) == []
    assert await store.list_breaks(BreakFilter(state=BreakState.CLOSED), ALL) == []
    assert len(await store.list_breaks(BreakFilter(state=BreakState.OPEN), ALL)) == 7


async def test_a_break_is_explained_and_then_closed_and_every_note_says_by_whom(store, reconcile, note):
    statement = says((CORE, USD, 1), instruments=(USD,))
    await reconcile(statement)
    explained = await note(statement.statement_id, BreakState.EXPLAINED, "in transit")
    assert (explained.state, explained.note.note, explained.note.noted_by, explained.note.number) == (
        BreakState.EXPLAINED,
        "in transit",
        "alice",
        1,
    )
    again = await note(statement.statement_id, BreakState.EXPLAINED, "in transit")
    assert again == explained, "the same request again is the same note"
    closed = await note(statement.statement_id, BreakState.CLOSED, "booked", by="bob")
    assert (closed.state, closed.note.number, closed.note.noted_by) == (BreakState.CLOSED, 2, "bob")
    assert list(await store.list_breaks(BreakFilter(state=BreakState.CLOSED), ALL)) == [closed]
    assert await store.list_breaks(BreakFilter(state=BreakState.EXPLAINED), ALL) == []
    await refusal(Reason.BREAK_CLOSED, note(statement.statement_id, BreakState.EXPLAINED, "late"))
    assert await note(statement.statement_id, BreakState.CLOSED, "booked", by="bob") == closed


async def test_what_cannot_be_noted_is_refused(reconcile, note):
    statement = says((CORE, USD, 1000), instruments=(USD,))
    await reconcile(statement)
    told = await refusal(Reason.UNKNOWN_BREAK, note(statement.statement_id, BreakState.CLOSED, "it agrees"))
    assert "list what there is" in told.message
    await refusal(Reason.UNKNOWN_BREAK, note("0" * 32, BreakState.CLOSED, "no statement"))
    parted = says((CORE, USD, 1), instruments=(USD,))
    await reconcile(parted)
    await refusal(Reason.INVALID_ARGUMENT, note(parted.statement_id, BreakState.CLOSED, " "))


async def test_a_statement_about_no_account_of_ours_stores_nothing(storage, store, reconcile):
    before = storage.row_counts()
    await refusal(Reason.UNKNOWN_ACCOUNT, reconcile(says((NOBODY, USD, 1))))
    assert storage.row_counts() == before
    assert await store.list_breaks(BreakFilter(), ALL) == []
