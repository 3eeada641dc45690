"""Import daily history of risk factors."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.market import FactorHistory, check_level
from crossmargin.usecases.ports.market import MarketStore


@dataclass(frozen=True, slots=True)
class ImportHistory:
    """Stores history; a level replaces an earlier one of the same factor and date."""

    market: MarketStore

    async def __call__(self, history: FactorHistory) -> int:
        """Return how many levels were stored; INVALID_SNAPSHOT, and nothing stored, if a level is impossible."""
        for factor, column in history.levels.items():
            for level in column:
                if level is not None:
                    check_level(factor, level)
        return await self.market.import_history(history)
