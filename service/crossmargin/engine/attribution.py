"""Who needs the margin: contributions of holdings, and the scenarios in which the account loses most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import numpy as np

from crossmargin.domain.margin import WorstScenario
from crossmargin.domain.money import EXACT
from crossmargin.engine.axes import ByGroupScenario, ByHolding, ByScenario, Index
from crossmargin.engine.netting import LegHoldings
from crossmargin.engine.portfolio_arrays import cents_to_decimal, client_value_to_cents
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.scenarios.scenario_set import ScenarioSet

WORST_SCENARIO_COUNT: Final = 10
_WEIGHT_UNIT: Final = Decimal("1e-12")


def euler_contributions(
    legs: LegHoldings, market: RevaluedMarket, *, groups: Index, marginal_weight: ByGroupScenario, holding_count: int
) -> ByHolding:
    """Return [H] what each holding adds to the requirement, base currency; negative for a hedge. They add up to the requirement.

    The requirement is homogeneous of degree one, so it is the sum of quantity times derivative (Tasche 1999, "Risk contributions and
    performance measurement"); the derivative of a tail mean is the mean loss over the account's own tail. `marginal_weight` is that
    derivative by group and scenario: what a loss of 1 in a group [U, `groups` being its rows in the market] and scenario adds.
    """
    contribution = np.zeros(holding_count)
    group_of_leg = np.searchsorted(groups, market.leg_group[legs.leg])
    for group, weight in enumerate(marginal_weight):
        # Only the scenarios of a tail count, a few among all: to gather just those is what makes this cheap.
        in_tail, entries = np.flatnonzero(weight), np.flatnonzero(group_of_leg == group)
        unit_pnl = market.leg_pnl[legs.leg[entries][:, np.newaxis], in_tail]
        unit_requirement = np.einsum("ls,s->l", unit_pnl, weight[in_tail])
        np.subtract.at(contribution, legs.holding[entries], legs.quantity[entries] * unit_requirement)
    return contribution


def round_to_total(amounts: ByHolding, total_cents: int) -> list[int]:
    """Return the amounts in whole cents so that they add up to `total_cents`.

    Each is rounded down, and the cents that are left go one each to those that lost most by it, the first of equals first; nothing goes
    to an amount of exactly zero.

    >>> round_to_total(np.array([0.104, 0.106, -0.05, 0.0]), 17)
    [11, 11, -5, 0]
    """
    exact = amounts * 100
    cents = [math.floor(amount) for amount in exact.tolist()]
    remainder = exact - np.floor(exact)
    takers = [int(place) for place in np.argsort(-remainder, kind="stable") if amounts[place] != 0]
    left = total_cents - sum(cents)
    for order, place in enumerate(takers):
        cents[place] += left // len(takers) + (order < left % len(takers))
    return cents


def worst_scenarios(account_pnl: ByScenario, scenarios: ScenarioSet, *, scale: float) -> tuple[WorstScenario, ...]:
    """Return the ten scenarios with the lowest profit, the worst first and of equals the earlier; `scale` as for rounding."""
    return tuple(_worst_scenario(scenario, account_pnl, scenarios, scale) for scenario in _lowest(account_pnl, WORST_SCENARIO_COUNT))


def _worst_scenario(scenario: int, account_pnl: ByScenario, scenarios: ScenarioSet, scale: float) -> WorstScenario:
    return WorstScenario(
        name=scenarios.names[scenario],
        is_stress=scenario >= scenarios.ordinary_count,
        weight=EXACT.quantize(Decimal(float(scenarios.weights[scenario])), _WEIGHT_UNIT),
        pnl=cents_to_decimal(client_value_to_cents(float(account_pnl[scenario]), scale=scale)),
    )


def _lowest(values: ByScenario, count: int) -> Sequence[int]:
    """Return the places of the `count` lowest values, lowest first, of equals the earlier."""
    last = min(count, len(values)) - 1
    candidates = np.flatnonzero(values <= np.partition(values, last)[last])
    lowest: list[int] = candidates[np.argsort(values[candidates], kind="stable")][:count].tolist()
    return lowest
