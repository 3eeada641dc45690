"""Book executed trades."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from crossmargin.domain.account import AccountHead
from crossmargin.domain.book import NewEntry, Trade, append_to_chain, entry_from_trade
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.ports import Decision, InstrumentReader, Writer
from crossmargin.usecases.storage_errors import unknown_instrument


@dataclass(frozen=True, slots=True)
class Booked:
    """A trade that is in the books, under this sequence."""

    sequence: int


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
    """Books the trades of one account that can be booked, in one transaction; a trade is a fact, so no limit refuses it."""

    writer: Writer
    instruments: InstrumentReader

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
        bookable = tuple(entry for entry in entries if isinstance(entry, NewEntry))

        async def decide(heads: Mapping[AccountRef, AccountHead]) -> Decision:
            head = heads[account].check_open()
            return Decision(response=_encode(entries, head.sequence), entries=append_to_chain(head, bookable))

        content = [str(account), *map(_content, trades)]
        outcome = await self.writer.write(caller.write_request("RecordTrades", content, (account,)), decide)
        return _decode(outcome.response, replayed=outcome.replayed)

    async def _entries(self, trades: Sequence[Trade | DomainError]) -> list[NewEntry | DomainError]:
        named = {name for trade in trades if isinstance(trade, Trade) for name in (trade.instrument_id, trade.settlement) if name}
        known = await self.instruments.get_instruments(sorted(named))
        return [trade if isinstance(trade, DomainError) else _entry(trade, known) for trade in trades]


def _content(trade: Trade | DomainError) -> str:
    settle_date = trade.settle_date if isinstance(trade, Trade) else None
    return repr(trade) if settle_date is None else f"{trade!r} settles {settle_date}"


def _entry(trade: Trade, known: Mapping[InstrumentId, Instrument]) -> NewEntry | DomainError:
    for name in (trade.instrument_id, trade.settlement):
        if name is not None and name not in known:
            return unknown_instrument(name)
    try:
        return entry_from_trade(trade, known[trade.instrument_id], known.get(trade.settlement) if trade.settlement else None)
    except DomainError as error:
        return error


def _encode(entries: Sequence[NewEntry | DomainError], sequence: int) -> bytes:
    outcomes: list[dict[str, object]] = []
    for entry in entries:
        if isinstance(entry, DomainError):
            outcomes.append({"reason": entry.reason.code, "message": entry.message, "facts": entry.facts})
        else:
            sequence += 1
            outcomes.append({"sequence": sequence})
    return json.dumps({"outcomes": outcomes, "as_of_sequence": sequence}, sort_keys=True).encode()


def _decode(response: bytes, *, replayed: bool) -> RecordedTrades:
    document = json.loads(response)
    outcomes = tuple(
        Booked(item["sequence"]) if "sequence" in item else Refused(item["reason"], item["message"], item["facts"])
        for item in document["outcomes"]
    )
    return RecordedTrades(outcomes, document["as_of_sequence"], replayed)
