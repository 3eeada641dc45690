"""What perpetuals and futures share: how a contract's price turns into money of its settlement asset."""

from __future__ import annotations

from decimal import Decimal

from crossmargin.domain.instrument import Payoff
from crossmargin.engine.axes import ByState


def contract_value(payoff: Payoff, multiplier: Decimal, price: ByState) -> ByState:
    """Return [M] value of one contract before its cost, in the settlement asset.

    Linear: multiplier x price. Inverse: -multiplier / price coins, so that a rise from entry to price gains
    multiplier x (1/entry - 1/price).
    """
    if payoff is Payoff.INVERSE:
        return -float(multiplier) / price
    return float(multiplier) * price
