"""Floating-rate notes, projected from the curve that discounts them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.instrument import FloatingRateNote, Instrument
from crossmargin.engine.revaluation.discounting import Payments, discount_curves
from crossmargin.engine.revaluation.paid_schedules import projected
from crossmargin.engine.revaluation.schedule import AccrualPeriods, accrual_periods, year_fractions
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, discount_curve
from crossmargin.engine.revaluation.valuation import expired, terms_of

curves = discount_curves


def remaining(instrument: Instrument, market: ShockedMarket) -> Payments:
    """Return what the note still pays after the snapshot's day.

    A rate that is not fixed pays DF(start) / DF(end) - 1 at the end of its period, which is worth DF(start) - DF(end): 100 at the start
    less 100 at the end, both at risk until the end. With the spread on top and the face at maturity, that is all there is.
    """
    terms = terms_of(instrument, FloatingRateNote)
    today = market.as_of.date()
    periods = accrual_periods(
        terms.issue_date,
        terms.maturity_date,
        per_year=terms.coupons_per_year,
        rule=terms.business_days,
        calendar=terms.calendar,
        after=today,
    )
    if not len(periods.ends):
        raise expired(instrument, ended=terms.maturity_date, as_of=market.as_of)
    ends = market.years_until_days(periods.ends)
    is_floating = periods.starts >= np.datetime64(today, "D")
    is_floating &= ~_is_stated(periods, terms)
    starts = market.years_until_days(periods.starts[is_floating])
    coupons = 100.0 * np.where(is_floating, float(terms.spread_rate), _known_rate(periods, terms, instrument, market))
    amounts = coupons * year_fractions(periods, terms.day_count) - 100.0 * is_floating
    amounts[-1] += 100.0
    return Payments(
        years=np.concatenate([starts, ends]),
        amounts=np.concatenate([np.full(len(starts), 100.0), amounts]),
        spread_years=np.concatenate([ends[is_floating], ends]),
    )


def _is_stated(periods: AccrualPeriods, terms: FloatingRateNote) -> NDArray[np.bool_]:
    fixed_on = np.datetime64(terms.rate_fixed_on, "D")
    return (periods.starts <= fixed_on) & (fixed_on < periods.ends)


def _known_rate(periods: AccrualPeriods, terms: FloatingRateNote, instrument: Instrument, market: ShockedMarket) -> NDArray[np.float64]:
    """Return [D] the rate a period pays if it has begun: the stated one, or what the curve says today when nobody has stated it.

    The latter was fixed in the past too, so the scenarios do not move it.
    """
    curve = market.curve(discount_curve(market.assets[instrument.settlement]))
    year = (periods.ends - periods.starts).astype(np.float64) / 365.0
    growth = np.expm1(curve.levels_at(market.years_until_days(periods.ends)) * year)
    estimated = growth / year_fractions(periods, terms.day_count) + float(terms.spread_rate)
    return np.where(_is_stated(periods, terms), float(terms.fixed_rate), estimated)


prepare = projected(remaining)
