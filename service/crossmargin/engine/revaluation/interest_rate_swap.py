"""Swaps of a fixed rate against the compounded overnight rate, projected from the curve that discounts them."""

from __future__ import annotations

import numpy as np

from crossmargin.domain.instrument import Instrument, InterestRateSwap
from crossmargin.engine.revaluation.discounting import Payments, discount_curves, discounted
from crossmargin.engine.revaluation.schedule import AccrualPeriods, accrual_periods, year_fractions
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, discount_curve
from crossmargin.engine.revaluation.valuation import Valuation, expired, meeting_mark, one_by_one, terms_of


def _revalue(instrument: Instrument, market: ShockedMarket) -> Valuation:
    """Value the floating leg received less the fixed leg paid, for one unit of notional.

    Periods follow one another without a gap, so the floating leg is worth DF(start) - DF(maturity); of a period that has begun, what a
    unit has grown to so far stands in the place of DF(start). A payment of the snapshot's day is already made.
    """
    terms = terms_of(instrument, InterestRateSwap)
    today = market.as_of.date()
    days = terms.start_date, terms.maturity_date
    periods = accrual_periods(*days, per_year=terms.payments_per_year, rule=terms.business_days, calendar=terms.calendar, after=today)
    if not len(periods.ends):
        raise expired(instrument, ended=terms.maturity_date, as_of=market.as_of)
    ends = market.years_until_days(periods.ends)
    fixed = -float(terms.fixed_rate) * year_fractions(periods, terms.day_count)
    fixed[-1] -= 1.0
    has_begun = periods.starts[0] < np.datetime64(today, "D")
    growth = _growth_so_far(periods, terms, instrument, market) if has_begun else 1.0
    start = market.years_until_days(periods.starts[:1])
    payments = Payments(np.concatenate([start, ends]), np.concatenate([[growth], fixed]))
    claim = discounted(terms.settlement, payments, market)
    return Valuation(meeting_mark([claim], instrument, market), float(ends[-1]), notional=np.ones(len(market.bases)))


curves = discount_curves


def _growth_so_far(periods: AccrualPeriods, terms: InterestRateSwap, instrument: Instrument, market: ShockedMarket) -> float:
    """Return what one unit has compounded to since the current period began: as stated, then at the shortest rate of the curve.

    What has accrued is past, so the scenarios do not move it.
    """
    start, stated_until = periods.starts[0], np.datetime64(terms.accrued_until, "D")
    is_stated = start <= stated_until < periods.ends[0]
    shortest = float(market.curve(discount_curve(market.assets[instrument.settlement])).levels[0])
    days = (np.datetime64(market.as_of.date(), "D") - (stated_until if is_stated else start)).astype(np.int64)
    stated = 1.0 + float(terms.accrued_fraction) if is_stated else 1.0
    return stated * float(np.exp(shortest * max(int(days), 0) / 365.0))


revalue = one_by_one(_revalue)
