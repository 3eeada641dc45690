"""Book executed trades."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from crossmargin.domain.book import NewEntry, Trade, append_to_chain, entry_from_trade
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.position import Position
from crossmargin.domain.reservation import Reservation
from crossmargin.domain.trade_flag import TradeFlag
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.check_limits import limit_usages
from crossmargin.usecases.current_market import CurrentMarket
from crossmargin.usecases.ports.books import Books
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.open_orders import RequestReports
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.ports.writing import Decision, Writer
from crossmargin.usecases.preview_trades import positions_from
from crossmargin.usecases.storage_errors import unknown_instrument
from crossmargin.usecases.use_reservations import ReservationsInUse


@dataclass(frozen=True, slots=True)
class Booked:
    """A trade that is in the books, under this sequence, and what is to be looked at about it."""

    sequence: int
    flags: frozenset[TradeFlag] = frozenset()


@dataclass(frozen=True, slots=True)
class Refused:
    """A trade that is not in the books, and why."""

    reason: str
    message: str
    facts: Mapping[str, str]


TradeOutcome: TypeAlias = Booked | Refused


@dataclass(frozen=True, slots=True)
class RecordedTrades:
    """Outcomes in the order of the trades; `as_of_sequence` is the account's last sequence after the booking."""

    outcomes: tuple[TradeOutcome, ...]
    as_of_sequence: int
    replayed: bool


@dataclass(frozen=True, slots=True)
class RecordTrades:
    """Books the trades of one account that can be booked, in one transaction; a trade is a fact, so no limit refuses it.

    A trade that fills a reserved order uses up its part of the reservation. What breaks a limit or was not reserved so is flagged.
    """

    writer: Writer
    instruments: InstrumentReader
    current_market: CurrentMarket
    compute: ComputePool
    reports: RequestReports

    async def __call__(self, account: AccountRef, trades: Sequence[Trade | DomainError], *, caller: Caller) -> RecordedTrades:
        """Return the outcome of every trade. A trade that could not even be built comes as its error, and comes back refused.

        Raises:
            DomainError: The first trade's error when none can be booked: nothing is written then and the request id stays free. Also
                INVALID_ARGUMENT for no trade at all, UNKNOWN_ACCOUNT, and whatever the write path refuses.
        """
        if not trades:
            raise DomainError(Reason.INVALID_ARGUMENT, f"no trade of {account} was given; expected at least one", account=account)
        entries = await self._entries(trades)
        if all(isinstance(entry, DomainError) for entry in entries):
            raise next(entry for entry in entries if isinstance(entry, DomainError))

        async def decide(books: Books) -> Decision:
            head = books.states[account].head.check_open()
            booking = _book(trades, entries, ReservationsInUse.of(books.reservations[account], now=books.now), head.sequence)
            flags = await self._limit_flags(books, account, booking)
            last = head.sequence + len(booking.entries)
            return Decision(
                response=_encode(booking, flags, last),
                entries=append_to_chain(head, booking.entries),
                reservations=booking.reservations,
            )

        named = tuple(trade.reservation for trade in trades if isinstance(trade, Trade) and trade.reservation is not None)
        request = caller.write_request("RecordTrades", [str(account), *map(_content, trades)], (account,))
        outcome = await self.writer.decide(replace(request, reservations=named), decide)
        recorded = _decode(outcome.response, replayed=outcome.replayed)
        if not recorded.replayed:
            self.reports.trades_flagged(flag for one in recorded.outcomes if isinstance(one, Booked) for flag in one.flags)
        return recorded

    async def _entries(self, trades: Sequence[Trade | DomainError]) -> list[NewEntry | DomainError]:
        named = {name for trade in trades if isinstance(trade, Trade) for name in (trade.instrument_id, trade.settlement) if name}
        known = self.current_market.instruments_at_hand(named)
        if len(known) < len(named):
            known = await self.instruments.get_instruments(sorted(named))
        return [trade if isinstance(trade, DomainError) else _entry(trade, known) for trade in trades]

    async def _limit_flags(self, books: Books, account: AccountRef, booking: _Booking) -> Mapping[int, TradeFlag]:
        """Return the flags of the trades, by place, that bring exposure over a limit. The market at hand is good enough for a flag."""
        if not books.limits:
            return {}
        at_hand = self.current_market.cached
        if at_hand is None:
            return dict.fromkeys(booking.changes, TradeFlag.LIMITS_NOT_CHECKED)
        market = at_hand[0].market

        def breaches() -> Mapping[int, TradeFlag]:
            changes: tuple[Position, ...] = ()
            before = limit_usages(books, market, {}, with_open_orders=False)
            found = {}
            for place, own in booking.changes.items():
                changes += own
                after = limit_usages(books, market, {account: changes}, with_open_orders=False)
                if any(now.is_breached and now.used > was.used for was, now in zip(before, after, strict=True)):
                    found[place] = TradeFlag.LIMIT_BREACHED
                before = after
            return found

        try:
            return await self.compute.run(breaches)
        except DomainError:
            return dict.fromkeys(booking.changes, TradeFlag.LIMITS_NOT_CHECKED)


@dataclass(frozen=True, slots=True)
class _Booking:
    """What a batch comes to: outcomes by place, all entries in order, and by place what each booked trade changes."""

    outcomes: tuple[TradeOutcome, ...]
    entries: tuple[NewEntry, ...]
    reservations: tuple[Reservation, ...]
    changes: Mapping[int, tuple[Position, ...]]


def _book(
    trades: Sequence[Trade | DomainError], entries: Sequence[NewEntry | DomainError], reservations: ReservationsInUse, sequence: int
) -> _Booking:
    outcomes: list[TradeOutcome] = []
    booked: list[NewEntry] = []
    changes = {}
    for place, (trade, entry) in enumerate(zip(trades, entries, strict=True)):
        if isinstance(entry, DomainError):
            outcomes.append(Refused(entry.reason.code, entry.message, entry.facts))
            continue
        booked.append(entry)
        trade_sequence = sequence + len(booked)
        # An entry was made from every trade that is no error.
        used, flags = reservations.use(trade, trade_sequence=trade_sequence) if isinstance(trade, Trade) else (None, frozenset())
        booked += [used] if used is not None else []
        outcomes.append(Booked(trade_sequence, flags))
        changes[place] = tuple(positions_from([entry], entry.account))
    return _Booking(tuple(outcomes), tuple(booked), reservations.changed, changes)


def _content(trade: Trade | DomainError) -> str:
    # A trade without a settle date and a reservation has the content that it had before there were any, so that its request id is known.
    if isinstance(trade, DomainError):
        return repr(trade)
    settles = "" if trade.settle_date is None else f" settles {trade.settle_date}"
    fills = "" if trade.reservation is None else f" of reservation {trade.reservation}"
    return f"{trade!r}{settles}{fills}"


def _entry(trade: Trade, known: Mapping[InstrumentId, Instrument]) -> NewEntry | DomainError:
    for name in (trade.instrument_id, trade.settlement):
        if name is not None and name not in known:
            return unknown_instrument(name)
    try:
        return entry_from_trade(trade, known[trade.instrument_id], known.get(trade.settlement) if trade.settlement else None)
    except DomainError as error:
        return error


def _encode(booking: _Booking, limit_flags: Mapping[int, TradeFlag], as_of_sequence: int) -> bytes:
    outcomes: list[dict[str, object]] = []
    for place, outcome in enumerate(booking.outcomes):
        match outcome:
            case Refused():
                outcomes.append({"reason": outcome.reason, "message": outcome.message, "facts": outcome.facts})
            case Booked():
                flags = sorted(flag.value for flag in (*outcome.flags, *([limit_flags[place]] if place in limit_flags else ())))
                outcomes.append({"sequence": outcome.sequence, **({"flags": flags} if flags else {})})
    return json.dumps({"outcomes": outcomes, "as_of_sequence": as_of_sequence}, sort_keys=True).encode()


def _decode(response: bytes, *, replayed: bool) -> RecordedTrades:
    document = json.loads(response)
    outcomes = tuple(
        Booked(item["sequence"], frozenset(map(TradeFlag, item.get("flags", ()))))
        if "sequence" in item
        else Refused(item["reason"], item["message"], item["facts"])
        for item in document["outcomes"]
    )
    return RecordedTrades(outcomes, document["as_of_sequence"], replayed)
