"""Which lifecycle events the terms of an instrument promise by a time, so that one that nobody booked is noticed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from crossmargin.domain.identifiers import InstrumentId
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
    Instrument,
    InterestRateSwap,
    NonDeliverableForward,
)
from crossmargin.domain.lifecycle import bond_periods, swap_periods
from crossmargin.domain.lifecycle_event import ContractPayment, Coupon, LifecycleEvent, ending_event


@dataclass(frozen=True, slots=True)
class ExpectedEvent:
    """An event that the terms promise.

    Attributes:
        name: That of the event, as it will be booked; of an end, what ends it and the instrument, such as `expiry or exercise BTC-CALL`.
        due: From when on it can be booked.
    """

    instrument_id: InstrumentId
    name: str
    due: datetime


def expected_payments(instrument: Instrument, *, after: datetime, until: datetime) -> tuple[ExpectedEvent, ...]:
    """Return the coupons and payments due later than `after` and by `until`, oldest first, without the last one, which ends it."""
    events = [
        ExpectedEvent(instrument.instrument_id, LifecycleEvent(instrument.instrument_id, until, happening).name, _start_of(day))
        for day, happening in _payments(instrument)
    ]
    return tuple(event for event in events if after < event.due <= until)


def expected_end(instrument: Instrument) -> ExpectedEvent | None:
    """Return what ends an instrument, and when; None for what never ends."""
    due = _end_of(instrument)
    if due is None:
        return None
    return ExpectedEvent(instrument.instrument_id, f"{ending_event(instrument.terms)} {instrument.instrument_id}", due)


def _payments(instrument: Instrument) -> list[tuple[date, Coupon | ContractPayment]]:
    match instrument.terms:
        case FixedRateBond() | FloatingRateNote() as bond:
            return [(period.end, Coupon(period.end)) for period in bond_periods(bond)[:-1]]
        case InterestRateSwap() | CashFlows():
            return [(day, ContractPayment(day)) for day in _contract_days(instrument.terms)[:-1]]
        case _:
            return []


def _end_of(instrument: Instrument) -> datetime | None:
    match instrument.terms:
        case Bill(maturity_date=day):
            return _start_of(day)
        case FixedRateBond() | FloatingRateNote() as bond:
            return _start_of(bond_periods(bond)[-1].end)
        case InterestRateSwap() | CashFlows() as contract:
            return _start_of(_contract_days(contract)[-1])
        case DatedFuture(expiry=expiry) | EuropeanOption(expiry=expiry) | AmericanOption(expiry=expiry) | FxOption(expiry=expiry):
            return expiry
        case BondFuture(delivery_date=day) | FxForward(delivery_date=day) | NonDeliverableForward(fixing_date=day):
            return _start_of(day)
        case _:
            return None


def _contract_days(contract: InterestRateSwap | CashFlows) -> list[date]:
    if isinstance(contract, CashFlows):
        return sorted({flow.payment_date for flow in contract.flows})
    return [period.end for period in swap_periods(contract)]


def _start_of(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)
