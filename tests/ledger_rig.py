"""A ledger with a history, the key that its anchors are signed with, and the verifier over it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from crossmargin.adapters.memory.anchors import MemoryAnchorStore
from crossmargin.adapters.memory.ledger_view import MemoryLedgerView
from crossmargin.adapters.postgres.anchors import PostgresAnchorStore
from crossmargin.adapters.postgres.ledger_view import PostgresLedgerView
from crossmargin.adapters.runtime.anchor_keys import AnchorKey
from crossmargin.domain.audit_anchor import Anchor
from crossmargin.domain.book import EntryKind, NewEntry, Posting, Transfer, append_to_chain, entries_from_transfer, reversing_entry
from crossmargin.domain.identifiers import LEDGER_STREET, AccountId, AccountRef, BookId, ClientId, InstrumentId
from crossmargin.domain.ledger_audit import FindingKind, UnreadableAnchor
from crossmargin.domain.reservation import ReservationKind, ReservationStatus, by_sequence, filled_by
from crossmargin.domain.reservation_entry import entry_from_end, entry_from_fill
from crossmargin.usecases.ports.books import Books
from crossmargin.usecases.ports.writing import DecideOnBooks, Decision
from crossmargin.usecases.take_anchor import TakeAnchor
from crossmargin.usecases.verify_ledger import LedgerVerdict, VerifyLedger
from tests.builders import AS_OF, cash
from tests.contract.storage import CORE, DESK, OTHER, Storage, a_deposit, a_request, an_order, decide_entries, decide_reservation

KEY = AnchorKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
STRANGERS_KEY = AnchorKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))
FUND = AccountRef(ClientId("alpha"), AccountId("fund"))
ACCOUNTS = (CORE, FUND, OTHER)
ORDERS = AccountRef(ClientId("alpha"), AccountId("orders"))
SPARE = AccountRef(ClientId("alpha"), AccountId("spare"))


@dataclass
class MemoryJournal:
    """Anchors outside the database, on a list."""

    anchors: list[Anchor]

    async def last_anchor(self) -> Anchor | None:
        return self.anchors[-1] if self.anchors else None

    async def append(self, anchor: Anchor) -> None:
        self.anchors.append(anchor)


def a_trade(ref: AccountRef, quantity: int | str, *, cost: int | str = 0, book: BookId = DESK) -> NewEntry:
    """An entry in a margined contract, with the street on the other side."""
    own = Posting(ref.account_id, book, InstrumentId("BTC-PERP"), Decimal(quantity), Decimal(cost))
    other = Posting(LEDGER_STREET, book, InstrumentId("BTC-PERP"), -Decimal(quantity), -Decimal(cost))
    return NewEntry(ref, EntryKind.TRADE, AS_OF, f"trade of {quantity}", (own, other))


async def book(storage: Storage, *entries: NewEntry) -> None:
    """Book entries of any accounts in one transaction."""
    refs = tuple(dict.fromkeys(entry.account for entry in entries))
    key = f"{[(entry.account, entry.reference) for entry in entries]} {storage.__dict__.setdefault('booked', 0)}"
    storage.__dict__["booked"] += 1
    await storage.writer.write(a_request(key, *refs), decide_entries(*entries))


async def book_orders(storage: Storage, ref: AccountRef = CORE, *, start: int = 0) -> None:
    """Reserve for five orders that end in every way: untouched, filled in part and wholly, released after a part, expired and released."""
    kinds_of = {4: ReservationKind.IMMEDIATE}
    numbers = []
    for number in range(5):
        order = an_order(
            10 + number, account=ref, kind=kinds_of.get(number, ReservationKind.RESTING), reference=f"a note {start + number} "
        )
        request = a_request(f"reserve {ref} {start + number}", ref, is_fact=False)
        numbers.append(int((await storage.writer.decide(request, decide_reservation(order))).response))
    untouched, part, whole, released, expired = numbers
    assert untouched
    changes: list[tuple[int, Decimal | ReservationStatus]] = [
        *((part, Decimal("2.5")), (part, Decimal(3)), (whole, Decimal(2)), (whole, Decimal(10)), (released, Decimal(1))),
        *((released, ReservationStatus.RELEASED), (expired, ReservationStatus.EXPIRED), (expired, ReservationStatus.RELEASED)),
    ]
    for step, (number, change) in enumerate(changes):
        request = replace(a_request(f"change {ref} {start + step}", ref), reservations=(number,))
        await storage.writer.decide(request, _decide_change(ref, number, change))


def _decide_change(ref: AccountRef, number: int, change: Decimal | ReservationStatus) -> DecideOnBooks:
    async def decide(books: Books) -> Decision:
        held = by_sequence(books.reservations[ref])[number]
        if isinstance(change, Decimal):
            after = filled_by(held, change)
            entry = entry_from_fill(after, change, trade_sequence=1, at=books.now)
        else:
            after = replace(held, status=change)
            entry = entry_from_end(after, at=books.now)
        return Decision(b"changed", append_to_chain(books.states[ref].head, (entry,)), reservations=(after,))

    return decide


async def some_requests(storage: Storage) -> None:
    """Two more accounts of a client: orders that end in every way, a transfer between the two, and a trade that is taken back."""
    await storage.open_accounts(ORDERS, SPARE)
    await some_more_requests(storage, 0)


async def some_more_requests(storage: Storage, number: int) -> None:
    """The same once more, in 18 entries with 10 postings."""
    await book_orders(storage, ORDERS, start=10 * number)
    transfer = Transfer(ORDERS, SPARE, DESK, InstrumentId("USD"), Decimal(7))
    await book(storage, a_deposit(ORDERS, 10), *entries_from_transfer(transfer, cash(), effective_at=AS_OF))
    await book(storage, a_trade(ORDERS, number + 1))
    traded = (await storage.books.list_entries(ORDERS, after_sequence=17 * number, limit=99))[-1]
    await book(storage, reversing_entry(traded, EntryKind.TRADE_CANCELLATION, reason="bust"))


async def a_history(storage: Storage) -> list[Anchor]:
    """Three accounts, entries in two of them, and an anchor after each of three steps: entries 1, 1 to 4, and 1 to 5 of the first."""
    await storage.open_accounts(*ACCOUNTS)
    journal = MemoryJournal([])
    take = TakeAnchor(anchor_store(storage), KEY, journal)
    await book(storage, a_deposit(CORE, 1000))
    await take()
    await book(storage, a_trade(CORE, 2, cost=80), a_trade(OTHER, -2, cost=-80))
    await book(storage, a_deposit(CORE, "0.000000000000000001"), a_trade(CORE, -1, cost=-40))
    await take()
    await book(storage, a_deposit(CORE, 5))
    await take()
    return journal.anchors


def anchor_store(storage: Storage) -> MemoryAnchorStore | PostgresAnchorStore:
    """The anchors of a storage of either kind."""
    is_memory = type(storage.books).__name__.startswith("Memory")
    return MemoryAnchorStore(storage.database) if is_memory else PostgresAnchorStore(storage.database)


async def verify(url: str, written: Iterable[Anchor | UnreadableAnchor] | None = None, *, key: AnchorKey | None = KEY) -> LedgerVerdict:
    """Verify a database, with anchors from outside if some are given."""
    async with PostgresLedgerView.open(url) as view:
        return await VerifyLedger(view, key.keyring if key else None, None if written is None else iter(written))()


async def verify_memory(storage: Storage, written: Iterator[Anchor] | None = None) -> LedgerVerdict:
    """Verify a storage on dictionaries."""
    return await VerifyLedger(MemoryLedgerView(storage.database), KEY.keyring, written)()


def kinds(verdict: LedgerVerdict) -> set[FindingKind]:
    """Return the kinds of what was found."""
    return {finding.kind for finding in verdict.findings}
