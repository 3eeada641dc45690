"""A trade read back from the entry that booked it."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from crossmargin.domain.book import NewEntry, Trade, ledger_amount
from crossmargin.domain.instrument import (
    AmericanOption,
    BondTerms,
    DatedFuture,
    EuropeanOption,
    Instrument,
    MarginedTerms,
    Payoff,
    Perpetual,
    consideration,
)
from crossmargin.domain.money import EXACT

_MOST_PLACES: Final = 18


def traded_amount(entry: NewEntry) -> Decimal:
    """Return what the account paid for a trade, negative when it received; of a margined contract its cost."""
    first = entry.postings[0]
    if first.cost or len(entry.postings) == 2:
        return first.cost
    return EXACT.minus(entry.postings[2].quantity)


def trade_of_entry(entry: NewEntry, instrument: Instrument) -> Trade:
    """Return the trade that an entry books. Its price is the shortest decimal at which the quantity costs what was booked."""
    first = entry.postings[0]
    amount = traded_amount(entry)
    paid_in = entry.postings[2].instrument_id if len(entry.postings) > 2 else None
    return Trade(
        account=entry.account,
        book_id=first.book_id,
        instrument_id=first.instrument_id,
        quantity=first.quantity,
        price=_price(instrument, first.quantity, amount),
        executed_at=entry.effective_at,
        settlement=paid_in or (None if instrument.is_asset else instrument.settlement),
        reference=entry.reference,
        settle_date=entry.details.settle_date,
    )


def _price(instrument: Instrument, quantity: Decimal, amount: Decimal) -> Decimal:
    if not amount:
        return Decimal(0)
    exact = _quotient(instrument, quantity, amount)
    for places in range(_MOST_PLACES):
        price = EXACT.quantize(exact, Decimal(1).scaleb(-places))
        if price and ledger_amount(consideration(instrument, quantity=quantity, price=price)) == amount:
            return price
    return EXACT.quantize(exact, Decimal(1).scaleb(-_MOST_PLACES))


def _quotient(instrument: Instrument, quantity: Decimal, amount: Decimal) -> Decimal:
    terms = instrument.terms
    if isinstance(terms, (Perpetual, DatedFuture)) and terms.payoff is Payoff.INVERSE:
        return EXACT.divide(EXACT.multiply(EXACT.minus(quantity), terms.multiplier), amount)
    per_unit = EXACT.divide(amount, quantity)
    if isinstance(terms, BondTerms):
        return EXACT.multiply(per_unit, Decimal(100))
    if isinstance(terms, (*MarginedTerms, EuropeanOption, AmericanOption)):
        return EXACT.divide(per_unit, terms.multiplier)
    return per_unit
