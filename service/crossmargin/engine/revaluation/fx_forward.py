"""FX forwards: one payment in each of two currencies, so that a forward offsets the bills and the cash that replicate it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

import numpy as np

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import FxForward, Instrument
from crossmargin.engine.revaluation.discounting import Payments
from crossmargin.engine.revaluation.later_payment import basis_kind, paid_later, payment_curves
from crossmargin.engine.revaluation.shocked_market import ShockedMarket
from crossmargin.engine.revaluation.valuation import Claim, Valuation, expired, meeting_mark, one_by_one, terms_of


def _revalue(instrument: Instrument, market: ShockedMarket) -> Valuation:
    """Value the receipt of one unit bought and the payment of the contract rate.

    With a mark, which is a present value in the currency sold, what the curves leave unexplained is held fixed in that currency.
    """
    terms = terms_of(instrument, FxForward)
    if terms.delivery_date < market.as_of.date():
        raise expired(instrument, ended=terms.delivery_date, as_of=market.as_of)
    claims = exchange(market, bought=terms.bought, sold=terms.sold, contract_rate=terms.contract_rate, day=terms.delivery_date)
    return Valuation(
        meeting_mark(claims, instrument, market),
        market.years_until_day(terms.delivery_date),
        notional=(market.price(terms.bought) / market.price(terms.sold))[market.bases],
        basis=basis_kind(market, terms.bought, terms.sold),
        group=market.price_group(terms.bought) or market.price_group(terms.sold),
    )


def curves(instrument: Instrument, assets: Mapping[InstrumentId, Instrument]) -> frozenset[str]:
    """Return the curves that payments of both currencies are valued from."""
    terms = terms_of(instrument, FxForward)
    return payment_curves(assets[terms.bought]) | payment_curves(assets[terms.sold])


def exchange(market: ShockedMarket, *, bought: InstrumentId, sold: InstrumentId, contract_rate: Decimal, day: date) -> tuple[Claim, ...]:
    """Return the claims of receiving one unit of `bought` and paying `contract_rate` units of `sold` on a day."""
    years = np.array([market.years_until_day(day)])
    return (
        *paid_later(bought, Payments(years, np.array([1.0])), market),
        *paid_later(sold, Payments(years, np.array([-float(contract_rate)])), market),
    )


revalue = one_by_one(_revalue)
