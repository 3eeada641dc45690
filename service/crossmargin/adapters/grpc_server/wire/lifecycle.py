"""Lifecycle events and what they did, on the wire."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from crossmargin.adapters.grpc_server.wire.values import date_from_message, moment_from_message, moment_to_message
from crossmargin.api.v1 import book_service_pb2 as pb
from crossmargin.domain.identifiers import BookId, InstrumentId
from crossmargin.domain.lifecycle_event import (
    ContractPayment,
    Coupon,
    CurrencyDelivery,
    Delivery,
    Exercise,
    Expiry,
    FinalSettlement,
    Fixing,
    Funding,
    Happening,
    LifecycleEvent,
    Maturity,
    Variation,
)
from crossmargin.domain.money import exact_sum, format_decimal, parse_decimal
from crossmargin.usecases.apply_lifecycle_event import Applied, EventOutcome
from crossmargin.usecases.list_due_events import DueEvent

MOST_DUE_EVENTS: Final = 1000
"""Events that one answer lists; of more it says how many there are."""

_APPLICATIONS: Final = {
    Applied.BOOKED: pb.EVENT_APPLICATION_BOOKED,
    Applied.ALREADY_BOOKED: pb.EVENT_APPLICATION_ALREADY_BOOKED,
    Applied.NOTHING_TO_BOOK: pb.EVENT_APPLICATION_NOTHING_TO_BOOK,
    Applied.REFUSED: pb.EVENT_APPLICATION_REFUSED,
}
_DELIVERIES: Final = {pb.OPTION_DELIVERY_CASH: Delivery.CASH, pb.OPTION_DELIVERY_PHYSICAL: Delivery.PHYSICAL}


def event_from_message(message: pb.LifecycleEvent) -> LifecycleEvent:
    """Return the event of a message."""
    happening = message.WhichOneof("happening") or ""
    return LifecycleEvent(
        instrument_id=InstrumentId(message.instrument_id),
        effective_at=moment_from_message(message.effective_time, what="event.effective_time"),
        happening=_HAPPENINGS[happening](getattr(message, happening)),
        reference=message.reference,
    )


def due_event_to_message(event: DueEvent) -> pb.DueEvent:
    """Return the message for an event that is missing."""
    return pb.DueEvent(
        account=str(event.account), instrument_id=event.instrument_id, event=event.name, due_time=moment_to_message(event.due)
    )


def event_outcome_to_message(outcome: EventOutcome) -> pb.EventOutcome:
    """Return the message of what an event did to one account."""
    refusal = outcome.refusal
    return pb.EventOutcome(
        account=str(outcome.account),
        application=_APPLICATIONS[outcome.applied],
        sequence=outcome.sequence,
        amounts=_amounts(outcome.amounts),
        refusal=None if refusal is None else pb.TradeRefusal(reason=refusal.reason, message=refusal.message, metadata=refusal.facts),
        replayed=outcome.replayed,
    )


class EventTally:
    """Adds up what an event did to the accounts one after another."""

    def __init__(self) -> None:
        self._counts: Counter[Applied] = Counter()
        self._amounts: defaultdict[InstrumentId, Decimal] = defaultdict(Decimal)

    def add(self, outcome: EventOutcome) -> None:
        """Count one account."""
        self._counts[outcome.applied] += 1
        for name, amount in outcome.amounts:
            self._amounts[name] = exact_sum((self._amounts[name], amount))

    def summary(self) -> pb.EventSummary:
        """Return the message of what was counted so far."""
        return pb.EventSummary(
            booked=self._counts[Applied.BOOKED],
            already_booked=self._counts[Applied.ALREADY_BOOKED],
            nothing_to_book=self._counts[Applied.NOTHING_TO_BOOK],
            refused=self._counts[Applied.REFUSED],
            amounts=_amounts(sorted(self._amounts.items())),
        )


def _amounts(amounts: Iterable[tuple[InstrumentId, Decimal]]) -> list[pb.Amount]:
    return [pb.Amount(instrument_id=name, quantity=format_decimal(amount)) for name, amount in amounts]


def _number(text: str, what: str) -> Decimal:
    return parse_decimal(text, what=f"event.{what}")


def _optional(text: str, what: str) -> Decimal | None:
    return _number(text, what) if text else None


def _funding(message: pb.FundingEvent) -> Funding:
    return Funding(_number(message.rate, "funding.rate"), _number(message.price, "funding.price"))


def _coupon(message: pb.CouponEvent) -> Coupon:
    day = date_from_message(message.payment_date, what="event.coupon.payment_date")
    return Coupon(day, _optional(message.rate, "coupon.rate"))


def _contract_payment(message: pb.ContractPaymentEvent) -> ContractPayment:
    day = date_from_message(message.payment_date, what="event.contract_payment.payment_date")
    return ContractPayment(day, _optional(message.floating_fraction, "contract_payment.floating_fraction"))


def _exercise(message: pb.ExerciseEvent) -> Exercise:
    return Exercise(
        price=_number(message.price, "exercise.price"),
        delivery=_DELIVERIES[message.delivery],
        quantity=_optional(message.quantity, "exercise.quantity"),
        book_id=BookId(message.book_id) if message.book_id else None,
    )


def _fixing(message: pb.FixingEvent) -> Fixing:
    return Fixing(_optional(message.bought_price, "fixing.bought_price"), _optional(message.sold_price, "fixing.sold_price"))


_HAPPENINGS: Final[Mapping[str, Callable[[Any], Happening]]] = {
    "funding": _funding,
    "coupon": _coupon,
    "contract_payment": _contract_payment,
    "variation": lambda message: Variation(_number(message.price, "variation.price")),
    "expiry": lambda message: Expiry(_number(message.price, "expiry.price")),
    "exercise": _exercise,
    "final_settlement": lambda message: FinalSettlement(_number(message.price, "final_settlement.price")),
    "delivery": lambda _: CurrencyDelivery(),
    "fixing": _fixing,
    "maturity": lambda message: Maturity(_optional(message.rate, "maturity.rate")),
}
