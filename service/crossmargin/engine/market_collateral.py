"""What the haircut schedule says of the assets and bonds of a market, looked up once for all accounts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias
from weakref import WeakKeyDictionary

from crossmargin.engine.collateral_terms import InstrumentTerms, instrument_terms
from crossmargin.engine.portfolio_arrays import HaircutSchedule
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

_ByRow: TypeAlias = dict[int, InstrumentTerms | None]

_known: Final[WeakKeyDictionary[RevaluedMarket, dict[HaircutSchedule, _ByRow]]] = WeakKeyDictionary()


def market_terms(rows: Iterable[int], market: RevaluedMarket, schedule: HaircutSchedule) -> list[InstrumentTerms | None]:
    """Return the terms of the assets and bonds at some rows along axis I; None for one without a row in the schedule.

    Remembered as long as the market lives: they depend on nothing else.
    """
    by_schedule = _known.setdefault(market, {})
    by_row = by_schedule.get(schedule)
    if by_row is None:
        by_row = by_schedule.setdefault(schedule, {})
    wanted = list(rows)
    for row in wanted:
        if row not in by_row:
            rates = schedule.rows.get(market.instruments[row].collateral_class or "")
            by_row[row] = None if rates is None else instrument_terms(row, rates, market, schedule)
    return [by_row[row] for row in wanted]
