"""Bonds with level coupons."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.instrument import FixedRateBond, Instrument
from crossmargin.engine.revaluation.discounting import Payments, revalue_payments, zero_curve_of_settlement
from crossmargin.engine.revaluation.shocked_market import ShockedMarket
from crossmargin.engine.revaluation.valuation import Outcome, expired, terms_of


def revalue(instruments: Sequence[Instrument], market: ShockedMarket) -> list[Outcome]:
    """Return the outcomes of bonds: 0.01 x dirty price per unit of face."""
    return revalue_payments(instruments, market, _remaining)


curves = zero_curve_of_settlement


def coupon_days(terms: FixedRateBond, *, after: date) -> NDArray[np.datetime64]:
    """Return the coupon days later than `after` and than the issue date, ascending; the last one is the maturity date.

    Each is rolled back from the maturity date itself, so that a short month on the way does not move the days before it: from
    31 August a half year is 28 February and a year is 31 August.

    >>> from datetime import date; from decimal import Decimal; from crossmargin.domain.identifiers import InstrumentId
    >>> bond = FixedRateBond(InstrumentId("USD"), Decimal("0.04"), 2, date(2025, 8, 31), date(2027, 8, 31))
    >>> [str(day) for day in coupon_days(bond, after=date(2026, 1, 1))]
    ['2026-02-28', '2026-08-31', '2027-02-28', '2027-08-31']
    """
    first = max(after, terms.issue_date)
    maturity_month = np.datetime64(terms.maturity_date, "M")
    step = 12 // terms.coupons_per_year
    count = int((maturity_month - np.datetime64(first, "M")).astype(np.int64)) // step + 1
    months = maturity_month - step * np.arange(count)[::-1]
    month_starts = months.astype("datetime64[D]")
    month_lengths = ((months + 1).astype("datetime64[D]") - month_starts).astype(np.int64)
    days = month_starts + np.minimum(terms.maturity_date.day, month_lengths) - 1
    remaining: NDArray[np.datetime64] = days[days > np.datetime64(first, "D")]
    return remaining


def _remaining(instrument: Instrument, market: ShockedMarket) -> Payments:
    """Return coupons and redemption after the snapshot's day; a coupon of that day is already paid."""
    terms = terms_of(instrument, FixedRateBond)
    today = market.as_of.date()
    if terms.maturity_date <= today:
        raise expired(instrument, ended=terms.maturity_date, as_of=market.as_of)
    days = coupon_days(terms, after=today)
    amounts = np.full(len(days), 100.0 * float(terms.coupon_rate) / terms.coupons_per_year)
    amounts[-1] += 100.0
    return Payments(market.years_until_days(days), amounts)
