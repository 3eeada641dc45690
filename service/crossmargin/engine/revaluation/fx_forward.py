"""FX forwards: one payment in each of two currencies, so that a forward offsets the bills and the cash that replicate it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import FxForward, Instrument
from crossmargin.engine.axes import ByState
from crossmargin.engine.revaluation.discounting import discount_factors
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, discount_curve
from crossmargin.engine.revaluation.valuation import Claim, Valuation, expired, one_by_one, terms_of


def _revalue(instrument: Instrument, market: ShockedMarket) -> Valuation:
    """Value the receipt of one unit bought and the payment of the contract rate.

    With a mark, which is a present value in the currency sold, what the curves leave unexplained is held fixed in that currency.
    """
    terms = terms_of(instrument, FxForward)
    if terms.delivery_date < market.as_of.date():
        raise expired(instrument, ended=terms.delivery_date, as_of=market.as_of)
    years = market.years_until_day(terms.delivery_date)
    bought = _payment(terms.bought, years, market)
    sold = -float(terms.contract_rate) * _payment(terms.sold, years, market)
    mark, rate = market.mark(instrument), market.price(terms.bought) / market.price(terms.sold)
    if mark is not None:
        sold = sold + (mark - (bought[0] * rate[0] + sold[0]))
    groups = [market.curve_group(discount_curve(market.assets[asset])) for asset in (terms.bought, terms.sold)]
    exchanged = market.price_group(terms.bought) or market.price_group(terms.sold)
    claims = (Claim(terms.bought, bought, groups[0]), Claim(terms.sold, sold, groups[1]))
    return Valuation(claims, years, notional=rate[market.bases], group=exchanged)


def curves(instrument: Instrument, assets: Mapping[InstrumentId, Instrument]) -> frozenset[str]:
    """Return the discount curves of both currencies."""
    terms = terms_of(instrument, FxForward)
    return frozenset({discount_curve(assets[terms.bought]), discount_curve(assets[terms.sold])})


def _payment(asset: InstrumentId, years: float, market: ShockedMarket) -> ByState:
    """Return [M] value of one unit of an asset paid so many years from now, in that asset."""
    curve = market.curve(discount_curve(market.assets[asset]))
    curve.check(np.array([years]))
    payment: ByState = discount_factors(curve, np.array([years]))[0]
    return payment


revalue = one_by_one(_revalue)
