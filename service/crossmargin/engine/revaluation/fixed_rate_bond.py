"""Bonds with level coupons."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.instrument import FixedRateBond, Instrument
from crossmargin.engine.revaluation.discounting import Payments, discount_curves, revalue_payments
from crossmargin.engine.revaluation.schedule import rolled_days
from crossmargin.engine.revaluation.shocked_market import ShockedMarket
from crossmargin.engine.revaluation.valuation import Outcome, expired, terms_of


def revalue(instruments: Sequence[Instrument], market: ShockedMarket) -> list[Outcome]:
    """Return the outcomes of bonds: 0.01 x dirty price per unit of face."""
    return revalue_payments(instruments, market, _remaining)


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
    amounts = np.full(len(days), 100.0 * float(terms.coupon_rate) / terms.coupons_per_year)
    amounts[-1] += 100.0
    return Payments(market.years_until_days(days), amounts)


def _remaining(instrument: Instrument, market: ShockedMarket) -> Payments:
    """Return coupons and redemption after the snapshot's day; a coupon of that day is already paid."""
    terms = terms_of(instrument, FixedRateBond)
    today = market.as_of.date()
    if terms.maturity_date <= today:
        raise expired(instrument, ended=terms.maturity_date, as_of=market.as_of)
    return coupon_payments(terms, market, after=today)
