"""A curve of risk factors by tenor, as it is and as the scenarios move it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.errors import DomainError
from crossmargin.engine.axes import ByNode, ByNodeState, Index
from crossmargin.engine.kernels.choice import Kernels


@dataclass(frozen=True, eq=False)
class ShockedCurve:
    """Nodes of one curve, linear in tenor between them and flat beyond.

    Attributes:
        years: [N] tenors, ascending.
        levels: [N] levels of the base state.
        moves: [N, M] change from the base state: log-returns of volatilities, differences of rates and carry; 0 in the base state.
            NaN for a node without scenarios.
        unavailable: Nodes without scenarios, by position, with the error that says why; only who reads them is refused.
        kernels: What discount factors on it are computed with.
    """

    years: ByNode
    levels: ByNode
    moves: ByNodeState
    unavailable: Mapping[int, DomainError]
    kernels: Kernels = Kernels.NUMPY

    def levels_at(self, years: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return [D] base levels at D tenors in years."""
        return self.levels_between(*self.between(years))

    def levels_between(self, lower: Index, upper: Index, share: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return [D] base levels at D places between nodes, see `between`."""
        return self.levels[lower] * (1.0 - share) + self.levels[upper] * share

    def moves_at(self, years: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return [D, M] moves at D tenors in years; NaN where a node has no scenarios (see `check`)."""
        lower, upper, share = self.between(years)
        moves = self.moves[lower]
        moves *= (1.0 - share)[:, np.newaxis]
        moves += self.moves[upper] * share[:, np.newaxis]
        return moves

    def check(self, years: NDArray[np.float64]) -> None:
        """Raise the error of the first node that a level at one of the D tenors needs and that has no scenarios."""
        if self.unavailable:
            lower, upper, _ = self.between(years)
            for node in np.union1d(lower, upper).tolist():
                if node in self.unavailable:
                    raise self.unavailable[node]

    def between(self, years: NDArray[np.float64]) -> tuple[Index, Index, NDArray[np.float64]]:
        """Return the nodes on either side of each tenor and how far it lies towards the upper; twice the same node where one is enough."""
        last = len(self.years) - 1
        above = np.searchsorted(self.years, years, side="right")
        lower, upper = np.clip(above - 1, 0, last), np.clip(above, 0, last)
        span = self.years[upper] - self.years[lower]
        share = np.where(span > 0.0, (years - self.years[lower]) / np.where(span > 0.0, span, 1.0), 0.0)
        return lower, np.where(share > 0.0, upper, lower), share
