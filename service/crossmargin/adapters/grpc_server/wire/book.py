"""Trades, positions and entries on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from crossmargin.adapters.grpc_server.wire.values import (
    book_id_from_text,
    inverse,
    moment_from_message,
    moment_to_message,
)
from crossmargin.api.v1 import book_service_pb2 as pb
from crossmargin.domain.book import Entry, EntryKind, Posting, Trade
from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.money import format_decimal, parse_decimal
from crossmargin.domain.position import Position
from crossmargin.usecases.record_trades import Booked, TradeOutcome

_ENTRY_KINDS: Final = {
    pb.ENTRY_KIND_TRADE: EntryKind.TRADE,
    pb.ENTRY_KIND_DEPOSIT: EntryKind.DEPOSIT,
    pb.ENTRY_KIND_COLLATERAL_POLICY: EntryKind.COLLATERAL_POLICY,
}
_ENTRY_KIND_VALUES: Final = inverse(_ENTRY_KINDS)


def trade_from_message(message: pb.Trade, account: AccountRef, *, what: str) -> Trade:
    """Return the trade of a message; `what` names it in errors, such as trades[3]."""
    return Trade(
        account=account,
        book_id=book_id_from_text(message.book_id),
        instrument_id=InstrumentId(message.instrument_id),
        quantity=parse_decimal(message.quantity, what=f"{what}.quantity"),
        price=parse_decimal(message.price, what=f"{what}.price"),
        executed_at=moment_from_message(message.execute_time, what=f"{what}.execute_time"),
        settlement=InstrumentId(message.settlement) if message.settlement else None,
        reference=message.reference,
    )


def trades_from_messages(messages: Sequence[pb.Trade], account: AccountRef) -> list[Trade]:
    """Return the trades of messages; the first that cannot be built ends it with its error."""
    return [trade_from_message(message, account, what=f"trades[{index}]") for index, message in enumerate(messages)]


def trades_or_errors(messages: Sequence[pb.Trade], account: AccountRef) -> list[Trade | DomainError]:
    """Return for each message its trade, or the error that kept it from being built."""
    return [_trade_or_error(message, account, f"trades[{index}]") for index, message in enumerate(messages)]


def outcome_to_message(outcome: TradeOutcome) -> pb.TradeOutcome:
    """Return the message of what became of a trade."""
    if isinstance(outcome, Booked):
        return pb.TradeOutcome(sequence=outcome.sequence)
    return pb.TradeOutcome(refusal=pb.TradeRefusal(reason=outcome.reason, message=outcome.message, metadata=outcome.facts))


def positions_to_messages(positions: Iterable[Position]) -> list[pb.Position]:
    """Return messages of the positions by book and instrument; closed ones are left out."""
    still_open = [position for position in positions if position.quantity or position.cost]
    return [_position_to_message(position) for position in sorted(still_open, key=lambda one: (one.book_id, one.instrument_id))]


def entry_to_message(entry: Entry) -> pb.Entry:
    """Return the message of a ledger entry."""
    return pb.Entry(
        sequence=entry.sequence,
        kind=_ENTRY_KIND_VALUES[entry.entry.kind],
        effective_time=moment_to_message(entry.entry.effective_at),
        reference=entry.entry.reference,
        postings=[_posting_to_message(posting) for posting in entry.entry.postings],
        chain_hash=entry.chain_hash.hex(),
    )


def _trade_or_error(message: pb.Trade, account: AccountRef, what: str) -> Trade | DomainError:
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
