"""Trades, positions and entries on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from google.rpc.status_pb2 import Status
from protovalidate import Validator

from crossmargin.adapters.grpc_server.field_rules import BrokenRulesError, rules_broken_by
from crossmargin.adapters.grpc_server.status import info_of
from crossmargin.adapters.grpc_server.wire.values import (
    book_id_from_text,
    date_from_message,
    date_to_message,
    inverse,
    moment_from_message,
    moment_to_message,
)
from crossmargin.api.v1 import book_service_pb2 as pb
from crossmargin.domain.book import Entry, EntryKind, Posting, Trade
from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.money import format_decimal, parse_decimal
from crossmargin.domain.position import Position
from crossmargin.domain.trade_flag import TradeFlag
from crossmargin.domain.traded import trade_of_entry, traded_amount
from crossmargin.usecases.ports.books import BookedEntry
from crossmargin.usecases.record_trades import Booked, TradeOutcome
from crossmargin.usecases.watch_positions import PositionsUpdate

_ENTRY_KINDS: Final = {
    pb.ENTRY_KIND_TRADE: EntryKind.TRADE,
    pb.ENTRY_KIND_DEPOSIT: EntryKind.DEPOSIT,
    pb.ENTRY_KIND_COLLATERAL_POLICY: EntryKind.COLLATERAL_POLICY,
    pb.ENTRY_KIND_TRADE_CANCELLATION: EntryKind.TRADE_CANCELLATION,
    pb.ENTRY_KIND_EVENT_CANCELLATION: EntryKind.EVENT_CANCELLATION,
    pb.ENTRY_KIND_SETTLEMENT: EntryKind.SETTLEMENT,
    pb.ENTRY_KIND_FUNDING: EntryKind.FUNDING,
    pb.ENTRY_KIND_COUPON: EntryKind.COUPON,
    pb.ENTRY_KIND_CONTRACT_PAYMENT: EntryKind.CONTRACT_PAYMENT,
    pb.ENTRY_KIND_VARIATION: EntryKind.VARIATION,
    pb.ENTRY_KIND_EXPIRY: EntryKind.EXPIRY,
    pb.ENTRY_KIND_EXERCISE: EntryKind.EXERCISE,
    pb.ENTRY_KIND_FINAL_SETTLEMENT: EntryKind.FINAL_SETTLEMENT,
    pb.ENTRY_KIND_DELIVERY: EntryKind.DELIVERY,
    pb.ENTRY_KIND_FIXING: EntryKind.FIXING,
    pb.ENTRY_KIND_MATURITY: EntryKind.MATURITY,
    pb.ENTRY_KIND_WITHDRAWAL: EntryKind.WITHDRAWAL,
    pb.ENTRY_KIND_TRANSFER: EntryKind.TRANSFER,
    pb.ENTRY_KIND_RESERVATION: EntryKind.RESERVATION,
    pb.ENTRY_KIND_RESERVATION_FILL: EntryKind.RESERVATION_FILL,
    pb.ENTRY_KIND_RESERVATION_END: EntryKind.RESERVATION_END,
    pb.ENTRY_KIND_METHODOLOGY: EntryKind.METHODOLOGY,
}
_ENTRY_KIND_VALUES: Final = inverse(_ENTRY_KINDS)
_TRADE_FLAG_VALUES: Final = {flag: pb.TradeFlag.Value(f"TRADE_FLAG_{flag.name}") for flag in TradeFlag}


def trade_from_message(message: pb.Trade, account: AccountRef, *, what: str) -> Trade:
    """Return the trade of a message; `what` names it in errors, such as trades[3]."""
    has_settle_date = message.HasField("settle_date")
    return Trade(
        account=account,
        book_id=book_id_from_text(message.book_id),
        instrument_id=InstrumentId(message.instrument_id),
        quantity=parse_decimal(message.quantity, what=f"{what}.quantity"),
        price=parse_decimal(message.price, what=f"{what}.price"),
        executed_at=moment_from_message(message.execute_time, what=f"{what}.execute_time"),
        settlement=InstrumentId(message.settlement) if message.settlement else None,
        reference=message.reference,
        settle_date=date_from_message(message.settle_date, what=f"{what}.settle_date") if has_settle_date else None,
        reservation=message.reservation or None,
    )


def trades_from_messages(messages: Sequence[pb.Trade], account: AccountRef) -> list[Trade]:
    """Return the trades of messages; the first that cannot be built ends it with its error."""
    return [trade_from_message(message, account, what=f"trades[{index}]") for index, message in enumerate(messages)]


def trades_or_errors(messages: Sequence[pb.Trade], account: AccountRef, validator: Validator) -> list[Trade | DomainError]:
    """Return for each message its trade, or the error that kept it from being built.

    Raises:
        BrokenRulesError: No message keeps the field rules; it names every rule that is broken, as for any other request.
    """
    found = [_trade_or_error(message, account, validator, f"trades[{index}]") for index, message in enumerate(messages)]
    broken = [one for one in found if isinstance(one, BrokenRulesError)]
    if broken and len(broken) == len(found):
        raise BrokenRulesError([rule for one in broken for rule in one.rules])
    return found


def outcome_to_message(outcome: TradeOutcome) -> pb.TradeOutcome:
    """Return the message of what became of a trade."""
    if isinstance(outcome, Booked):
        flags = sorted(_TRADE_FLAG_VALUES[flag] for flag in outcome.flags)
        return pb.TradeOutcome(sequence=outcome.sequence, flags=flags)
    return pb.TradeOutcome(refusal=pb.TradeRefusal(reason=outcome.reason, message=outcome.message, metadata=outcome.facts))


def record_refusal(status: Status) -> pb.RecordRefusal:
    """Return the message of the status that a call of RecordTrades would have ended with."""
    info = info_of(status)
    return pb.RecordRefusal(code=status.code, reason=info.reason, message=status.message, metadata=info.metadata)


def positions_to_messages(positions: Iterable[Position]) -> list[pb.Position]:
    """Return messages of the positions by book and instrument; closed ones are left out."""
    still_open = [position for position in positions if position.quantity or position.cost]
    return [_position_to_message(position) for position in sorted(still_open, key=lambda one: (one.book_id, one.instrument_id))]


def entry_to_message(entry: Entry) -> pb.Entry:
    """Return the message of a ledger entry."""
    details = entry.entry.details
    return pb.Entry(
        sequence=entry.sequence,
        kind=_ENTRY_KIND_VALUES[entry.entry.kind],
        effective_time=moment_to_message(entry.entry.effective_at),
        reference=entry.entry.reference,
        postings=[_posting_to_message(posting) for posting in entry.entry.postings],
        chain_hash=entry.chain_hash.hex(),
        reverses_seq=details.reverses or 0,
        settle_date=None if details.settle_date is None else date_to_message(details.settle_date),
        event=details.event,
        event_terms=dict(details.terms),
        asked_by="" if details.persons is None else details.persons.asked_by,
        confirmed_by="" if details.persons is None else details.persons.confirmed_by,
    )


def update_to_message(update: PositionsUpdate) -> pb.WatchPositionsResponse:
    """Return the message of what an account holds after an entry."""
    return pb.WatchPositionsResponse(
        seq=update.sequence,
        entry=None if update.entry is None else entry_to_message(update.entry),
        positions=map(_position_to_message, update.positions),
    )


def booked_trade_to_message(booked: BookedEntry, instrument: Instrument) -> pb.BookedTrade:
    """Return the message of a trade in the books; `instrument` is what was traded."""
    trade, cancelled_by = trade_of_entry(booked.entry.entry, instrument), booked.reversed_by
    return pb.BookedTrade(
        sequence=booked.entry.sequence,
        trade=pb.Trade(
            book_id=trade.book_id,
            instrument_id=trade.instrument_id,
            quantity=format_decimal(trade.quantity),
            price=format_decimal(trade.price),
            settlement=trade.settlement or "",
            execute_time=moment_to_message(trade.executed_at),
            reference=trade.reference,
            settle_date=None if trade.settle_date is None else date_to_message(trade.settle_date),
        ),
        amount=format_decimal(traded_amount(booked.entry.entry)),
        cancelled_by_seq=cancelled_by or 0,
    )


def _trade_or_error(message: pb.Trade, account: AccountRef, validator: Validator, what: str) -> Trade | DomainError:
    broken = rules_broken_by(message, validator, what=what)
    if broken is not None:
        return broken
    try:
        return trade_from_message(message, account, what=what)
    except DomainError as error:
        return error


def _position_to_message(position: Position) -> pb.Position:
    return pb.Position(
        book_id=position.book_id,
        instrument_id=position.instrument_id,
        quantity=format_decimal(position.quantity),
        cost=format_decimal(position.cost),
    )


def _posting_to_message(posting: Posting) -> pb.Posting:
    return pb.Posting(
        ledger_account=posting.ledger_account,
        book_id=posting.book_id,
        instrument_id=posting.instrument_id,
        quantity=format_decimal(posting.quantity),
        cost=format_decimal(posting.cost),
    )
