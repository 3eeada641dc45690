"""Book what a lifecycle event does to every account that holds the instrument."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum, unique
from typing import Final

from crossmargin.domain.account import AccountHead
from crossmargin.domain.book import NewEntry, append_to_chain
from crossmargin.domain.errors import DomainError, ErrorKind, Reason
from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.lifecycle import check_event, delivered_asset, entry_from_event
from crossmargin.domain.lifecycle_event import Delivery, Exercise, LifecycleEvent, application_name, does_not_fit
from crossmargin.domain.money import exact_sum, format_decimal
from crossmargin.domain.position import Position
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.known_instruments import known_instruments
from crossmargin.usecases.ports.books import BookedEntry, BookReader
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.runtime import Clock
from crossmargin.usecases.ports.writing import Decision, Writer

_END_OF_TIME: Final = datetime.max.replace(tzinfo=UTC)
_CLOCK_TOLERANCE: Final = timedelta(seconds=1)
_PASSING: Final = frozenset({ErrorKind.EXHAUSTED, ErrorKind.UNAVAILABLE})


@unique
class Applied(Enum):
    """What became of an event in one account."""

    BOOKED = "booked"
    ALREADY_BOOKED = "already booked"
    """It was booked before, perhaps under another request id; nothing was booked now."""
    NOTHING_TO_BOOK = "nothing to book"
    """The account held nothing of the instrument that the event is about."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class EventRefusal:
    """Why an event is not in an account's books."""

    reason: str
    message: str
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EventOutcome:
    """What an event did to one account.

    Attributes:
        sequence: Of its entry; 0 when there is none.
        amounts: What the account received (+) or gave (-) of each instrument, in the order of their ids.
    """

    account: AccountRef
    applied: Applied
    sequence: int = 0
    amounts: tuple[tuple[InstrumentId, Decimal], ...] = ()
    refusal: EventRefusal | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class _Seen:
    """What an account's books say of an event, as of a sequence."""

    sequence: int
    positions: tuple[Position, ...]
    before: tuple[BookedEntry, ...]

    @property
    def standing(self) -> tuple[BookedEntry, ...]:
        """The applications that nobody has taken back."""
        return tuple(booked for booked in self.before if booked.reversed_by is None)


@dataclass(frozen=True, slots=True)
class ApplyLifecycleEvent:
    """Applies one event, account by account, each in a transaction of its own and under a key of its own.

    A run that breaks is simply run again: an account that has booked the event says so and pays nothing twice, whether the request id
    is the same or another, because the name of the event is taken there.
    """

    writer: Writer
    books: BookReader
    instruments: InstrumentReader
    clock: Clock

    async def __call__(self, event: LifecycleEvent, account: AccountRef | None, *, caller: Caller) -> AsyncIterator[EventOutcome]:
        """Yield the outcome of every account that holds the instrument or ever did, by name; of one account when one is given.

        Raises:
            DomainError: Before anything is booked: UNKNOWN_INSTRUMENT, UNKNOWN_ACCOUNT, and what `check_event` raises. On the way
                SERVICE_BUSY or STORAGE_UNAVAILABLE: run it again. Whatever else one account refuses is that account's outcome.
        """
        instrument = await self._instrument(event)
        _check_time(event, self.clock.now())
        check_event(event, instrument)
        if account is not None:
            await self.books.get_account(account)
        elif event.is_partial:
            raise does_not_fit(event, "a quantity was given and no account; a part is exercised by one account")
        for ref in [account] if account is not None else await self.books.accounts_with(event.instrument_id):
            yield await self._outcome(event, instrument, ref, caller)

    async def _instrument(self, event: LifecycleEvent) -> Instrument:
        instrument = (await known_instruments(self.instruments, [event.instrument_id]))[event.instrument_id]
        happening = event.happening
        if isinstance(happening, Exercise) and happening.delivery is Delivery.PHYSICAL:
            delivered = delivered_asset(instrument)
            if delivered is not None:
                asset = (await known_instruments(self.instruments, [delivered]))[delivered]
                if not asset.is_asset:
                    raise does_not_fit(event, f"it delivers {delivered}, which is not an asset that an account can hold")
        return instrument

    async def _outcome(self, event: LifecycleEvent, instrument: Instrument, account: AccountRef, caller: Caller) -> EventOutcome:
        seen = await self._seen(event, account)
        if not seen.positions and not seen.before:
            return EventOutcome(account, Applied.NOTHING_TO_BOOK)

        async def decide(heads: Mapping[AccountRef, AccountHead]) -> Decision:
            head = heads[account].check_open()
            # What was read before the lock counts only if nothing was booked in between.
            current = seen if head.sequence == seen.sequence else await self._seen(event, account)
            if current.standing and not (event.ends_what_is_held and current.positions):
                return _already_booked(event, account, current.standing[-1])
            _check_same_terms(event, account, current.standing)
            name = application_name(event.name, len(current.before))
            entry = entry_from_event(event, instrument, account, current.positions, name=name)
            if entry is None:
                return Decision(_encode(EventOutcome(account, Applied.NOTHING_TO_BOOK)))
            chained = append_to_chain(head, (entry,))
            booked = EventOutcome(account, Applied.BOOKED, chained[-1].sequence, _amounts(entry))
            return Decision(_encode(booked), entries=chained)

        content = [
            event.name,
            event.instrument_id,
            event.effective_at.isoformat(),
            event.reference,
            repr(event.terms),
            repr(event.happening),
        ]
        own = Caller(caller.principal, f"{caller.request_id} {account}")
        try:
            outcome = await self.writer.write(own.write_request("ApplyLifecycleEvent", content, (account,)), decide)
        except DomainError as error:
            if error.reason.kind in _PASSING or error.reason is Reason.REQUEST_ID_REUSED:
                raise
            return EventOutcome(account, Applied.REFUSED, refusal=EventRefusal(error.reason.code, error.message, error.facts))
        return replace(_decode(account, outcome.response), replayed=outcome.replayed)

    async def _seen(self, event: LifecycleEvent, account: AccountRef) -> _Seen:
        until = event.effective_at if event.is_as_of_then else _END_OF_TIME
        # The sequence comes with the first read: whatever is booked after it makes the lock's sequence another.
        held = await self.books.instrument_positions(account, event.instrument_id, until=until)
        return _Seen(held.sequence, held.positions, tuple(await self.books.event_entries(account, event.name)))


def _check_time(event: LifecycleEvent, now: datetime) -> None:
    if event.effective_at > now + _CLOCK_TOLERANCE:
        raise DomainError(
            Reason.EVENT_NOT_DUE,
            f"{event.kind.value} of {event.instrument_id}: effective_at was {event.effective_at.isoformat()}, which is still to come at "
            f"{now.isoformat()}; an event is booked when it has happened",
            instrument=event.instrument_id,
            event=event.kind.value,
            value=event.effective_at.isoformat(),
        )


def _already_booked(event: LifecycleEvent, account: AccountRef, standing: BookedEntry) -> Decision:
    _check_same_terms(event, account, (standing,))
    entry = standing.entry
    return Decision(_encode(EventOutcome(account, Applied.ALREADY_BOOKED, entry.sequence, _amounts(entry.entry))))


def _check_same_terms(event: LifecycleEvent, account: AccountRef, standing: Sequence[BookedEntry]) -> None:
    for booked in standing:
        terms = booked.entry.entry.details.terms
        if terms != event.terms:
            raise DomainError(
                Reason.ALREADY_EXISTS,
                f"{event.name} is in the books of {account} as entry {booked.entry.sequence} with {_in_words(terms)}; it now came with "
                f"{_in_words(event.terms)}; cancel that entry first if it is wrong",
                noun="lifecycle event",
                name=event.name,
                account=account,
                sequence=booked.entry.sequence,
            )


def _in_words(terms: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{name} {value}" for name, value in terms) or "no terms of its own"


def _amounts(entry: NewEntry) -> tuple[tuple[InstrumentId, Decimal], ...]:
    own = [leg for leg in entry.postings if leg.ledger_account == entry.account.account_id]
    totals = {name: exact_sum(leg.quantity for leg in own if leg.instrument_id == name) for name in {leg.instrument_id for leg in own}}
    return tuple((name, total) for name, total in sorted(totals.items()) if total)


def _encode(outcome: EventOutcome) -> bytes:
    amounts = [[name, format_decimal(amount)] for name, amount in outcome.amounts]
    document = {"applied": outcome.applied.value, "sequence": outcome.sequence, "amounts": amounts}
    return json.dumps(document, sort_keys=True).encode()


def _decode(account: AccountRef, response: bytes) -> EventOutcome:
    document = json.loads(response)
    amounts = tuple((InstrumentId(name), Decimal(amount)) for name, amount in document["amounts"])
    return EventOutcome(account, Applied(document["applied"]), document["sequence"], amounts)
