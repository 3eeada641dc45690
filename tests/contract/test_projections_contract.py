"""What every storage promises about projections and nightly checks: differences are named, a rebuild removes them, and nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from crossmargin.adapters.memory.ledger_checks import MemoryLedgerChecks
from crossmargin.adapters.memory.projections import MemoryProjections
from crossmargin.adapters.postgres.database import Database
from crossmargin.adapters.postgres.ledger_checks import PostgresLedgerChecks
from crossmargin.adapters.postgres.projections import PROJECTIONS, PostgresProjections
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, InstrumentId
from crossmargin.domain.ledger_audit import FindingKind
from crossmargin.domain.position import Position
from crossmargin.domain.reservation import ReservationStatus
from crossmargin.usecases.rebuild_projections import RebuildProjections
from tests.builders import AS_OF
from tests.contract.storage import CORE, DESK, OTHER, a_deposit, sql
from tests.ledger_rig import ACCOUNTS, FUND, a_history, a_trade, anchor_store, book, book_orders

USD = InstrumentId("USD")


def is_memory(storage):
    return type(storage.books).__name__.startswith("Memory")


@pytest.fixture
async def projections(storage, request):
    await a_history(storage)
    # A position that was closed says nothing, whether it is stored or not.
    await book(storage, a_deposit(FUND, 3), a_deposit(FUND, -3))
    if is_memory(storage):
        yield MemoryProjections(storage.database)
        return
    # The service may not take rows away; who repairs is who owns the tables.
    owner = Database(request.getfixturevalue("database_url"))
    await owner.open()
    yield PostgresProjections(owner)
    await owner.close()


@pytest.fixture
def checks(storage):
    return MemoryLedgerChecks(storage.database) if is_memory(storage) else PostgresLedgerChecks(storage.database)


@pytest.fixture
def spoil(request, storage):
    """Give an account a position in USD that its ledger does not; None for no row at all."""

    def run(ref, quantity):
        if is_memory(storage):
            held = dict(storage.database.contents.positions.get(ref, {}))
            held.pop((DESK, USD), None)
            if quantity is not None:
                held[DESK, USD] = Position(DESK, USD, Decimal(quantity))
            storage.database.contents.positions[ref] = held
            return
        url = request.getfixturevalue("database_url")
        sql(url, "DELETE FROM position WHERE (client_id, account_id, instrument_id) = (%s, %s, 'USD')", ref.client_id, ref.account_id)
        if quantity is not None:
            sql(url, "INSERT INTO position VALUES (%s, %s, 'desk', 'USD', %s, 0)", ref.client_id, ref.account_id, quantity)

    return run


def test_what_there_is_has_a_name(projections):
    assert "position" in projections.names
    assert set(PROJECTIONS) >= {"position"}


async def test_what_the_ledger_says_differs_nowhere(projections):
    assert list(await projections.differences("position", ACCOUNTS)) == []


async def test_every_way_to_differ_is_said_in_words(projections, spoil):
    spoil(CORE, "7.5")
    spoil(OTHER, 2)
    assert [str(each) for each in await projections.differences("position", ACCOUNTS)] == [
        f"position of {CORE}, book desk, instrument USD: stored quantity 7.5, cost 0, due quantity 1005.000000000000000001, cost 0",
        f"position of {OTHER}, book desk, instrument USD: stored quantity 2, cost 0, due nothing",
    ]
    spoil(CORE, None)
    spoil(OTHER, 0)
    (found,) = await projections.differences("position", ACCOUNTS)
    assert (found.account, found.stored, found.due) == (CORE, None, "quantity 1005.000000000000000001, cost 0")
    assert list(await projections.differences("position", [OTHER])) == []


async def test_a_rebuild_puts_right_one_account_and_says_what(storage, projections, spoil):
    before = await storage.books.account_state(CORE)
    spoil(CORE, 7)
    spoil(OTHER, 7)
    (repaired,) = await projections.rebuild("position", CORE)
    assert (repaired.account, repaired.stored) == (CORE, "quantity 7, cost 0")
    assert (await storage.books.account_state(CORE)).positions == before.positions
    assert [each.account for each in await projections.differences("position", ACCOUNTS)] == [OTHER]
    assert list(await projections.rebuild("position", CORE)) == []


async def test_an_account_that_is_not_there_is_refused(projections):
    with pytest.raises(DomainError) as refused:
        await projections.rebuild("position", replace(CORE, account_id=AccountId("nobody")))
    assert refused.value.reason is Reason.UNKNOWN_ACCOUNT


async def test_writers_go_on_while_projections_are_compared_and_rebuilt(storage, projections):
    async def write():
        for number in range(30):
            await book(storage, a_trade(CORE, number), a_deposit(CORE, number))

    writing = asyncio.create_task(write())
    while not writing.done():
        assert list(await projections.differences("position", ACCOUNTS)) == []
        assert list(await projections.rebuild("position", CORE)) == []
        await asyncio.sleep(0)
    await writing
    assert list(await projections.differences("position", ACCOUNTS)) == []


async def test_a_repair_touches_what_differs_and_tells_it(storage, projections, spoil):
    rebuild, told = RebuildProjections(anchor_store(storage), projections), []
    assert list(await rebuild.compare()) == []
    spoil(CORE, 7)
    spoil(FUND, 8)
    differences = await rebuild.compare()
    assert [each.account for each in differences] == [CORE, FUND]
    assert await rebuild.repair(differences, told.append) == 2
    assert [each.account for each in told] == [CORE, FUND]
    assert list(await rebuild.compare()) == []


# Reservations


@pytest.fixture
async def orders(storage, projections):
    await book_orders(storage, CORE)
    await book_orders(storage, OTHER)
    return projections


async def held(storage, ref):
    return list(await storage.books.list_reservations(ref, after_sequence=0, limit=99))


@pytest.fixture
def spoil_order(request, storage):
    """Change a column of one reservation, or take it away."""

    def run(ref, sequence, **changes):
        if is_memory(storage):
            orders = storage.database.contents.reservations
            one = orders.pop((ref, sequence))
            if changes:
                status = ReservationStatus(changes.pop("state")) if "state" in changes else one.status
                order = replace(one.order, price=changes.pop("price", one.order.price))
                orders[ref, sequence] = replace(one, order=order, status=status, **changes)
            return
        where = "WHERE (client_id, account_id, sequence) = (%s, %s, %s)"
        what = ", ".join(f"{name} = %s" for name in changes)
        statement = " ".join(("UPDATE reservation SET", what, where) if changes else ("DELETE FROM reservation", where))
        sql(request.getfixturevalue("database_url"), statement, *changes.values(), ref.client_id, ref.account_id, sequence)

    return run


async def test_orders_that_end_in_every_way_differ_nowhere(storage, orders):
    assert "reservation" in orders.names
    states = [one.status for one in await held(storage, CORE)]
    assert states == [*[ReservationStatus.ACTIVE] * 2, ReservationStatus.FILLED, *[ReservationStatus.RELEASED] * 2]
    assert list(await orders.differences("reservation", ACCOUNTS)) == []


@pytest.mark.parametrize(
    ("place", "changes"),
    [
        (0, {}),
        (0, {"price": Decimal(1)}),
        (0, {"consideration": Decimal(1)}),
        (0, {"filled": Decimal(1)}),
        (1, {"filled": Decimal(0)}),
        (0, {"reserved_by": "somebody"}),
        (0, {"state": "released"}),
        (3, {"state": "active"}),
        (1, {"paid_in": InstrumentId("USD")}),
        (1, {"expires_at": AS_OF}),
    ],
)
async def test_a_reservation_that_was_changed_is_found_and_put_right(storage, orders, spoil_order, place, changes):
    before = await held(storage, CORE)
    spoil_order(CORE, before[place].sequence, **changes)
    (found,) = await orders.differences("reservation", ACCOUNTS)
    assert (found.projection, found.account, found.row) == ("reservation", CORE, f"sequence {before[place].sequence}")
    assert (found.stored is None) == (not changes)
    assert found.finding().kind is FindingKind.RESERVATION_DIFFERS
    assert [each.row for each in await orders.rebuild("reservation", CORE)] == [found.row]
    assert await held(storage, CORE) == before
    assert list(await orders.differences("reservation", ACCOUNTS)) == []


async def test_orders_go_on_while_they_are_compared_and_rebuilt(storage, projections):
    async def write():
        for number in range(0, 30, 10):
            await book_orders(storage, CORE, start=number)

    writing = asyncio.create_task(write())
    while not writing.done():
        assert list(await projections.differences("reservation", ACCOUNTS)) == []
        assert list(await projections.rebuild("reservation", CORE)) == []
        await asyncio.sleep(0)
    await writing
    assert len(await held(storage, CORE)) == 15


# Nightly checks


async def test_a_sound_ledger_passes(projections, checks):
    nothing_before = dict.fromkeys(ACCOUNTS, 0)
    assert list(await checks.unbalanced_entries(nothing_before)) == []
    assert list(await checks.heads_off_their_entries(nothing_before)) == []


async def test_entries_that_do_not_balance_are_named_if_they_are_of_the_time_asked_for(request, storage, projections, checks):
    unbalance(request, storage)
    (found,) = await checks.unbalanced_entries(dict.fromkeys(ACCOUNTS, 0))
    assert (found.kind, found.account, found.sequence) == (FindingKind.ENTRY_UNBALANCED, str(CORE), 3)
    assert found.message == "postings of entry 3 in USD sum to 1 at cost 0; expected nothing"
    assert list(await checks.unbalanced_entries({CORE: 3, OTHER: 0})) == []
    assert len(list(await checks.unbalanced_entries({CORE: 2}))) == 1


def unbalance(request, storage):
    if is_memory(storage):
        entries = storage.database.contents.entries
        numbered = entries[CORE, 3]
        first, *rest = numbered.entry.postings
        spoilt = object.__new__(type(numbered.entry))
        for name in numbered.entry.__dataclass_fields__:
            object.__setattr__(spoilt, name, getattr(numbered.entry, name))
        object.__setattr__(spoilt, "postings", (replace(first, quantity=first.quantity + 1), *rest))
        entries[CORE, 3] = replace(numbered, entry=spoilt)
        return
    owner(request, "UPDATE posting SET quantity = quantity + 1 WHERE (client_id, account_id, sequence, leg) = ('alpha', 'core', 3, 1)")


def owner(request, statement):
    sql(
        request.getfixturevalue("database_url"),
        f"DO $$ BEGIN SET LOCAL session_replication_role = replica; {statement}; END $$",
    )


@pytest.mark.usefixtures("projections")
@pytest.mark.parametrize(("sequence", "words"), [(4, "is not the last"), (9, "is gone"), (0, "is not the last")])
async def test_a_head_off_its_entries_is_named(request, storage, checks, sequence, words):
    if is_memory(storage):
        heads = storage.database.contents.heads
        heads[CORE] = replace(heads[CORE], sequence=sequence)
    else:
        owner(request, f"UPDATE account_head SET sequence = {sequence} WHERE (client_id, account_id) = ('alpha', 'core')")  # noqa: S608
    (found,) = await checks.heads_off_their_entries(dict.fromkeys(ACCOUNTS, 0))
    assert (found.kind, found.account, found.sequence) == (FindingKind.HEAD_DIFFERS, str(CORE), sequence)
    assert words in found.message
