"""What perpetuals and futures share: how a contract's price turns into money of its settlement asset."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Payoff
from crossmargin.domain.risk_parameters import OffsetGroup
from crossmargin.engine.axes import ByBase, ByState, Index
from crossmargin.engine.revaluation.valuation import BasisKind, Claim, Valuation


def contract_valuation(
    *,
    settlement: InstrumentId,
    payoff: Payoff,
    multiplier: Decimal,
    price: ByState,
    bases: Index,
    group: OffsetGroup,
    basis: BasisKind,
    years: float = 0.0,
) -> Valuation:
    """Return the valuation of one contract whose `price` is [M], `bases` [B] being the states that a market starts from.

    Linear or inverse, a rise of the price by a fraction gains that fraction of the notional, multiplier x price or multiplier / price.
    """
    value = contract_value(payoff, multiplier, price)
    notional: ByBase = np.abs(value[bases])
    return Valuation((Claim(settlement, value, group, notional),), years, notional, basis)


def contract_value(payoff: Payoff, multiplier: Decimal, price: ByState) -> ByState:
    """Return [M] value of one contract before its cost, in the settlement asset.

    Linear: multiplier x price. Inverse: -multiplier / price coins, so that a rise from entry to price gains
    multiplier x (1/entry - 1/price).
    """
    values: ByState = contract_values(payoff, np.array(float(multiplier)), price)
    return values


def contract_values(payoff: Payoff, multiplier: NDArray[np.float64], price: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `contract_value` of many contracts at once, of the arguments' broadcast shape."""
    values: NDArray[np.float64] = -multiplier / price if payoff is Payoff.INVERSE else multiplier * price
    return values
