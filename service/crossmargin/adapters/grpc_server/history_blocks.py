"""Blocks of history, message by message, into one history."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Final

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.market import FactorHistory, FactorId

MOST_CELLS: Final = 5_000_000
"""Factors x dates of one import, closed days included: what is kept in memory until the stream ends (about 0.5 GB)."""


class HistoryBlocks:
    """Collects blocks over different dates and factors; a level replaces an earlier one of the same factor and date."""

    def __init__(self, *, most_cells: int = MOST_CELLS) -> None:
        self._most_cells = most_cells
        self._dates: set[date] = set()
        self._levels: dict[FactorId, dict[date, Decimal]] = {}

    def add(self, block: FactorHistory) -> None:
        """Take in a block; INVALID_HISTORY when the history grows beyond what one import may hold."""
        self._dates.update(block.dates)
        for factor, column in block.levels.items():
            known = self._levels.setdefault(factor, {})
            known.update((day, level) for day, level in zip(block.dates, column, strict=True) if level is not None)
        cells = len(self._dates) * len(self._levels)
        if cells > self._most_cells:
            raise DomainError(
                Reason.INVALID_HISTORY,
                f"history has {len(self._levels)} factors on {len(self._dates)} dates, {cells} levels; "
                f"expected at most {self._most_cells} in one import; split it by factors",
                value=cells,
                expected=self._most_cells,
            )

    def history(self) -> FactorHistory:
        """Return everything taken in, over all dates in ascending order."""
        dates = tuple(sorted(self._dates))
        return FactorHistory(dates, {factor: tuple(map(known.get, dates)) for factor, known in self._levels.items()})
