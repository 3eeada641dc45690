"""What a lifecycle event moves: pure, exact, from the instrument's terms and the price or rate that the event brings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any, Final

from crossmargin.domain.book import NewEntry, Posting, ledger_amount
from crossmargin.domain.entry_details import EntryDetails
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import LEDGER_CUSTODIAN, LEDGER_STREET, AccountRef, InstrumentId
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
    OptionRight,
    Payoff,
    Perpetual,
    PremiumStyle,
    check_trade_price,
    consideration,
)
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
    LifecycleEvent,
    Maturity,
    Variation,
    does_not_fit,
    not_due,
)
from crossmargin.domain.money import EXACT
from crossmargin.domain.position import Position
from crossmargin.domain.schedule import AccrualPeriod, accrual_periods, year_fraction
from crossmargin.domain.terms.rates import BusinessDayRule


@dataclass(frozen=True, slots=True)
class Move:
    """A change of what an account holds of one instrument, and of what that cost."""

    instrument_id: InstrumentId
    quantity: Decimal
    cost: Decimal = Decimal(0)


def entry_from_event(
    event: LifecycleEvent, instrument: Instrument, account: AccountRef, positions: Iterable[Position], *, name: str
) -> NewEntry | None:
    """Return the double entry of an event for one account, or None when it moves nothing there.

    `positions` are what each book holds of the instrument, `name` the event's own for this application. Securities move against the
    custodian, contracts against the street.

    Raises:
        DomainError: INVALID_EVENT, EVENT_NOT_DUE, INVALID_PRICE or INVALID_DECIMAL.
    """
    other_side = LEDGER_CUSTODIAN if isinstance(instrument.terms, (Bill, FixedRateBond, FloatingRateNote)) else LEDGER_STREET
    postings: list[Posting] = []
    for position in _chosen(event, positions):
        for move in moves_of(event, instrument, position):
            if move.quantity or move.cost:
                postings.append(Posting(account.account_id, position.book_id, move.instrument_id, move.quantity, move.cost))
                against = (EXACT.minus(move.quantity), EXACT.minus(move.cost))
                postings.append(Posting(other_side, position.book_id, move.instrument_id, *against))
    if not postings:
        return None
    details = EntryDetails(event=name, terms=event.terms)
    return NewEntry(account, event.kind, event.effective_at, event.reference, tuple(postings), details)


def moves_of(event: LifecycleEvent, instrument: Instrument, position: Position) -> tuple[Move, ...]:
    """Return what an event moves for one position: the instrument itself, and what is paid or delivered for it. Amounts to 18 places.

    Raises:
        DomainError: INVALID_EVENT for an event that cannot happen to this instrument, EVENT_NOT_DUE for one before its time,
            INVALID_PRICE for a price it cannot have, INVALID_DECIMAL when an amount outgrows the ledger.
    """
    with localcontext(EXACT):
        return _MOVES[type(event.happening)](event, event.happening, instrument, position)


def check_event(event: LifecycleEvent, instrument: Instrument) -> None:
    """Raise what `moves_of` raises for every position, before any account is looked at."""
    whole = Decimal(1)
    if isinstance(event.happening, Exercise):
        event = replace(event, happening=replace(event.happening, quantity=None))
    moves_of(event, instrument, Position(_ANY_BOOK, instrument.instrument_id, whole))


def payoff_per_unit(instrument: Instrument, price: Decimal) -> Decimal:
    """Return what one option is worth at its end, in its settlement asset; 0 when it is not in the money."""
    with localcontext(EXACT):
        match instrument.terms:
            case FxOption(right=right, strike=strike):
                return _intrinsic(right, strike, price)
            case EuropeanOption(right=right, strike=strike, multiplier=multiplier, premium=PremiumStyle.COIN_SETTLED):
                return _intrinsic(right, strike, price) * multiplier / price
            case EuropeanOption(right=right, strike=strike, multiplier=multiplier):
                return _intrinsic(right, strike, price) * multiplier
            case AmericanOption(right=right, strike=strike, multiplier=multiplier):
                return _intrinsic(right, strike, price) * multiplier
            case _:
                raise TypeError(f"{instrument.instrument_id} is not an option")


def delivered_asset(instrument: Instrument) -> InstrumentId | None:
    """Return what an option delivers when it is exercised physically; None when it cannot be."""
    match instrument.terms:
        case FxOption(currency=currency):
            return currency
        case AmericanOption(underlying=underlying):
            return underlying
        case EuropeanOption(underlying=underlying, premium=PremiumStyle.CASH_PAID | PremiumStyle.MARGINED, future_expiry=None):
            return underlying
        case _:
            return None


def _chosen(event: LifecycleEvent, positions: Iterable[Position]) -> list[Position]:
    """Return the positions that an event applies to: one book's where it names one."""
    held = [position for position in positions if position.quantity or position.cost]
    happening = event.happening
    if not isinstance(happening, Exercise):
        return held
    if happening.book_id is not None:
        held = [position for position in held if position.book_id == happening.book_id]
    if happening.quantity is not None and len(held) > 1:
        books = ", ".join(position.book_id for position in held)
        raise does_not_fit(event, f"quantity was {happening.quantity} and the account holds it in the books {books}; name one of them")
    return held


def _funding(event: LifecycleEvent, funding: Funding, instrument: Instrument, position: Position) -> tuple[Move, ...]:
    terms = instrument.terms
    if not isinstance(terms, Perpetual):
        raise _wrong_kind(event, instrument, "a perpetual")
    check_trade_price(instrument, funding.price)
    if not -1 < funding.rate < 1:
        raise does_not_fit(event, f"rate was {funding.rate}; expected a fraction of notional such as 0.0001", value=funding.rate)
    if terms.payoff is Payoff.INVERSE:
        notional = position.quantity * terms.multiplier / funding.price
    else:
        notional = position.quantity * terms.multiplier * funding.price
    return (Move(terms.settlement, ledger_amount(-notional * funding.rate)),)


def _coupon(event: LifecycleEvent, coupon: Coupon, instrument: Instrument, position: Position) -> tuple[Move, ...]:
    terms = instrument.terms
    if not isinstance(terms, (FixedRateBond, FloatingRateNote)):
        raise _wrong_kind(event, instrument, "a bond or note with coupons")
    _check_due(event, coupon.payment_date)
    period = _bond_period(event, terms, coupon.payment_date)
    if period.end == bond_periods(terms)[-1].end:
        raise does_not_fit(event, f"{coupon.payment_date} is the last payment of {instrument.instrument_id}; book its maturity instead")
    return (Move(terms.settlement, _coupon_amount(event, terms, period, coupon.rate, position.quantity)),)


def _maturity(event: LifecycleEvent, maturity: Maturity, instrument: Instrument, position: Position) -> tuple[Move, ...]:
    terms = instrument.terms
    if not isinstance(terms, (Bill, FixedRateBond, FloatingRateNote)):
        raise _wrong_kind(event, instrument, "a bill, bond or note")
    face = position.quantity
    if isinstance(terms, Bill):
        _check_due(event, terms.maturity_date)
        if maturity.rate is not None:
            raise does_not_fit(event, f"rate was {maturity.rate}; a bill has no coupon", value=maturity.rate)
        paid = face
    else:
        last = bond_periods(terms)[-1]
        _check_due(event, last.end)
        paid = face + _coupon_amount(event, terms, last, maturity.rate, face)
    return (Move(instrument.instrument_id, -face), Move(terms.settlement, ledger_amount(paid)))


def _contract_payment(event: LifecycleEvent, payment: ContractPayment, instrument: Instrument, position: Position) -> tuple[Move, ...]:
    match instrument.terms:
        case InterestRateSwap() as swap:
            return _swap_payment(event, payment, instrument, swap, position)
        case CashFlows() as contract:
            return _cash_flow_payment(event, payment, instrument, contract, position)
        case _:
            raise _wrong_kind(event, instrument, "a swap or a contract of cash flows")


def _swap_payment(
    event: LifecycleEvent, payment: ContractPayment, instrument: Instrument, swap: InterestRateSwap, position: Position
) -> tuple[Move, ...]:
    periods = swap_periods(swap)
    period = _period_paid_on(event, periods, payment.payment_date)
    _check_due(event, period.end)
    if payment.floating_fraction is None or payment.floating_fraction <= -1:
        raise does_not_fit(
            event,
            f"floating_fraction was {payment.floating_fraction}; expected what the overnight rate compounded to from {period.start} to "
            f"{period.end}, as a fraction of notional such as 0.0125",
            value=payment.floating_fraction,
        )
    fixed = _times(swap.fixed_rate, year_fraction(period, swap.day_count))
    paid = Move(swap.settlement, ledger_amount(position.quantity * (payment.floating_fraction - fixed)))
    return (*_ended(instrument, position, is_last=period == periods[-1]), paid)


def _cash_flow_payment(
    event: LifecycleEvent, payment: ContractPayment, instrument: Instrument, contract: CashFlows, position: Position
) -> tuple[Move, ...]:
    due = [flow for flow in contract.flows if flow.payment_date == payment.payment_date]
    if not due:
        raise _no_such_day(event, payment.payment_date, sorted({flow.payment_date for flow in contract.flows}))
    _check_due(event, payment.payment_date)
    if payment.floating_fraction is not None:
        raise does_not_fit(event, f"floating_fraction was {payment.floating_fraction}; the flows of the contract are fixed amounts")
    paid = tuple(Move(flow.asset, ledger_amount(position.quantity * flow.amount)) for flow in due)
    is_last = payment.payment_date == max(flow.payment_date for flow in contract.flows)
    return (*_ended(instrument, position, is_last=is_last), *paid)


def _variation(event: LifecycleEvent, variation: Variation, instrument: Instrument, position: Position) -> tuple[Move, ...]:
    if not instrument.is_margined:
        raise _wrong_kind(event, instrument, "a margined contract: a perpetual, a future or a margined option")
    check_trade_price(instrument, variation.price)
    gain = ledger_amount(_worth(instrument, position.quantity, variation.price) - position.cost)
    return (Move(instrument.instrument_id, Decimal(0), gain), Move(instrument.settlement, gain))


def _final_settlement(event: LifecycleEvent, final: FinalSettlement, instrument: Instrument, position: Position) -> tuple[Move, ...]:
    match instrument.terms:
        case DatedFuture(expiry=expiry):
            _check_expired(event, expiry)
        case BondFuture(delivery_date=day):
            _check_due(event, day)
        case _:
            raise _wrong_kind(event, instrument, "a dated future or a bond future")
    check_trade_price(instrument, final.price)
    gain = ledger_amount(_worth(instrument, position.quantity, final.price) - position.cost)
    return (Move(instrument.instrument_id, -position.quantity, -position.cost), Move(instrument.settlement, gain))


def _expiry(event: LifecycleEvent, expiry: Expiry, instrument: Instrument, position: Position) -> tuple[Move, ...]:
    _check_option_ended(event, instrument)
    _check_underlying_price(event, expiry.price)
    payoff = payoff_per_unit(instrument, expiry.price)
    if payoff:
        raise does_not_fit(
            event,
            f"at {expiry.price} one is worth {payoff.normalize(EXACT):f} {instrument.settlement}; only what is worth nothing expires; book "
            "its exercise",
            value=expiry.price,
        )
    return (
        Move(instrument.instrument_id, -position.quantity, -position.cost),
        Move(instrument.settlement, ledger_amount(-position.cost)),
    )


def _exercise(event: LifecycleEvent, exercise: Exercise, instrument: Instrument, position: Position) -> tuple[Move, ...]:
    if not isinstance(instrument.terms, AmericanOption):
        _check_option_ended(event, instrument)
    _check_underlying_price(event, exercise.price)
    payoff = payoff_per_unit(instrument, exercise.price)
    if not payoff:
        raise does_not_fit(event, f"at {exercise.price} it is worth nothing; book its expiry at its end", value=exercise.price)
    quantity = _exercised(event, exercise, instrument, position)
    # Only an option that is exercised whole has a cost: it is margined, and its cost is what has been settled of its price. Delivered, it
    # leaves like one that is worth nothing, because its worth is in what is delivered.
    if exercise.delivery is Delivery.PHYSICAL:
        return (Move(instrument.instrument_id, -quantity, -position.cost), *_delivered(event, instrument, quantity, position.cost))
    return (
        Move(instrument.instrument_id, -quantity, -position.cost),
        Move(instrument.settlement, ledger_amount(quantity * payoff - position.cost)),
    )


def _exercised(event: LifecycleEvent, exercise: Exercise, instrument: Instrument, position: Position) -> Decimal:
    if exercise.quantity is None:
        return position.quantity
    if not isinstance(instrument.terms, AmericanOption):
        raise does_not_fit(event, f"quantity was {exercise.quantity}; a European option is exercised whole; leave the quantity out")
    if not 0 < exercise.quantity <= abs(position.quantity):
        raise does_not_fit(
            event,
            f"quantity was {exercise.quantity}; expected more than zero and at most {abs(position.quantity)}, which book "
            f"{position.book_id} holds",
            value=exercise.quantity,
        )
    return exercise.quantity.copy_sign(position.quantity)


def _delivered(event: LifecycleEvent, instrument: Instrument, quantity: Decimal, cost: Decimal) -> tuple[Move, Move]:
    asset = delivered_asset(instrument)
    terms = instrument.terms
    if asset is None or not isinstance(terms, (EuropeanOption, AmericanOption, FxOption)):
        raise does_not_fit(event, "it is not delivered physically: coin-settled or on a future; expected delivery in cash")
    multiplier = Decimal(1) if isinstance(terms, FxOption) else terms.multiplier
    received = quantity * multiplier if terms.right is OptionRight.CALL else -quantity * multiplier
    return Move(asset, ledger_amount(received)), Move(terms.settlement, ledger_amount(-received * terms.strike - cost))


def _currency_delivery(event: LifecycleEvent, _: CurrencyDelivery, instrument: Instrument, position: Position) -> tuple[Move, ...]:
    terms = instrument.terms
    if not isinstance(terms, FxForward):
        raise _wrong_kind(event, instrument, "an FX forward")
    _check_due(event, terms.delivery_date)
    quantity = position.quantity
    return (
        Move(instrument.instrument_id, -quantity),
        Move(terms.bought, quantity),
        Move(terms.sold, ledger_amount(-quantity * terms.contract_rate)),
    )


def _fixing(event: LifecycleEvent, fixing: Fixing, instrument: Instrument, position: Position) -> tuple[Move, ...]:
    terms = instrument.terms
    if not isinstance(terms, NonDeliverableForward):
        raise _wrong_kind(event, instrument, "a non-deliverable forward")
    _check_due(event, terms.fixing_date)
    bought = _fixed_price(event, "bought_price", fixing.bought_price, terms.bought, terms.settlement)
    sold = _fixed_price(event, "sold_price", fixing.sold_price, terms.sold, terms.settlement)
    paid = ledger_amount(position.quantity * (bought - terms.contract_rate * sold))
    return (Move(instrument.instrument_id, -position.quantity), Move(terms.settlement, paid))


def _fixed_price(event: LifecycleEvent, what: str, price: Decimal | None, currency: InstrumentId, settlement: InstrumentId) -> Decimal:
    if currency == settlement:
        if price not in {None, 1}:
            raise does_not_fit(event, f"{what} was {price}; {currency} is what it settles in; leave it out", value=price)
        return Decimal(1)
    if price is None or price <= 0:
        raise does_not_fit(event, f"{what} was {price}; expected what one {currency} is worth in {settlement}", value=price)
    return price


def _coupon_amount(
    event: LifecycleEvent, terms: FixedRateBond | FloatingRateNote, period: AccrualPeriod, rate: Decimal | None, face: Decimal
) -> Decimal:
    if isinstance(terms, FixedRateBond):
        if rate not in {None, terms.coupon_rate}:
            raise does_not_fit(event, f"rate was {rate}; the coupon is {terms.coupon_rate}; leave it out", value=rate)
        return ledger_amount(face * terms.coupon_rate / terms.coupons_per_year)
    paid_rate = _floating_rate(event, terms, period, rate)
    return ledger_amount(face * _times(paid_rate, year_fraction(period, terms.day_count)))


def _floating_rate(event: LifecycleEvent, terms: FloatingRateNote, period: AccrualPeriod, rate: Decimal | None) -> Decimal:
    stated = terms.fixed_rate if period.start <= terms.rate_fixed_on < period.end else None
    if rate is None and stated is None:
        raise does_not_fit(
            event, f"rate is missing; expected what the period from {period.start} to {period.end} pays per year, spread included"
        )
    if rate is not None and stated is not None and rate != stated:
        raise does_not_fit(event, f"rate was {rate}; the terms say that the period pays {stated}", value=rate, expected=stated)
    return rate if rate is not None else Decimal(stated or 0)


def swap_periods(swap: InterestRateSwap) -> tuple[AccrualPeriod, ...]:
    """Return the periods that both legs of a swap pay for, ascending."""
    return accrual_periods(
        swap.start_date, swap.maturity_date, per_year=swap.payments_per_year, rule=swap.business_days, calendar=swap.calendar
    )


def bond_periods(terms: FixedRateBond | FloatingRateNote) -> tuple[AccrualPeriod, ...]:
    """Return the periods that a bond or note pays for, ascending; the last one is paid with its maturity."""
    if isinstance(terms, FixedRateBond):
        return accrual_periods(terms.issue_date, terms.maturity_date, per_year=terms.coupons_per_year, rule=BusinessDayRule.UNADJUSTED)
    return accrual_periods(
        terms.issue_date, terms.maturity_date, per_year=terms.coupons_per_year, rule=terms.business_days, calendar=terms.calendar
    )


def _bond_period(event: LifecycleEvent, terms: FixedRateBond | FloatingRateNote, day: date) -> AccrualPeriod:
    return _period_paid_on(event, bond_periods(terms), day)


def _period_paid_on(event: LifecycleEvent, periods: tuple[AccrualPeriod, ...], day: date) -> AccrualPeriod:
    for period in periods:
        if period.end == day:
            return period
    raise _no_such_day(event, day, [period.end for period in periods])


def _no_such_day(event: LifecycleEvent, day: date, days: list[date]) -> DomainError:
    around = [near.isoformat() for near in sorted(days, key=lambda one: abs((one - day).days))[:2]]
    return does_not_fit(
        event, f"payment_date was {day}, on which it pays nothing; the nearest payments are {' and '.join(sorted(around))}", value=day
    )


def _ended(instrument: Instrument, position: Position, *, is_last: bool) -> tuple[Move, ...]:
    return (Move(instrument.instrument_id, -position.quantity, -position.cost),) if is_last else ()


def _worth(instrument: Instrument, quantity: Decimal, price: Decimal) -> Decimal:
    """Return what a margined position is worth before its cost."""
    return consideration(instrument, quantity=quantity, price=price)


def _times(rate: Decimal, part: Fraction) -> Decimal:
    return rate * part.numerator / part.denominator


def _intrinsic(right: OptionRight, strike: Decimal, price: Decimal) -> Decimal:
    return max(price - strike if right is OptionRight.CALL else strike - price, Decimal(0))


def _check_underlying_price(event: LifecycleEvent, price: Decimal) -> None:
    if price <= 0:
        raise DomainError(
            Reason.INVALID_PRICE,
            f"settlement price of the underlying of {event.instrument_id} was {price}; expected more than zero",
            instrument=event.instrument_id,
            value=price,
            expected="more than zero",
        )


def _check_option_ended(event: LifecycleEvent, instrument: Instrument) -> None:
    match instrument.terms:
        case EuropeanOption(expiry=expiry) | AmericanOption(expiry=expiry) | FxOption(expiry=expiry):
            _check_expired(event, expiry)
        case _:
            raise _wrong_kind(event, instrument, "an option")


def _check_expired(event: LifecycleEvent, expiry: datetime) -> None:
    if event.effective_at < expiry:
        raise not_due(event, due=expiry)


def _check_due(event: LifecycleEvent, day: date) -> None:
    if event.effective_at.astimezone(UTC).date() < day:
        raise not_due(event, due=day)


def _wrong_kind(event: LifecycleEvent, instrument: Instrument, expected: str) -> DomainError:
    kind = type(instrument.terms).__name__
    return does_not_fit(event, f"it is a {kind}; expected {expected}", kind=kind, expected=expected)


_ANY_BOOK: Any = "main"
_MOVES: Final[Mapping[type, Callable[[LifecycleEvent, Any, Instrument, Position], tuple[Move, ...]]]] = {
    Funding: _funding,
    Coupon: _coupon,
    ContractPayment: _contract_payment,
    Variation: _variation,
    Expiry: _expiry,
    Exercise: _exercise,
    FinalSettlement: _final_settlement,
    CurrencyDelivery: _currency_delivery,
    Fixing: _fixing,
    Maturity: _maturity,
}
