"""Bonds with level coupons."""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.instrument import FixedRateBond, Instrument
from crossmargin.engine.revaluation.discounting import Payments, discount_curves
from crossmargin.engine.revaluation.paid_schedules import Schedule, scheduled
from crossmargin.engine.revaluation.schedule import rolled_days
from crossmargin.engine.revaluation.shocked_market import ShockedMarket
from crossmargin.engine.revaluation.valuation import terms_of

curves = discount_curves


def coupon_days(terms: FixedRateBond, *, after: date) -> NDArray[np.datetime64]:
    """Return the coupon days later than `after` and than the issue date, ascending; the last one is the maturity date.

    >>> from datetime import date; from decimal import Decimal; from crossmargin.domain.identifiers import InstrumentId
    >>> bond = FixedRateBond(InstrumentId("USD"), Decimal("0.04"), 2, date(2025, 8, 31), date(2027, 8, 31))
    >>> [str(day) for day in coupon_days(bond, after=date(2026, 1, 1))]
    ['2026-02-28', '2026-08-31', '2027-02-28', '2027-08-31']
    """
    return rolled_days(terms.maturity_date, per_year=terms.coupons_per_year, after=max(after, terms.issue_date))


def coupon_payments(terms: FixedRateBond, market: ShockedMarket, *, after: date) -> Payments:
    """Return the coupons later than `after` and the redemption, per 100 of face."""
    days = coupon_days(terms, after=after)
    return Payments(market.years_until_days(days), _amounts(terms, len(days)))


def _amounts(terms: FixedRateBond, count: int) -> NDArray[np.float64]:
    """Return the last `count` coupons and with them the redemption."""
    amounts = np.full(count, 100.0 * float(terms.coupon_rate) / terms.coupons_per_year)
    amounts[-1] += 100.0
    return amounts


def _schedule(instrument: Instrument) -> Schedule:
    terms = terms_of(instrument, FixedRateBond)
    days = coupon_days(terms, after=terms.issue_date)
    return Schedule(days, _amounts(terms, len(days)))


prepare = scheduled(_schedule)
