"""Reads of an account's entries, and of what was held because of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
    FromClause,
    Integer,
    Numeric,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by

from crossmargin.adapters.postgres.database import Database, Row
from crossmargin.adapters.postgres.statements import compiled
from crossmargin.adapters.postgres.tables import account_head, entry, entry_details, position, posting, unsettled_trade
from crossmargin.domain.book import Entry, EntryKind, NewEntry, Posting
from crossmargin.domain.entry_details import parse_details
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, InstrumentId
from crossmargin.domain.lifecycle_event import KINDS
from crossmargin.domain.position import Position
from crossmargin.usecases.ports.books import BookedEntry, BookedEvent, InstrumentPositions
from crossmargin.usecases.storage_errors import unknown_account


def text_of(name: str) -> ColumnElement[str]:
    """Return an open parameter that is a text."""
    return bindparam(name, type_=Text)


def together(column: ColumnElement[Any], *order: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the column's values of all rows as one array."""
    return func.array_agg(aggregate_order_by(column, *order))


_IS_HEAD: Final = and_(account_head.c.client_id == text_of("client_id"), account_head.c.account_id == text_of("account_id"))
_SEQUENCE: Final = compiled(select(account_head.c.sequence).where(_IS_HEAD))
_IS_ENTRY_OF: Final = and_(entry.c.client_id == text_of("client_id"), entry.c.account_id == text_of("account_id"))
_RECORDED_BEFORE: Final = compiled(
    select(
        select(func.max(entry.c.sequence))
        .where(_IS_ENTRY_OF, entry.c.recorded_at < bindparam("moment", type_=DateTime(timezone=True)))
        .scalar_subquery()
        .label("sequence")
    )
    .select_from(account_head)
    .where(_IS_HEAD)
)

_LEGS: Final = (
    select(
        together(posting.c.ledger_account, posting.c.leg).label("ledger_accounts"),
        together(posting.c.book_id, posting.c.leg).label("book_ids"),
        together(posting.c.instrument_id, posting.c.leg).label("instrument_ids"),
        together(cast(posting.c.quantity, Numeric), posting.c.leg).label("quantities"),
        together(cast(posting.c.cost, Numeric), posting.c.leg).label("costs"),
    )
    .where(
        posting.c.client_id == entry.c.client_id,
        posting.c.account_id == entry.c.account_id,
        posting.c.sequence == entry.c.sequence,
    )
    .lateral("legs")
)
_REVERSAL: Final = entry_details.alias("reversal")


def _of_entry(details: FromClause) -> ColumnElement[bool]:
    return and_(
        details.c.client_id == entry.c.client_id, details.c.account_id == entry.c.account_id, details.c.sequence == entry.c.sequence
    )


def _takes_back(reversal: FromClause, numbered: FromClause) -> ColumnElement[bool]:
    return and_(
        reversal.c.client_id == numbered.c.client_id,
        reversal.c.account_id == numbered.c.account_id,
        reversal.c.reverses == numbered.c.sequence,
    )


def _after(sequence: ColumnElement[int]) -> ColumnElement[bool]:
    return sequence > bindparam("after_sequence", type_=BigInteger)


def _is_event(event: ColumnElement[Any], name: ColumnElement[str]) -> ColumnElement[bool]:
    # Applied once more after it was taken back, an event is stored as its name and a number: "coupon UST-2030 2026-05-15 #2". One range of
    # names, because an index finds one range at once.
    return and_(event >= name, event < name.concat(" $"))


_SAID: Final[Select[Any]] = (
    select(
        entry.c.sequence,
        entry.c.kind,
        entry.c.effective_at,
        entry.c.reference,
        entry.c.previous_hash,
        entry.c.chain_hash,
        entry_details.c.details,
        _LEGS,
    )
    .join_from(entry, _LEGS, true())
    .outerjoin(entry_details, _of_entry(entry_details))
)
_ENTRY: Final = _SAID.where(_IS_ENTRY_OF).order_by(entry.c.sequence)
_BOOKED: Final = _ENTRY.add_columns(_REVERSAL.c.sequence.label("reversed_by")).outerjoin(_REVERSAL, _takes_back(_REVERSAL, entry))
_SIZE: Final = bindparam("size", type_=Integer)
_ENTRIES: Final = compiled(_ENTRY.where(_after(entry.c.sequence)).limit(_SIZE))
_ONE_ENTRY: Final = compiled(_BOOKED.where(entry.c.sequence == bindparam("sequence", type_=BigInteger)))
# The first leg of a trade is the account's own, in what was traded.
_TRADED: Final = (
    select(literal(1))
    .where(
        posting.c.client_id == entry.c.client_id,
        posting.c.account_id == entry.c.account_id,
        posting.c.sequence == entry.c.sequence,
        posting.c.leg == 1,
        or_(text_of("book_id") == "", posting.c.book_id == text_of("book_id")),
        or_(text_of("instrument_id") == "", posting.c.instrument_id == text_of("instrument_id")),
    )
    .exists()
)
_TRADES: Final = compiled(_BOOKED.where(_after(entry.c.sequence), entry.c.kind == literal(EntryKind.TRADE.value), _TRADED).limit(_SIZE))
_EVENT_ENTRIES: Final = compiled(_BOOKED.where(_is_event(entry_details.c.event, text_of("event"))))
_WANTED: Final = (
    func.unnest(bindparam("events", type_=ARRAY(Text))).table_valued("name", with_ordinality="place").render_derived(name="wanted")
)
_EVENT_COUNTS: Final = compiled(
    select(func.count(entry_details.c.sequence).label("number"))
    .select_from(_WANTED)
    .outerjoin(
        entry_details,
        and_(
            entry_details.c.client_id == text_of("client_id"),
            entry_details.c.account_id == text_of("account_id"),
            _is_event(entry_details.c.event, cast(_WANTED.c.name, Text)),
        ),
    )
    .group_by(_WANTED.c.place)
    .order_by(_WANTED.c.place)
)
# Each is looked up by its key: `offset` keeps PostgreSQL from making one join of both, in which it may read an account's whole history for
# each trade while it has no statistics yet.
_ENTRY_OF_TRADE: Final = _SAID.where(_of_entry(unsettled_trade)).offset(literal(0)).correlate(unsettled_trade).lateral("of_trade")
UNSETTLED: Final = compiled(
    select(_ENTRY_OF_TRADE)
    .select_from(unsettled_trade)
    .join(_ENTRY_OF_TRADE, true())
    .where(
        unsettled_trade.c.client_id == text_of("client_id"),
        unsettled_trade.c.account_id == text_of("account_id"),
        unsettled_trade.c.settle_date <= bindparam("settle_date", type_=Date),
    )
    .order_by(unsettled_trade.c.sequence)
    .limit(_SIZE)
)

_QUANTITY_AT: Final = func.sum(cast(posting.c.quantity, Numeric))
_COST_AT: Final = func.sum(cast(posting.c.cost, Numeric))
_HELD_AT: Final = (
    select(posting.c.book_id, _QUANTITY_AT.label("quantity"), _COST_AT.label("cost"))
    .join_from(
        posting,
        entry,
        and_(
            entry.c.client_id == posting.c.client_id,
            entry.c.account_id == posting.c.account_id,
            entry.c.sequence == posting.c.sequence,
        ),
    )
    .where(
        posting.c.client_id == account_head.c.client_id,
        posting.c.account_id == account_head.c.account_id,
        posting.c.ledger_account == posting.c.account_id,
        posting.c.instrument_id == text_of("instrument_id"),
        entry.c.effective_at <= bindparam("until", type_=DateTime(timezone=True)),
    )
    .group_by(posting.c.book_id)
    .having((_QUANTITY_AT != 0) | (_COST_AT != 0))
    .lateral("held")
)
# One statement, so that the sequence and what was held belong together.
_POSITIONS_UNTIL: Final = compiled(
    select(account_head.c.sequence, _HELD_AT)
    .select_from(account_head)
    .outerjoin(_HELD_AT, true())
    .where(_IS_HEAD)
    .order_by(_HELD_AT.c.book_id)
)
_WITHDRAWN_ALONE: Final = compiled(
    select(posting.c.instrument_id, func.sum(-cast(posting.c.quantity, Numeric)).label("quantity"))
    .join_from(entry, posting, _of_entry(posting))
    .outerjoin(entry_details, _of_entry(entry_details))
    .where(
        entry.c.client_id == text_of("client_id"),
        # Written out, so that the index of withdrawals is known to do.
        entry.c.kind == literal_column(f"'{EntryKind.WITHDRAWAL.value}'"),
        entry.c.effective_at >= bindparam("since", type_=DateTime(timezone=True)),
        posting.c.ledger_account == entry.c.account_id,
        or_(entry_details.c.details.is_(None), cast(entry_details.c.details, JSONB)["persons"].is_(None)),
    )
    .group_by(posting.c.instrument_id)
)
_ACCOUNTS_WITH: Final = compiled(
    select(position.c.client_id, position.c.account_id)
    .where(position.c.instrument_id == text_of("instrument_id"))
    .distinct()
    .order_by(position.c.client_id, position.c.account_id)
)


_BOOKED_EVENTS: Final = compiled(
    select(entry_details.c.client_id, entry_details.c.account_id, entry_details.c.event, entry.c.effective_at)
    .join_from(entry_details, entry, _of_entry(entry_details))
    .outerjoin(_REVERSAL, _takes_back(_REVERSAL, entry))
    .where(
        or_(
            *(
                func.starts_with(entry_details.c.event.concat(" "), literal(f"{kind.value} ").concat(text_of("instrument_id")).concat(" "))
                for kind in KINDS.values()
            )
        ),
        entry.c.effective_at >= bindparam("since", type_=DateTime(timezone=True)),
        _REVERSAL.c.sequence.is_(None),
    )
    .order_by(entry_details.c.client_id, entry_details.c.account_id, entry_details.c.event)
)


class PostgresLedgerReader:
    """See `LedgerReader`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def account_sequence(self, ref: AccountRef) -> int:
        """Return the last sequence of an account; UNKNOWN_ACCOUNT if there is none."""
        row = await self._database.row(_SEQUENCE, **_names(ref))
        if row is None:
            raise unknown_account(ref)
        return int(row["sequence"])

    async def sequence_recorded_before(self, ref: AccountRef, moment: datetime) -> int:
        """Return the last sequence that was written before a moment of the database's clock, 0 for none; UNKNOWN_ACCOUNT."""
        row = await self._database.row(_RECORDED_BEFORE, **_names(ref), moment=moment)
        if row is None:
            raise unknown_account(ref)
        return int(row["sequence"] or 0)

    async def list_entries(self, ref: AccountRef, *, after_sequence: int, limit: int) -> Sequence[Entry]:
        """Return entries of an account in sequence order; UNKNOWN_ACCOUNT if there is no such account."""
        rows = await self._database.rows(_ENTRIES, **_names(ref), after_sequence=after_sequence, size=limit)
        if not rows:
            await self.account_sequence(ref)
        return [_entry(ref, row) for row in rows]

    async def get_entry(self, ref: AccountRef, sequence: int) -> BookedEntry | None:
        """Return an entry of an account; None when it has none of this number."""
        row = await self._database.row(_ONE_ENTRY, **_names(ref), sequence=sequence)
        return None if row is None else _booked(ref, row)

    async def list_trades(
        self, ref: AccountRef, *, book_id: BookId | None, instrument_id: InstrumentId | None, after_sequence: int, limit: int
    ) -> Sequence[BookedEntry]:
        """Return entries of trades in sequence order; UNKNOWN_ACCOUNT."""
        rows = await self._database.rows(
            _TRADES,
            **_names(ref),
            book_id=book_id or "",
            instrument_id=instrument_id or "",
            after_sequence=after_sequence,
            size=limit,
        )
        if not rows:
            await self.account_sequence(ref)
        return [_booked(ref, row) for row in rows]

    async def event_entries(self, ref: AccountRef, event: str) -> Sequence[BookedEntry]:
        """Return the entries of an account that book the lifecycle event of this name, oldest first."""
        return [_booked(ref, row) for row in await self._database.rows(_EVENT_ENTRIES, **_names(ref), event=event)]

    async def event_counts(self, ref: AccountRef, events: Sequence[str]) -> Sequence[int]:
        """Return how often an account has booked each of these events."""
        return [row["number"] for row in await self._database.rows(_EVENT_COUNTS, **_names(ref), events=list(events))]

    async def booked_events(self, instrument_id: InstrumentId, *, since: datetime) -> Sequence[BookedEvent]:
        """Return the standing events of an instrument in all accounts."""
        rows = await self._database.rows(_BOOKED_EVENTS, instrument_id=instrument_id, since=since)
        return [BookedEvent(ref_from_row(row), row["event"], row["effective_at"]) for row in rows]

    async def unsettled_trades(self, ref: AccountRef, *, settle_date: date, limit: int | None = None) -> Sequence[Entry]:
        """Return the trades that settle by this day and have been neither settled nor cancelled, oldest first."""
        rows = await self._database.rows(UNSETTLED, **_names(ref), settle_date=settle_date, size=limit)
        return [_entry(ref, row) for row in rows]

    async def instrument_positions(self, ref: AccountRef, instrument_id: InstrumentId, *, until: datetime) -> InstrumentPositions:
        """Return what was held at a time; UNKNOWN_ACCOUNT."""
        rows = await self._database.rows(_POSITIONS_UNTIL, **_names(ref), instrument_id=instrument_id, until=until)
        if not rows:
            raise unknown_account(ref)
        held = [Position(BookId(row["book_id"]), instrument_id, row["quantity"], row["cost"]) for row in rows if row["book_id"] is not None]
        return InstrumentPositions(rows[0]["sequence"], tuple(held))

    async def withdrawn_alone(self, client_id: ClientId, *, since: datetime) -> Mapping[InstrumentId, Decimal]:
        """Return what has left a client's accounts by withdrawals of one person."""
        rows = await self._database.rows(_WITHDRAWN_ALONE, client_id=client_id, since=since)
        return {InstrumentId(row["instrument_id"]): row["quantity"] for row in rows}

    async def accounts_with(self, instrument_id: InstrumentId) -> Sequence[AccountRef]:
        """Return the accounts that hold an instrument or ever held it, in the order of their names."""
        return [ref_from_row(row) for row in await self._database.rows(_ACCOUNTS_WITH, instrument_id=instrument_id)]


def ref_from_row(row: Row) -> AccountRef:
    """Return the account that a row is of."""
    return AccountRef(ClientId(row["client_id"]), AccountId(row["account_id"]))


def side_by_side(row: Row, *names: str) -> Iterator[tuple[Any, ...]]:
    """Return the elements of several arrays together; an array of nothing arrives as null."""
    return zip(*(row[name] or () for name in names), strict=True)


def _names(ref: AccountRef) -> dict[str, str]:
    return {"client_id": ref.client_id, "account_id": ref.account_id}


def _booked(ref: AccountRef, row: Row) -> BookedEntry:
    return BookedEntry(_entry(ref, row), row["reversed_by"])


def _entry(ref: AccountRef, row: Row) -> Entry:
    legs = side_by_side(row, "ledger_accounts", "book_ids", "instrument_ids", "quantities", "costs")
    postings = tuple(
        Posting(ledger_account, BookId(book), InstrumentId(instrument), quantity, cost)
        for ledger_account, book, instrument, quantity, cost in legs
    )
    details = parse_details(row["details"] or "")
    new = NewEntry(ref, EntryKind(row["kind"]), row["effective_at"], row["reference"], postings, details)
    return Entry(row["sequence"], new, row["previous_hash"], row["chain_hash"])
