"""What happens to an instrument during its life, as its venue, issuer or calculation agent says: facts that the books follow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, unique
from typing import Final, TypeAlias

from crossmargin.domain.book import EntryKind, check_aware, check_reference
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import BookId, InstrumentId
from crossmargin.domain.instrument import (
    AmericanOption,
    Bill,
    BondFuture,
    CashFlows,
    DatedFuture,
    EuropeanOption,
    FixedRateBond,
    FloatingRateNote,
    FxForward,
    FxOption,
    InterestRateSwap,
    NonDeliverableForward,
    Terms,
)
from crossmargin.domain.money import check_ledger_decimal, format_decimal


@unique
class Delivery(Enum):
    """What an exercised option is settled by."""

    CASH = "cash"
    PHYSICAL = "physical"


@dataclass(frozen=True, slots=True)
class Funding:
    """A perpetual's funding: longs pay `rate` times the notional at `price`, shorts receive it; a negative rate turns it round."""

    rate: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class Coupon:
    """A coupon before the last one. `rate`: what the period pays per year, spread included; None where the terms say it."""

    payment_date: date
    rate: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ContractPayment:
    """A period of a swap, or the flows of one day of a contract of cash flows; the last one ends the contract.

    Attributes:
        floating_fraction: What the overnight rate compounded to over the period, as a fraction of notional. None for cash flows.
    """

    payment_date: date
    floating_fraction: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Variation:
    """The change in price of a margined contract is paid, and its cost becomes its mark."""

    price: Decimal


@dataclass(frozen=True, slots=True)
class Expiry:
    """An option ends worth nothing at the settlement price of its underlying."""

    price: Decimal


@dataclass(frozen=True, slots=True)
class Exercise:
    """An option is exercised by its holders, and assigned to its writers, at the settlement price of its underlying.

    Attributes:
        quantity: Options of one account that are exercised (or assigned), more than zero; None for all it holds.
        book_id: The book they are in; None for all books.
    """

    price: Decimal
    delivery: Delivery = Delivery.CASH
    quantity: Decimal | None = None
    book_id: BookId | None = None


@dataclass(frozen=True, slots=True)
class FinalSettlement:
    """A future ends at its final price."""

    price: Decimal


@dataclass(frozen=True, slots=True)
class CurrencyDelivery:
    """The two currencies of a forward are exchanged."""


@dataclass(frozen=True, slots=True)
class Fixing:
    """A non-deliverable forward is fixed: the price of one unit of each of its currencies in what it settles in.

    None for the currency that it settles in itself.
    """

    bought_price: Decimal | None = None
    sold_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Maturity:
    """A bill, bond or note is redeemed, with its last coupon. `rate` as for `Coupon`."""

    rate: Decimal | None = None


Happening: TypeAlias = (
    Funding | Coupon | ContractPayment | Variation | Expiry | Exercise | FinalSettlement | CurrencyDelivery | Fixing | Maturity
)
KINDS: Final[dict[type, EntryKind]] = {
    Funding: EntryKind.FUNDING,
    Coupon: EntryKind.COUPON,
    ContractPayment: EntryKind.CONTRACT_PAYMENT,
    Variation: EntryKind.VARIATION,
    Expiry: EntryKind.EXPIRY,
    Exercise: EntryKind.EXERCISE,
    FinalSettlement: EntryKind.FINAL_SETTLEMENT,
    CurrencyDelivery: EntryKind.DELIVERY,
    Fixing: EntryKind.FIXING,
    Maturity: EntryKind.MATURITY,
}
EVENT_KINDS: Final = frozenset(KINDS.values()) | {EntryKind.SETTLEMENT}
_ENDINGS: Final[dict[type, str]] = {
    Bill: "maturity",
    FixedRateBond: "maturity",
    FloatingRateNote: "maturity",
    DatedFuture: "final-settlement",
    BondFuture: "final-settlement",
    EuropeanOption: "expiry or exercise",
    AmericanOption: "expiry or exercise",
    FxOption: "expiry or exercise",
    FxForward: "delivery",
    NonDeliverableForward: "fixing",
    InterestRateSwap: "payment",
    CashFlows: "payment",
}
_AS_OF_THEN: Final = (Funding, Coupon, ContractPayment, Variation)
"""Paid on what was held at the time. What ends an instrument takes whatever is still held."""


@dataclass(frozen=True, slots=True)
class LifecycleEvent:
    """A happening of one instrument.

    Attributes:
        effective_at: When it happened. What was held then is what it pays on, whenever it is booked.
        reference: The caller's own name for it; kept, never interpreted.
    """

    instrument_id: InstrumentId
    effective_at: datetime
    happening: Happening
    reference: str = ""

    def __post_init__(self) -> None:
        check_aware(self.effective_at, what="effective_at")
        check_reference(self.reference)
        for name in ("rate", "price", "floating_fraction", "quantity", "bought_price", "sold_price"):
            value = getattr(self.happening, name, None)
            if value is not None:
                check_ledger_decimal(value, what=name)

    @property
    def kind(self) -> EntryKind:
        """Kind of the entries that book it."""
        return KINDS[type(self.happening)]

    @property
    def name(self) -> str:
        """What tells it from every other event: an account books an event of one name once, whoever asks and how often."""
        parts = [self.kind.value, self.instrument_id]
        match self.happening:
            case Coupon(payment_date=day) | ContractPayment(payment_date=day):
                parts.append(day.isoformat())
            case Funding() | Variation():
                parts.append(_moment(self.effective_at))
            case Exercise(quantity=quantity) if quantity is not None:
                parts.append(_moment(self.effective_at))
        return " ".join(parts)

    @property
    def is_as_of_then(self) -> bool:
        """True when it pays on what was held at its time; False when it is about what is held when it is booked."""
        return isinstance(self.happening, _AS_OF_THEN)

    @property
    def ends_what_is_held(self) -> bool:
        """True when nothing may be left of the instrument, so that it is booked once more for what a late trade brings in."""
        return not self.is_as_of_then and not self.is_partial

    @property
    def is_partial(self) -> bool:
        """True when an account exercises a part of what it holds."""
        return isinstance(self.happening, Exercise) and self.happening.quantity is not None

    @property
    def terms(self) -> tuple[tuple[str, str], ...]:
        """What its amounts are worked out from, by name: kept with the entry."""
        given: list[tuple[str, str]] = []
        for name in ("bought_price", "delivery", "floating_fraction", "price", "quantity", "rate", "sold_price"):
            match getattr(self.happening, name, None):
                case Decimal() as value:
                    given.append((name, format_decimal(value)))
                case Delivery() as delivery:
                    given.append((name, delivery.value))
        return tuple(given)


def settlement_event(sequence: int | str) -> str:
    """Return the name of the event that settles the trade of an entry with the street."""
    return f"{EntryKind.SETTLEMENT.value} of entry {sequence}"


def application_name(event: str, count: int) -> str:
    """Return the name under which an event is booked that was booked `count` times before, and taken back or left something over."""
    return event if not count else f"{event} #{count + 1}"


def is_event_of(stored: str, instrument_id: InstrumentId) -> bool:
    """Return whether a stored name is that of an event of an instrument."""
    return any(f"{stored} ".startswith(f"{kind.value} {instrument_id} ") for kind in KINDS.values())


def is_application_of(stored: str, event: str) -> bool:
    """Return whether a stored name is that of an event, booked for the first time or once more."""
    return stored == event or stored.startswith(f"{event} #")


def ending_event(terms: Terms) -> str:
    """Return the word for the event that ends an instrument of these terms; empty for what never ends."""
    return _ENDINGS.get(type(terms), "")


def does_not_fit(event: LifecycleEvent, sentence: str, **facts: object) -> DomainError:
    """Return the error for an event that cannot happen to the instrument as it is."""
    return DomainError(
        Reason.INVALID_EVENT,
        f"{event.kind.value} of {event.instrument_id}: {sentence}",
        instrument=event.instrument_id,
        event=event.kind.value,
        **facts,
    )


def not_due(event: LifecycleEvent, *, due: date | datetime) -> DomainError:
    """Return the error for an event that is said to have happened before it could."""
    return DomainError(
        Reason.EVENT_NOT_DUE,
        f"{event.kind.value} of {event.instrument_id} is due {due.isoformat()}; effective_at was {event.effective_at.isoformat()}; "
        "expected that time or a later one",
        instrument=event.instrument_id,
        event=event.kind.value,
        due=due.isoformat(),
        value=event.effective_at.isoformat(),
    )


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
