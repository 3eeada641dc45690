"""The columns that a tail program makes of the tails of several splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossmargin.engine.axes import ByColumn, ByScenario, Index
from crossmargin.engine.collateral_program import Rows
from crossmargin.engine.collateral_tails import SplitTails


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Columns of a tail program, row after row: [N] profits that no holding moves, caps, and [N, C] what each holding adds.

    `count`: How many each row has.
    """

    base: ByColumn
    cap: ByColumn
    by_source: NDArray[np.float64]
    count: list[int]


def tangent_columns(looks: Sequence[SplitTails], rows: Rows, chosen: Index) -> Columns:
    """Return the columns of the `chosen` rows as the largest of their tangents."""
    nothing = np.zeros_like(looks[0].risked)
    base = np.array([look.tangent(rows, nothing)[chosen] for look in looks])
    by_source = np.zeros((len(rows.level), len(looks), len(nothing)))
    by_source[rows.entries.row, :, rows.entries.source] = np.array([look.gain for look in looks]).T
    count = [len(looks)] * len(chosen)
    return Columns(-base.T.ravel(), np.ones(base.size), by_source[chosen].reshape(-1, len(nothing)), count)


def scenario_columns(looks: Sequence[SplitTails], rows: Rows, row: int, weights: ByScenario, alpha: float) -> Columns:
    """Return the columns of one row as the scenarios that were in its tail at some look."""
    places = np.unique(np.concatenate([look.worst.of_row(row) for look in looks]))
    own = rows.entries.take(rows.entries.row == row)
    by_source = np.zeros((len(places), len(looks[0].risked)))
    by_source[:, own.source] = own.profits_at(places[np.newaxis], rows.leg_pnl).T
    return Columns(rows.base[row, places], weights[places] / alpha, by_source, [len(places)])
