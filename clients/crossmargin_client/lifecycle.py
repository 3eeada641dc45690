"""Lifecycle events, built from native values. `at` is when the event happened, with a time zone."""

from __future__ import annotations

from datetime import date, datetime

from crossmargin.api.v1 import book_service_pb2 as pb
from crossmargin_client.values import Exact, date_of, exact_text, timestamp_of

CASH = pb.OPTION_DELIVERY_CASH
PHYSICAL = pb.OPTION_DELIVERY_PHYSICAL


def funding(instrument_id: str, rate: Exact, price: Exact, *, at: datetime, reference: str = "") -> pb.LifecycleEvent:
    """Return funding of a perpetual: longs pay `rate`, a signed fraction, of the notional at `price`."""
    event = pb.FundingEvent(rate=exact_text(rate, field="rate"), price=exact_text(price, field="price"))
    return _event(instrument_id, at, reference, funding=event)


def coupon(instrument_id: str, payment_date: date, *, at: datetime, rate: Exact | None = None, reference: str = "") -> pb.LifecycleEvent:
    """Return a coupon before the last one. `rate` is for a note whose terms do not say it: what the period pays per year."""
    event = pb.CouponEvent(payment_date=date_of(payment_date, field="payment_date"), rate=_optional(rate, "rate"))
    return _event(instrument_id, at, reference, coupon=event)


def contract_payment(
    instrument_id: str, payment_date: date, *, at: datetime, floating_fraction: Exact | None = None, reference: str = ""
) -> pb.LifecycleEvent:
    """Return a payment of a swap, with what the overnight rate compounded to over the period, or of a contract of cash flows."""
    event = pb.ContractPaymentEvent(
        payment_date=date_of(payment_date, field="payment_date"), floating_fraction=_optional(floating_fraction, "floating_fraction")
    )
    return _event(instrument_id, at, reference, contract_payment=event)


def variation(instrument_id: str, price: Exact, *, at: datetime, reference: str = "") -> pb.LifecycleEvent:
    """Return the settlement of a margined contract to a price."""
    return _event(instrument_id, at, reference, variation=pb.VariationEvent(price=exact_text(price, field="price")))


def expiry(instrument_id: str, price: Exact, *, at: datetime, reference: str = "") -> pb.LifecycleEvent:
    """Return the end of an option that is worth nothing at the settlement price of its underlying."""
    return _event(instrument_id, at, reference, expiry=pb.ExpiryEvent(price=exact_text(price, field="price")))


def exercise(
    instrument_id: str,
    price: Exact,
    *,
    at: datetime,
    delivery: pb.OptionDelivery.ValueType = CASH,
    quantity: Exact | None = None,
    book: str = "",
    reference: str = "",
) -> pb.LifecycleEvent:
    """Return the exercise of an option, and its assignment. A `quantity` is a part of what one account holds of an American option."""
    event = pb.ExerciseEvent(
        price=exact_text(price, field="price"), delivery=delivery, quantity=_optional(quantity, "quantity"), book_id=book
    )
    return _event(instrument_id, at, reference, exercise=event)


def final_settlement(instrument_id: str, price: Exact, *, at: datetime, reference: str = "") -> pb.LifecycleEvent:
    """Return the end of a future at its final price."""
    return _event(instrument_id, at, reference, final_settlement=pb.FinalSettlementEvent(price=exact_text(price, field="price")))


def delivery(instrument_id: str, *, at: datetime, reference: str = "") -> pb.LifecycleEvent:
    """Return the exchange of the two currencies of an FX forward."""
    return _event(instrument_id, at, reference, delivery=pb.DeliveryEvent())


def fixing(
    instrument_id: str, *, at: datetime, bought_price: Exact | None = None, sold_price: Exact | None = None, reference: str = ""
) -> pb.LifecycleEvent:
    """Return the fixing of a non-deliverable forward: what one unit of each of its currencies is worth in what it settles in."""
    event = pb.FixingEvent(bought_price=_optional(bought_price, "bought_price"), sold_price=_optional(sold_price, "sold_price"))
    return _event(instrument_id, at, reference, fixing=event)


def maturity(instrument_id: str, *, at: datetime, rate: Exact | None = None, reference: str = "") -> pb.LifecycleEvent:
    """Return the redemption of a bill, bond or note with its last coupon; `rate` as for `coupon`."""
    return _event(instrument_id, at, reference, maturity=pb.MaturityEvent(rate=_optional(rate, "rate")))


def _event(
    instrument_id: str,
    at: datetime,
    reference: str,
    *,
    funding: pb.FundingEvent | None = None,
    coupon: pb.CouponEvent | None = None,
    contract_payment: pb.ContractPaymentEvent | None = None,
    variation: pb.VariationEvent | None = None,
    expiry: pb.ExpiryEvent | None = None,
    exercise: pb.ExerciseEvent | None = None,
    final_settlement: pb.FinalSettlementEvent | None = None,
    delivery: pb.DeliveryEvent | None = None,
    fixing: pb.FixingEvent | None = None,
    maturity: pb.MaturityEvent | None = None,
) -> pb.LifecycleEvent:
    return pb.LifecycleEvent(
        instrument_id=instrument_id,
        effective_time=timestamp_of(at, field="at"),
        reference=reference,
        funding=funding,
        coupon=coupon,
        contract_payment=contract_payment,
        variation=variation,
        expiry=expiry,
        exercise=exercise,
        final_settlement=final_settlement,
        delivery=delivery,
        fixing=fixing,
        maturity=maturity,
    )


def _optional(value: Exact | None, field: str) -> str:
    return "" if value is None else exact_text(value, field=field)
