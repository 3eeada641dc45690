"""How much a tail mean rests on: what is in the tail, and where the requirement would lie had history been drawn again."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final

import numpy as np

from crossmargin.domain.explanation import RequirementInterval, ScenarioReport, TailReport
from crossmargin.domain.identifiers import OffsetGroupId
from crossmargin.domain.market import FactorId
from crossmargin.domain.market_clock import HorizonClock
from crossmargin.domain.risk_parameters import OffsetGroup, RiskParameters
from crossmargin.engine.attribution import WORST_SCENARIO_COUNT
from crossmargin.engine.axes import ByRow, ByRowScenario, ByScenario, Index
from crossmargin.engine.netting import NettedPnl, stacked
from crossmargin.engine.portfolio_arrays import (
    MarginRates,
    cents_to_decimal,
    client_value_to_cents,
    fraction_to_decimal,
    requirement_to_cents,
)
from crossmargin.engine.portfolio_margin import MarginFigures
from crossmargin.engine.required_margin import level_weights
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from crossmargin.engine.tail_mean import tail_means, tail_means_by_weights, tail_weights

REPLICATE_COUNT: Final = 400
CONFIDENCE: Final = 0.90
"""Share of the replicates inside the interval (house)."""
OLDEST_DAYS: Final = 30
"""A month of scenarios: what is about to leave the window (house)."""
_CALENDAR_DAYS_PER_BUSINESS_DAY: Final = 7 / 5


def tail_report(figures: MarginFigures, scenarios: ScenarioSet, rates: MarginRates) -> TailReport:
    """Return what the account's tail is made of, and what of the requirement is about to leave the window."""
    pnl = figures.netted.account_pnl
    in_tail = tail_weights(pnl, scenarios.weights, rates.tail_fraction)
    is_stress = np.arange(len(pnl)) >= scenarios.ordinary_count
    worst = np.argsort(pnl, kind="stable")[:WORST_SCENARIO_COUNT]
    without = requirement_without_oldest(figures.netted, scenarios, rates, OLDEST_DAYS)
    return TailReport(
        scenario_count=int(np.count_nonzero(in_tail)),
        effective_count=fraction_to_decimal(float(in_tail.sum() ** 2 / (in_tail**2).sum())),
        stress_weight_fraction=fraction_to_decimal(float(in_tail[is_stress].sum() / in_tail.sum())),
        stress_share_of_worst=fraction_to_decimal(float(is_stress[worst].mean())),
        oldest_days=min(OLDEST_DAYS, scenarios.ordinary_count),
        oldest_contribution=cents_to_decimal(client_value_to_cents(figures.market_requirement - without, scale=figures.gross)),
    )


def requirement_without_oldest(netted: NettedPnl, scenarios: ScenarioSet, rates: MarginRates, count: int) -> float:
    """Return the market requirement without the `count` oldest ordinary scenarios, whose weight goes to the other ordinary ones.

    One ordinary scenario of weight w that leaves takes at most w / alpha of the distance between its own loss and the best of the tail
    from any tail mean (its place is taken by the next ones), and raises none by more than 1 / (N - 1) of what lies above the best of the
    tail, N being how many ordinary ones there were.
    """
    left = min(count, scenarios.ordinary_count - 1)
    weights = scenarios.weights.copy()
    weights[:left] = 0.0
    weights[left : scenarios.ordinary_count] *= scenarios.ordinary_count / (scenarios.ordinary_count - left)
    return _requirement(stacked(netted)[:, left:], weights[left:], netted, rates)


def requirement_interval(
    figures: MarginFigures, scenarios: ScenarioSet, rates: MarginRates, *, block_days: int, random: np.random.Generator
) -> RequirementInterval:
    """Return percentiles of the market requirement over histories drawn again in moving blocks (Kuensch 1989, Annals of Statistics 17).

    Windows that overlap share days, so single scenarios are not independent draws; blocks of the horizon's length keep what they share.
    A replicate strings blocks of consecutive ordinary scenarios together, from places that `random` draws, to as many as there are.
    The stress scenarios were chosen and not drawn: every replicate has all of them. The scaling to today's volatility is not drawn
    again, nor are the holdings, so the interval is of the sample of history alone.
    """
    netted, ordinary = figures.netted, scenarios.ordinary_count
    weights = np.tile(scenarios.weights, (REPLICATE_COUNT, 1))
    for replicate in weights:
        drawn = _drawn_again(ordinary, block_days, random)
        # Drawn twice it weighs twice.
        replicate[:ordinary] = np.bincount(drawn, weights=scenarios.weights[:ordinary], minlength=ordinary)
    means = tail_means_by_weights(stacked(netted), weights, rates.tail_fraction)
    requirements = means @ level_weights(rates, len(netted.groups), len(netted.classes))
    low, high = np.quantile(requirements, [(1.0 - CONFIDENCE) / 2, (1.0 + CONFIDENCE) / 2]).tolist()
    return RequirementInterval(
        low=cents_to_decimal(requirement_to_cents(low, scale=figures.gross)),
        high=cents_to_decimal(requirement_to_cents(high, scale=figures.gross)),
        confidence=fraction_to_decimal(CONFIDENCE),
        replicate_count=REPLICATE_COUNT,
        block_days=block_days,
    )


def block_days_of(groups: Collection[OffsetGroupId], parameters: RiskParameters) -> int:
    """Return the longest margin period of the groups in calendar days, at least 1."""
    return max((_calendar_days(group) for group in parameters.offset_groups if group.group_id in groups), default=1)


def scenario_report(held: Collection[FactorId], scenarios: ScenarioSet, *, block_days: int) -> ScenarioReport:
    """Return what the scenario set is made of, and which of the factors `held` another moved, in the past or in a crisis window."""
    window_scenarios = sum(scenarios.window_counts.values())
    return ScenarioReport(
        ordinary_count=scenarios.ordinary_count,
        independent_count=scenarios.ordinary_count // block_days,
        event_count=len(scenarios.names) - scenarios.ordinary_count - window_scenarios,
        window_counts=scenarios.window_counts,
        stand_ins={factor: scenarios.stand_ins[factor] for factor in sorted(held) if factor in scenarios.stand_ins},
        proxies={factor: scenarios.proxied[factor] for factor in sorted(held) if factor in scenarios.proxied},
    )


def _calendar_days(group: OffsetGroup) -> int:
    if group.mpor_clock is HorizonClock.CALENDAR:
        return group.mpor_days
    return math.ceil(group.mpor_days * _CALENDAR_DAYS_PER_BUSINESS_DAY)


def _drawn_again(count: int, block_days: int, random: np.random.Generator) -> Index:
    length = min(block_days, count)
    starts = random.integers(0, count - length + 1, size=math.ceil(count / length))
    places: Index = (starts[:, np.newaxis] + np.arange(length)).ravel()[:count]
    return places


def _requirement(rows: ByRowScenario, weights: ByScenario, netted: NettedPnl, rates: MarginRates) -> float:
    means: ByRow = tail_means(rows, weights, rates.tail_fraction)
    return float(means @ level_weights(rates, len(netted.groups), len(netted.classes)))
