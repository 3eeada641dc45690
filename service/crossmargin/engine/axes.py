"""The axes, units and signs of every array in the engine, defined once.

S  scenario     joint market moves: the ordinary ones first, oldest first, then the stress events,
                then the days of crisis windows
M  state        states of the market: the base state first, then every scenario, and whatever else is valued with them
B  base         states that a market starts from: the one at rest, or the moved ones in its place
T  time         times, in years from now, at which a curve is read
F  factor       risk factors, sorted by their id
I  instrument   instruments, sorted by id
L  leg          the parts of an instrument's profit that belong to different offset groups; legs of one instrument are adjacent
H  holding      holdings of one account, in instrument order
U  group        offset groups, sorted by id
A  class        asset classes, sorted by name
J  issuer       issuer groups, in the order of the risk parameters
R  row          any profit vectors stacked on top of one another: each row is reduced alone
G  move         hypothetical moves of the base state: another market each
V  variable     what a program may choose: parts of holdings
O  plane        linear functions of the variables, the smallest of which counts
N  column       what the tail of a row may be made of: scenarios, or all of a tail at once
D  pair         the unknowns of a program, each with what multiplies it
E  entry        one for each variable that moves the profit of a row
X  cell         one for each offset group that a holding is exposed to, by group and by holding
K  leg holding  one entry for each leg of each holding that is in the scenarios, in no order that matters

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
ByFactor: TypeAlias = NDArray[np.float64]
"""[F]"""
ByMove: TypeAlias = NDArray[np.float64]
"""[G]"""
ByInstrumentMove: TypeAlias = NDArray[np.float64]
"""[I, G]"""
ByMoveFactor: TypeAlias = NDArray[np.float64]
"""[G, F]"""
ByState: TypeAlias = NDArray[np.float64]
"""[M]"""
ByBase: TypeAlias = NDArray[np.float64]
"""[B]"""
ByNode: TypeAlias = NDArray[np.float64]
"""[N] nodes of one curve, by tenor"""
ByNodeState: TypeAlias = NDArray[np.float64]
"""[N, M]"""
ByTime: TypeAlias = NDArray[np.float64]
"""[T]"""
ByTimeState: TypeAlias = NDArray[np.float64]
"""[T, M]"""
ByInstrument: TypeAlias = NDArray[np.float64]
"""[I]"""
ByInstrumentState: TypeAlias = NDArray[np.float64]
"""[I, M]"""
ByInstrumentScenario: TypeAlias = NDArray[np.float64]
"""[I, S]"""
ByInstrumentBase: TypeAlias = NDArray[np.float64]
"""[I, B]"""
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
ByClass: TypeAlias = NDArray[np.float64]
"""[A]"""
ByClassScenario: TypeAlias = NDArray[np.float64]
"""[A, S]"""
ByGroupHolding: TypeAlias = NDArray[np.float64]
"""[U, H]"""
ByIssuerLeg: TypeAlias = NDArray[np.float64]
"""[J, L]"""
ByIssuerHolding: TypeAlias = NDArray[np.float64]
"""[J, H]"""
ByRow: TypeAlias = NDArray[np.float64]
"""[R]"""
ByRowScenario: TypeAlias = NDArray[np.float64]
"""[R, S]"""
ByVariable: TypeAlias = NDArray[np.float64]
"""[V]"""
ByPlane: TypeAlias = NDArray[np.float64]
"""[O]"""
ByPlaneVariable: TypeAlias = NDArray[np.float64]
"""[O, V]"""
ByColumn: TypeAlias = NDArray[np.float64]
"""[N]"""
ByColumnVariable: TypeAlias = NDArray[np.float64]
"""[N, V]"""
ByPair: TypeAlias = NDArray[np.float64]
"""[D]"""
ByEntry: TypeAlias = NDArray[np.float64]
"""[E]"""
ByEntryScenario: TypeAlias = NDArray[np.float64]
"""[E, S]"""
ByLegHolding: TypeAlias = NDArray[np.float64]
"""[K]"""
ByCell: TypeAlias = NDArray[np.float64]
"""[X]"""
ByIssuerGroup: TypeAlias = NDArray[np.float64]
"""[J, U]"""
Index: TypeAlias = NDArray[np.int64]
"""Positions along another axis."""
