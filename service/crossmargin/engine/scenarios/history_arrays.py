"""History as arrays: every UTC day has a level, its own or the last one carried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.market import LOG_KINDS, FactorHistory, FactorId
from crossmargin.domain.risk_parameters import RiskParameters

ByDay: TypeAlias = NDArray[np.datetime64]
"""[T] days, datetime64[D]"""
ByDayFactor: TypeAlias = NDArray[np.float64]
"""[T, F]"""
Observed: TypeAlias = NDArray[np.bool_]
"""[T, F]"""


@dataclass(frozen=True, eq=False)
class HistoryArrays:
    """Levels of risk factors on consecutive UTC days.

    Attributes:
        days: [T] every calendar day from the first to the last date of the history.
        factors: Axis F.
        levels: [T, F] the level known at the end of each day; NaN where there is none, or only one too old to carry.
        observed: [T, F] True where the day has a level of its own.
    """

    days: ByDay
    factors: tuple[FactorId, ...]
    levels: ByDayFactor
    observed: Observed

    @cached_property
    def coordinates(self) -> ByDayFactor:
        """[T, F] logarithm of what moves by log-return, the level itself otherwise: a move is a difference of two rows."""
        moves_by_log = np.array([factor.kind in LOG_KINDS for factor in self.factors], dtype=np.bool_)
        return np.where(moves_by_log, np.log(np.where(moves_by_log, self.levels, 1.0)), self.levels)

    def until(self, last_day: np.datetime64) -> HistoryArrays:
        """Return what was known at the end of a day. Levels are carried forward only, so they are those of a history that ends there."""
        count = int(np.searchsorted(self.days, last_day, side="right"))
        return HistoryArrays(self.days[:count], self.factors, self.levels[:count], self.observed[:count])

    def of(self, factors: Sequence[FactorId]) -> HistoryArrays:
        """Return some of the factors, in the order asked for; each must be there."""
        columns = [self._column_of[factor] for factor in factors]
        # Contiguous, so that sums over days add up in the same order whatever else the history holds.
        levels, observed = np.ascontiguousarray(self.levels[:, columns]), np.ascontiguousarray(self.observed[:, columns])
        return HistoryArrays(self.days, tuple(factors), levels, observed)

    def moves(self, starts: ByDay, ends: ByDay) -> ByDayFactor:
        """Return [S, F] log-returns or differences from each start to its end; NaN where a level is missing or outside the history."""
        rows = [(days - self.days[0]).astype(np.int64) for days in (starts, ends)]
        inside = np.logical_and.reduce([(row >= 0) & (row < len(self.days)) for row in rows])
        start_rows, end_rows = (np.where(inside, row, 0) for row in rows)
        return np.where(inside[:, np.newaxis], self.coordinates[end_rows] - self.coordinates[start_rows], np.nan)

    @cached_property
    def _column_of(self) -> Mapping[FactorId, int]:
        return {factor: column for column, factor in enumerate(self.factors)}


def known_history(history: FactorHistory, parameters: RiskParameters) -> HistoryArrays:
    """Return the levels of all factors of a history, closed markets carried as the parameters allow."""
    return history_arrays(history, sorted(history.levels), maximum_carry_days=parameters.maximum_carry_days)


def history_arrays(history: FactorHistory, factors: Sequence[FactorId], *, maximum_carry_days: int) -> HistoryArrays:
    """Return the levels of `factors` on every day from the first to the last date of `history`.

    A day without a level takes the last one before it, at most `maximum_carry_days` old. A factor that the history does not
    have is missing on every day.
    """
    dates = np.array(history.dates, dtype="datetime64[D]")
    days = every_day(history)
    observed_levels = np.full((len(days), len(factors)), np.nan)
    for column, factor in enumerate(factors):
        if factor in history.levels:
            observed_levels[(dates - dates[0]).astype(np.int64), column] = _as_floats(history.levels[factor])
    levels = _carry_forward(observed_levels, maximum_carry_days)
    return HistoryArrays(days, tuple(factors), levels, ~np.isnan(observed_levels))


def every_day(history: FactorHistory) -> ByDay:
    """Return [T] the calendar days from the first to the last date of a history; none for an empty one."""
    ends = np.array([history.dates[0], history.dates[-1]] if history.dates else [], dtype="datetime64[D]")
    return np.arange(ends[0], ends[-1] + np.timedelta64(1, "D")) if len(ends) else ends


def _as_floats(column: Sequence[Decimal | None]) -> list[float]:
    return [np.nan if level is None else float(level) for level in column]


def _carry_forward(levels: ByDayFactor, maximum_carry_days: int) -> ByDayFactor:
    rows = np.arange(len(levels))[:, np.newaxis]
    last_observed = np.maximum.accumulate(np.where(np.isnan(levels), -1, rows), axis=0)
    carried = np.take_along_axis(levels, np.maximum(last_observed, 0), axis=0)
    return np.where(rows - last_observed <= maximum_carry_days, carried, np.nan)
