"""History as arrays: every UTC day has a level, its own or the last one carried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.market import LOG_KINDS, FactorHistory, FactorId

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
