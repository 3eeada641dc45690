"""Bond futures: the forward price of the bond that is cheapest to deliver."""

from __future__ import annotations

from datetime import date
from typing import Final

import numpy as np

from crossmargin.domain.instrument import BondFuture, FixedRateBond, Instrument, Payoff
from crossmargin.engine.revaluation.discounting import Payments, discount_curves, discounted
from crossmargin.engine.revaluation.fixed_rate_bond import coupon_payments
from crossmargin.engine.revaluation.margined_contract import contract_value
from crossmargin.engine.revaluation.schedule import rolled_days
from crossmargin.engine.revaluation.shocked_market import ShockedMarket
from crossmargin.engine.revaluation.valuation import Claim, Valuation, expired, one_by_one, terms_of

_FACE_OF_A_POINT: Final = 100.0
"""Face whose price rises by one unit of money when it rises by one point."""


def _revalue(instrument: Instrument, market: ShockedMarket) -> Valuation:
    """Value one contract: multiplier x ((dirty price - coupons before delivery) / DF(delivery) - accrued at delivery) / factor.

    The dirty price less the coupons before delivery is what the payments after it are worth. With a mark, what that leaves unexplained,
    the contract's own basis, is held fixed in points of price.

    It is exposed like the bonds that it delivers, bought forward: their dirty price, of which the future's is clean.
    """
    terms = terms_of(instrument, BondFuture)
    if terms.delivery_date < market.as_of.date():
        raise expired(instrument, ended=terms.delivery_date, as_of=market.as_of)
    years = market.years_until_day(terms.delivery_date)
    bond = discounted(terms.settlement, coupon_payments(terms.deliverable, market, after=terms.delivery_date), market)
    delivery = discounted(terms.settlement, Payments(np.array([years]), np.array([1.0])), market)
    accrued = accrued_interest(terms.deliverable, terms.delivery_date)
    forward = bond.amount / delivery.amount
    factor = float(terms.conversion_factor)
    price = (forward - accrued) / factor
    mark = market.mark(instrument)
    if mark is not None:
        price = price + (mark - price[0])
    multiplier = float(terms.multiplier)
    exposure = multiplier * forward[market.bases] / factor
    claim = Claim(terms.settlement, contract_value(Payoff.LINEAR, terms.multiplier, price), bond.group, exposure)
    return Valuation((claim,), years, notional=np.full(len(market.bases), _FACE_OF_A_POINT * multiplier))


curves = discount_curves


def accrued_interest(bond: FixedRateBond, day: date) -> float:
    """Return the interest per 100 of face that has accrued since the last coupon day, act/act ICMA.

    >>> from decimal import Decimal; from crossmargin.domain.identifiers import InstrumentId
    >>> bond = FixedRateBond(InstrumentId("USD"), Decimal("0.04"), 2, date(2024, 3, 1), date(2030, 3, 1))
    >>> accrued_interest(bond, date(2026, 6, 1))
    1.0
    """
    following = rolled_days(bond.maturity_date, per_year=bond.coupons_per_year, after=day)
    # One period longer than a period is enough to find the coupon day before.
    period_start = rolled_days(bond.maturity_date, per_year=bond.coupons_per_year, after=date(max(day.year - 2, 1), day.month, 1))
    previous = period_start[period_start < following[0]][-1]
    whole, elapsed = (following[0] - previous).astype(np.int64), (np.datetime64(day, "D") - previous).astype(np.int64)
    return 100.0 * float(bond.coupon_rate) / bond.coupons_per_year * float(elapsed) / float(whole)


revalue = one_by_one(_revalue)
