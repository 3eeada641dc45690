"""Forward prices: spot grown at a carry that has its own risk factors."""

from __future__ import annotations

import numpy as np

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.market import FactorKind
from crossmargin.engine.axes import ByState
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, spot_factor


def basis_curve(underlying: InstrumentId) -> str:
    """Return the name of the curve of futures carry on an underlying."""
    return f"{FactorKind.BASIS.value}:{underlying}"


def delivery_curve(underlying: InstrumentId) -> str:
    """Return the name of the curve of prices for delivery of an underlying that may be worth less than nothing."""
    return f"{FactorKind.PRICE.value}:{underlying}"


def forward_price(
    market: ShockedMarket, underlying: InstrumentId, *, years: float, carry_curve: str | None, mark: float | None = None
) -> ByState:
    """Return [M] the forward price S exp(b(T) T) of an underlying, b read from `carry_curve`, or 0 without one.

    With a mark the base forward is the mark, and the carry that the curve leaves unexplained is held fixed when spot and curve move.
    """
    spot = spot_factor(underlying)
    log_forward = market.moves(spot)
    base = market.level(spot)
    if carry_curve is not None:
        tenor = np.array([years])
        curve = market.curve(carry_curve)
        curve.check(tenor)
        log_forward = log_forward + curve.moves_at(tenor)[0] * years
        base = base * float(np.exp(curve.levels_at(tenor)[0] * years))
    return (base if mark is None else mark) * np.exp(log_forward)
