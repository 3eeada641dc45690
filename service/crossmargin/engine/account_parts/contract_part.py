"""The contracts of an account: each counts for what it is worth, whatever else is held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.domain.position import Holding
from crossmargin.engine.axes import ByHolding, Index
from crossmargin.engine.charges.minimums import schedule_floor
from crossmargin.engine.collateral_split import values_at
from crossmargin.engine.portfolio_arrays import ChargeRates
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket


@dataclass(frozen=True, slots=True, eq=False)
class ContractPart:
    """Contracts along an axis H of their own, in the order of their rows.

    Attributes:
        row: [H] row along axis I, ascending. quantity: [H] signed units. cost: [H] in units of the settlement asset.
        value: [H] mark less cost. gross: [H] the absolute amounts behind it.
    """

    row: Index
    quantity: ByHolding
    cost: ByHolding
    value: ByHolding
    gross: ByHolding

    def with_rows(self, gone: Index, new: ContractPart) -> ContractPart:
        """Return the contracts without the rows `gone`, and with the `new` ones, which are among them."""
        part = self
        for row in gone.tolist():
            place = int(np.searchsorted(part.row, row))
            end = place + int(place < len(part.row) and part.row[place] == row)
            part = part._spliced(place, end, new._of_row(row))
        return part

    def floor(self, market: RevaluedMarket, rates: ChargeRates) -> float:
        """Return the least maintenance margin by the standard schedule."""
        return schedule_floor(self.row, self.quantity, self.value, market, rates)

    def _of_row(self, row: int) -> ContractPart:
        places = slice(*np.searchsorted(self.row, (row, row + 1)).tolist())
        return ContractPart(self.row[places], self.quantity[places], self.cost[places], self.value[places], self.gross[places])

    def _spliced(self, place: int, end: int, new: ContractPart) -> ContractPart:
        return ContractPart(
            np.concatenate((self.row[:place], new.row, self.row[end:])),
            np.concatenate((self.quantity[:place], new.quantity, self.quantity[end:])),
            np.concatenate((self.cost[:place], new.cost, self.cost[end:])),
            np.concatenate((self.value[:place], new.value, self.value[end:])),
            np.concatenate((self.gross[:place], new.gross, self.gross[end:])),
        )


def contract_part(holdings: Sequence[Holding], market: RevaluedMarket) -> ContractPart:
    """Return contracts that the market has valued, in the order of their names, which is that of their rows."""
    row = np.array([market.row_of[holding.instrument_id] for holding in holdings], dtype=np.int64)
    quantity = np.array([float(holding.quantity) for holding in holdings])
    cost = np.array([float(holding.cost) for holding in holdings])
    return ContractPart(row, quantity, cost, *values_at(row, quantity, cost, market))
