"""A storage under test: its ports, and a way to look behind them."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg

from crossmargin.adapters.memory.audit_trail import MemoryAuditTrail
from crossmargin.adapters.memory.books import MemoryBookReader
from crossmargin.adapters.memory.breakers import MemoryBreakerStore
from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.adapters.memory.instruments import MemoryInstrumentReader
from crossmargin.adapters.memory.leadership import MemoryLeadership
from crossmargin.adapters.memory.liquidation import MemoryLiquidationStore
from crossmargin.adapters.memory.margin_calls import MemoryCallStore
from crossmargin.adapters.memory.margin_history import MemoryMarginHistory
from crossmargin.adapters.memory.market import MemoryMarketStore
from crossmargin.adapters.memory.pending_requests import MemoryPendingRequests
from crossmargin.adapters.memory.quotes import MemoryQuoteStore
from crossmargin.adapters.memory.reconciliation import MemoryReconciliationStore
from crossmargin.adapters.memory.risk_parameters import MemoryParameterStore
from crossmargin.adapters.memory.writer import MemoryWriter
from crossmargin.adapters.postgres.audit_trail import PostgresAuditTrail
from crossmargin.adapters.postgres.books import PostgresBookReader
from crossmargin.adapters.postgres.breakers import PostgresBreakerStore
from crossmargin.adapters.postgres.database import Database
from crossmargin.adapters.postgres.instruments import PostgresInstrumentReader
from crossmargin.adapters.postgres.leadership import PostgresLeadership
from crossmargin.adapters.postgres.liquidation import PostgresLiquidationStore
from crossmargin.adapters.postgres.margin_calls import PostgresCallStore
from crossmargin.adapters.postgres.margin_history import PostgresMarginHistory
from crossmargin.adapters.postgres.market import PostgresMarketStore
from crossmargin.adapters.postgres.pending_requests import PostgresPendingRequests
from crossmargin.adapters.postgres.quotes import PostgresQuoteStore
from crossmargin.adapters.postgres.reconciliation import PostgresReconciliationStore
from crossmargin.adapters.postgres.risk_parameters import PostgresParameterStore
from crossmargin.adapters.postgres.tables import metadata
from crossmargin.adapters.postgres.writer import PostgresWriter
from crossmargin.domain.account import Account, AccountMode, AccountStatus, Client
from crossmargin.domain.book import EntryKind, NewEntry, Posting, append_to_chain
from crossmargin.domain.identifiers import LEDGER_CUSTODIAN, AccountId, AccountRef, BookId, ClientId, InstrumentId
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.reservation import Order, Reservation, ReservationKind, reservation_of
from crossmargin.domain.reservation_entry import entry_from_reservation
from crossmargin.usecases.ports.audit_event import AuditTrail
from crossmargin.usecases.ports.books import BookReader, Books
from crossmargin.usecases.ports.breaker import BreakerStore
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.leadership import Leadership
from crossmargin.usecases.ports.liquidation import LiquidationStore
from crossmargin.usecases.ports.margin import MarginHistory
from crossmargin.usecases.ports.margin_call import CallStore
from crossmargin.usecases.ports.market import MarketStore
from crossmargin.usecases.ports.pending_request import PendingRequests
from crossmargin.usecases.ports.quote import QuoteStore
from crossmargin.usecases.ports.reconciliation import ReconciliationStore
from crossmargin.usecases.ports.risk_parameters import ParameterStore
from crossmargin.usecases.ports.writing import (
    Decide,
    DecideOnBooks,
    Decision,
    PublishedSnapshot,
    Record,
    WriteOutcome,
    Writer,
    WriteRequest,
)
from tests.builders import AS_OF, perpetual
from tests.conftest import as_service

CORE = AccountRef(ClientId("alpha"), AccountId("core"))
OTHER = AccountRef(ClientId("beta"), AccountId("core"))
DESK = BookId("desk")
_numbers = itertools.count(1)


@dataclass
class Storage:
    """The ports of one kind of storage over one database."""

    writer: Writer
    books: BookReader
    instruments: InstrumentReader
    market: MarketStore
    history: MarginHistory
    calls: CallStore
    liquidations: LiquidationStore
    parameters: ParameterStore
    quotes: QuoteStore
    breakers: BreakerStore
    reconciliation: ReconciliationStore
    pending: PendingRequests
    audit: AuditTrail
    new_leadership: Callable[[], Leadership]
    row_counts: Callable[[], dict[str, int]]
    set_halted: Callable[[bool], None]
    close_account: Callable[[AccountRef], None]
    pass_time: Callable[[timedelta], None]
    database: Any

    async def create(self, *records: Record | MarketSnapshot) -> WriteOutcome:
        """Store records under a key of their own; a snapshot with the one before it that is there already."""
        known = [await self._published(record) if isinstance(record, MarketSnapshot) else record for record in records]
        return await self.writer.write(a_request(f"create {next(_numbers)}"), decide_records(*known))

    async def _published(self, snapshot: MarketSnapshot) -> PublishedSnapshot:
        before = await self.market.snapshot_before(snapshot.as_of)
        return PublishedSnapshot(snapshot, None if before is None else before.snapshot_id)

    async def open_accounts(self, *refs: AccountRef) -> None:
        """Create cross accounts, and their clients."""
        for ref in refs:
            await self.create(Client(ref.client_id, "A client"), Account(ref, "An account", AccountMode.CROSS))

    async def book(self, request: WriteRequest, ref: AccountRef, *quantities: int | str) -> WriteOutcome:
        """Book deposits of USD."""
        return await self.writer.write(request, decide_deposits(ref, *quantities))


def memory_storage() -> Storage:
    """A storage on dictionaries."""
    database = MemoryDatabase()

    def set_halted(is_halted: bool) -> None:
        database.is_halted = is_halted

    def close_account(ref: AccountRef) -> None:
        database.contents.heads[ref] = replace(database.contents.heads[ref], status=AccountStatus.CLOSED)

    def pass_time(duration: timedelta) -> None:
        database.clock_offset += duration

    def row_counts() -> dict[str, int]:
        return {part.name: len(getattr(database.contents, part.name)) for part in fields(database.contents)}

    return Storage(
        MemoryWriter(database),
        MemoryBookReader(database),
        MemoryInstrumentReader(database),
        MemoryMarketStore(database),
        MemoryMarginHistory(database),
        MemoryCallStore(database),
        MemoryLiquidationStore(database),
        MemoryParameterStore(database),
        MemoryQuoteStore(database),
        MemoryBreakerStore(database),
        MemoryReconciliationStore(database),
        MemoryPendingRequests(database),
        MemoryAuditTrail(database),
        lambda: MemoryLeadership(database),
        row_counts,
        set_halted,
        close_account,
        pass_time,
        database,
    )


@contextlib.asynccontextmanager
async def postgres_storage(url: str, **options: Any):
    """A storage on the database at `url`."""
    database = Database(as_service(url), **options)
    await database.open()
    try:
        yield Storage(
            PostgresWriter(database),
            PostgresBookReader(database),
            PostgresInstrumentReader(database),
            PostgresMarketStore(database),
            PostgresMarginHistory(database),
            PostgresCallStore(database),
            PostgresLiquidationStore(database),
            PostgresParameterStore(database),
            PostgresQuoteStore(database),
            PostgresBreakerStore(database),
            PostgresReconciliationStore(database),
            PostgresPendingRequests(database),
            PostgresAuditTrail(database),
            lambda: PostgresLeadership(url),
            lambda: sql_row_counts(url),
            lambda is_halted: sql(url, "UPDATE control SET is_halted = %s", is_halted),
            lambda ref: sql(
                url, "UPDATE account_head SET status = 'closed' WHERE (client_id, account_id) = (%s, %s)", ref.client_id, ref.account_id
            ),
            lambda duration: _pass_time(url, duration),
            database,
        )
    finally:
        await database.close()


def _pass_time(url: str, duration: timedelta) -> None:
    """Move what the server's clock, which is nobody's to move, is compared with; past the triggers that would not have it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for table in ("reservation", "pending_request"):
            connection.execute(f"UPDATE {table} SET expires_at = expires_at - %s", (duration,))  # noqa: S608 - our own names


def sql(url: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run one statement on a connection of its own and return its rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def sql_row_counts(url: str) -> dict[str, int]:
    """Count the rows of every table, not asking the code under test."""
    counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in metadata.tables)  # noqa: S608 - our own names
    return dict(zip(metadata.tables, sql(url, f"SELECT {counts}")[0], strict=True))


def a_request(key: str, *accounts: AccountRef, body: str = "", is_fact: bool = True) -> WriteRequest:
    """A write request; the hash is that of `body`."""
    return WriteRequest("spiffe://test/caller", "Test", key, hashlib.sha256(body.encode()).digest(), accounts, is_fact)


def a_deposit(ref: AccountRef, quantity: int | str, *, instrument: str = "USD", book: BookId = DESK, cost: int | str = 0) -> NewEntry:
    """An entry that moves `quantity` into the account."""
    name, amount, paid = InstrumentId(instrument), Decimal(quantity), Decimal(cost)
    own = Posting(ref.account_id, book, name, amount, paid)
    other = Posting(LEDGER_CUSTODIAN, book, name, -amount, -paid)
    return NewEntry(ref, EntryKind.DEPOSIT, AS_OF, f"deposit of {quantity}", (own, other))


def decide_entries(*entries: NewEntry, records: tuple[Record, ...] = ()) -> Decide:
    """Decide to append the entries, each to its account, and to create the records."""

    async def decide(heads: Any) -> Decision:
        refs = dict.fromkeys(entry.account for entry in entries)
        chained = [append_to_chain(heads[ref], tuple(entry for entry in entries if entry.account == ref)) for ref in refs]
        return Decision(b"booked", tuple(entry for chain in chained for entry in chain), records)

    return decide


def decide_deposits(ref: AccountRef, *quantities: int | str) -> Decide:
    """Decide to deposit USD; the response says after which sequence."""

    async def decide(heads: Any) -> Decision:
        entries = append_to_chain(heads[ref], tuple(a_deposit(ref, quantity) for quantity in quantities))
        return Decision(f"after {heads[ref].sequence}".encode(), entries)

    return decide


def decide_records(*records: Record) -> Decide:
    """Decide to create the records."""

    async def decide(heads: Any) -> Decision:
        return Decision(b"created", records=records)

    return decide


def an_order(
    quantity: int | str = 10,
    *,
    price: int | str = 60_000,
    instrument: str = "BTC-PERP",
    kind: ReservationKind = ReservationKind.RESTING,
    lifetime_s: int = 60,
    account: AccountRef = CORE,
    reference: str = "",
) -> Order:
    """An order for a perpetual, resting for a minute."""
    return Order(
        account, DESK, InstrumentId(instrument), Decimal(quantity), Decimal(price), kind, timedelta(seconds=lifetime_s), reference=reference
    )


def a_reservation(order: Order, *, sequence: int, now: datetime) -> Reservation:
    """The reservation of an order for a perpetual."""
    return reservation_of(order, perpetual(order.instrument_id), None, sequence=sequence, reserved_by="desk", now=now)


def decide_reservation(order: Order) -> DecideOnBooks:
    """Decide to reserve for the order; the response is the sequence."""

    async def decide(books: Books) -> Decision:
        head = books.states[order.account].head
        reservation = a_reservation(order, sequence=head.sequence + 1, now=books.now)
        entries = append_to_chain(head, (entry_from_reservation(reservation),))
        return Decision(str(reservation.sequence).encode(), entries, reservations=(reservation,))

    return decide
