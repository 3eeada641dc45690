"""What the broker may lose in an isolated account: the losses that go beyond what the account holds."""

from __future__ import annotations

import numpy as np

from crossmargin.domain.margin import GapLoss
from crossmargin.engine.axes import ByScenario
from crossmargin.engine.portfolio_arrays import cents_to_decimal, requirement_to_cents
from crossmargin.engine.scenarios.scenario_set import ScenarioSet


def gap_losses(equity: float, pnl: ByScenario) -> ByScenario:
    """Return [S] max(0, -(equity + pnl)): what a loss takes beyond equity, base currency.

    The client loses the rest: min(loss, equity), and nothing beyond equity.

    >>> gap_losses(100.0, np.array([50.0, -100.0, -130.0])).tolist()
    [0.0, 0.0, 30.0]
    """
    losses: ByScenario = np.maximum(0.0, 0.0 - (equity + pnl))
    return losses


def gap_loss(equity: float, pnl: ByScenario, scenarios: ScenarioSet, *, scale: float) -> GapLoss:
    """Return the gap loss of an isolated account, rounded up.

    Args:
        equity: Of the account now, after haircuts and limits: what the collateral is sold for.
        pnl: [S] profits of the account, base currency.
        scenarios: With the weights of the mean.
        scale: As for rounding.
    """
    losses = gap_losses(equity, pnl)
    worst = int(np.argmax(losses))

    def money(amount: float) -> int:
        return max(0, requirement_to_cents(amount, scale=scale))

    return GapLoss(
        realized=cents_to_decimal(money(max(0.0, -equity))),
        expected=cents_to_decimal(money(float(scenarios.weights @ losses))),
        worst=cents_to_decimal(money(float(losses[worst]))),
        worst_scenario=scenarios.names[worst] if losses[worst] > 0 else "",
    )
