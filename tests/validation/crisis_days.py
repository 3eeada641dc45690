"""Which days of the crisis windows are stress scenarios: the rule that the shipped days were picked by, on real history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from crossmargin.domain.market import FactorId
from crossmargin.domain.market_clock import HorizonClock
from crossmargin.domain.risk_parameters import CrisisWindow, RiskParameters
from crossmargin.engine.scenarios.historical import unscaled_moves, whole_periods
from crossmargin.engine.scenarios.history_arrays import HistoryArrays

LEADING_FACTORS: Final = tuple(
    FactorId.parse(name)
    for name in (
        "spot:BTC",
        "spot:ETH",
        "fx:EUR",
        "fx:GBP",
        "fx:JPY",
        "fx:CHF",
        "zero:USD:2Y",
        "zero:USD:10Y",
        "zero:EUR:10Y",
        "zero:GBP:10Y",
    )
)
"""What the largest markets are told by: two coins, four currencies, and rates of three governments."""
DAYS_EACH_WAY: Final = 18
"""Days for each factor and direction: enough for events and days together to be 250 stress scenarios or more (house)."""


def days_are_by_rule(history: HistoryArrays, parameters: RiskParameters) -> bool:
    """Return whether the windows name the days that the rule picks from a history."""
    return chosen_days(history, parameters) == {window.name: window.days for window in parameters.crisis_windows}


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Every day of every window, and the moves from it, NaN where a factor had no level."""

    days: np.ndarray
    moves: Mapping[FactorId, np.ndarray]


def chosen_days(history: HistoryArrays, parameters: RiskParameters, *, each_way: int = DAYS_EACH_WAY) -> dict[str, tuple[date, ...]]:
    """Return the days of each window: for every leading factor the worst falls and the worst rises of all windows, over its own period.

    A day is counted once, however many factors choose it. Of equal moves the earlier day is chosen. A period of business days that
    starts on a weekend is Friday's again and is not chosen for it.
    """
    candidates = _candidates(history, parameters)
    chosen: set[int] = set()
    for factor, moves in candidates.moves.items():
        never_closes = parameters.group_of(factor).mpor_clock is HorizonClock.CALENDAR
        known = np.flatnonzero(~np.isnan(moves) & (never_closes | np.is_busday(candidates.days)))
        for direction in (1.0, -1.0):
            chosen |= set(known[np.argsort(direction * moves[known], kind="stable")[:each_way]].tolist())
    days: list[date] = candidates.days[sorted(chosen)].tolist()
    return {window.name: tuple(day for day in days if window.first_day <= day <= window.last_day) for window in parameters.crisis_windows}


def _candidates(history: HistoryArrays, parameters: RiskParameters) -> _Candidates:
    whole = whole_periods(history.days, parameters)
    days = whole[np.logical_or.reduce([_inside(whole, window) for window in parameters.crisis_windows])]
    moves = {factor: np.full(len(days), np.nan) for factor in LEADING_FACTORS}
    for window in parameters.crisis_windows:
        inside = _inside(days, window)
        for factor, found in unscaled_moves(history, LEADING_FACTORS, days[inside], parameters).items():
            if factor in moves:
                moves[factor][inside] = found
    return _Candidates(days, moves)


def _inside(days: np.ndarray, window: CrisisWindow) -> np.ndarray:
    return (days >= np.datetime64(window.first_day)) & (days <= np.datetime64(window.last_day))
