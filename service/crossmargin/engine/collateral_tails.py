"""What a look at one split says of the tails of all rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.engine.axes import ByEntry, ByHolding, ByRow, ByScenario
from crossmargin.engine.collateral_program import Rows
from crossmargin.engine.tail_mean import WorstScenarios, worst_of_rows


@dataclass(frozen=True, slots=True, eq=False)
class SplitTails:
    """The tails of all rows at one split.

    Attributes:
        risked: [C] share of each holding.
        worst: The tail of each row.
        mean: [R] mean loss, before the floor at zero. gain: [E] what each entry gains in the tail of its row if its holding is risked
            whole, by which the mean falls for one more of it.
    """

    risked: ByHolding
    worst: WorstScenarios
    mean: ByRow
    gain: ByEntry

    def tangent(self, rows: Rows, risked: ByHolding) -> ByRow:
        """Return [R] what each mean loss is at least at another split: it is convex, so nowhere below its tangent."""
        fall = self.gain * (risked - self.risked)[rows.entries.source]
        return self.mean - np.bincount(rows.entries.row, fall, len(rows.level))


def split_tails(rows: Rows, risked: ByHolding, weights: ByScenario, alpha: float) -> SplitTails:
    """Return the tails of the rows when the shares `risked` [C] of the holdings are."""
    profit = rows.profits(risked)
    worst = worst_of_rows(profit, weights, alpha)
    weight = worst.weight / alpha
    mean = -np.einsum("rs,rs->r", weight, np.take_along_axis(profit, worst.scenario, axis=1))
    own = rows.entries.profits_at(worst.scenario[rows.entries.row], rows.leg_pnl)
    gain = np.einsum("es,es->e", own, weight[rows.entries.row])
    return SplitTails(risked, worst, mean, gain)
