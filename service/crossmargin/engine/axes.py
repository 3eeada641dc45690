"""The axes, units and signs of every array in the engine, defined once.

S  scenario     joint market moves: the ordinary ones first, oldest first, then the stress events
F  factor       risk factors, sorted by their id
I  instrument   instruments, sorted by id
L  leg          the parts of an instrument's profit that belong to different offset groups; legs of one instrument are adjacent
H  holding      holdings of one account, in instrument order
U  group        offset groups, sorted by id
A  class        asset classes, sorted by name

Profit and loss is positive for the holder of one unit, in base currency (USD). Values are in base currency. Weights are
probabilities. All arrays are float64 and C-contiguous with the last axis fastest; none is written to after it is built.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

ByScenario: TypeAlias = NDArray[np.float64]
"""[S]"""
ByScenarioFactor: TypeAlias = NDArray[np.float64]
"""[S, F]"""
ByInstrument: TypeAlias = NDArray[np.float64]
"""[I]"""
ByLeg: TypeAlias = NDArray[np.float64]
"""[L]"""
ByLegScenario: TypeAlias = NDArray[np.float64]
"""[L, S]"""
ByHolding: TypeAlias = NDArray[np.float64]
"""[H]"""
ByHoldingScenario: TypeAlias = NDArray[np.float64]
"""[H, S]"""
ByGroupScenario: TypeAlias = NDArray[np.float64]
"""[U, S]"""
ByGroup: TypeAlias = NDArray[np.float64]
"""[U]"""
Index: TypeAlias = NDArray[np.int64]
"""Positions along another axis."""
