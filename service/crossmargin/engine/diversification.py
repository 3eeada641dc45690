"""How much the parts of a book offset one another, and which gain little from being margined together."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from crossmargin.domain.explanation import Diversification, IsolationAdvice
from crossmargin.domain.margin import MarginResult
from crossmargin.engine.axes import ByGroup, ByRow, ByRowScenario, Index
from crossmargin.engine.netting import LegHoldings, NettedPnl, leg_holdings, stacked
from crossmargin.engine.portfolio_arrays import (
    MarginRates,
    PortfolioArrays,
    cents_to_decimal,
    fraction_to_decimal,
    requirement_to_cents,
)
from crossmargin.engine.portfolio_margin import MarginFigures
from crossmargin.engine.required_margin import level_weights
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.tail_mean import tail_means, tail_weights


def diversification(figures: MarginFigures, market: RevaluedMarket, rates: MarginRates) -> Diversification:
    """Return ratio, concentration and effective number of bets of one account.

    The number of bets is 1 / sum p^2, the diversity number of order two (Hill 1973, "Diversity and evenness"), with p the shares of the
    groups' absolute Euler contributions: a group that hedges is a bet as well.
    """
    alone = figures.group_requirement
    total = float(alone.sum())
    if total <= 0:
        nothing = fraction_to_decimal(0.0)
        return Diversification(nothing, None, nothing, nothing)
    largest = int(np.argmax(alone))
    return Diversification(
        ratio=fraction_to_decimal(max(0.0, 1.0 - figures.market_requirement / total)),
        largest_group=market.groups[int(figures.netted.groups[largest])],
        largest_share=fraction_to_decimal(float(alone[largest]) / total),
        effective_bets=fraction_to_decimal(effective_number(group_contributions(figures.netted, market, rates))),
    )


def diversification_of_result(result: MarginResult) -> Diversification:
    """Return the same of a margin in which groups do not offset one another: each contributes what it needs alone."""
    alone = np.array([float(group.requirement) for group in result.groups])
    total = float(alone.sum())
    if total <= 0:
        nothing = fraction_to_decimal(0.0)
        return Diversification(nothing, None, nothing, nothing)
    largest = int(np.argmax(alone))
    return Diversification(
        ratio=fraction_to_decimal(max(0.0, 1.0 - float(result.requirement.market_requirement) / total)),
        largest_group=result.groups[largest].group_id,
        largest_share=fraction_to_decimal(float(alone[largest]) / total),
        effective_bets=fraction_to_decimal(effective_number(alone)),
    )


def effective_number(contributions: ByGroup) -> float:
    """Return 1 / sum p^2 with p the shares of the absolute amounts; 0 when all are zero.

    >>> effective_number(np.array([2.0, -2.0, 0.0]))
    2.0
    """
    sizes = np.abs(contributions)
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if sizes.any() else 0.0


def group_contributions(netted: NettedPnl, market: RevaluedMarket, rates: MarginRates) -> ByGroup:
    """Return [U] what each group adds to the market requirement (Euler, Tasche 1999); they add up to it."""
    pnl = stacked(netted)
    tails = tail_weights(pnl, market.scenarios.weights, rates.tail_fraction) / rates.tail_fraction
    counts = np.einsum("rs,rs->r", tails, pnl) < 0
    levels = np.where(counts, level_weights(rates, len(netted.groups), len(netted.classes)), 0.0)
    weighted = tails * levels[:, np.newaxis]
    groups = len(netted.groups)
    of_group = weighted[:groups] + weighted[groups:-1][netted.group_class] + weighted[-1]
    return np.asarray(-np.einsum("us,us->u", of_group, netted.group_pnl))


def isolation_advice(
    arrays: PortfolioArrays, figures: MarginFigures, market: RevaluedMarket, rates: MarginRates, *, least_benefit: float
) -> tuple[IsolationAdvice, ...]:
    """Return the contracts whose margin falls by less than `least_benefit` for being held with the rest, the largest alone first.

    The benefit is 1 - (requirement with - requirement without) / requirement alone, all of the market requirement; alone is as in an
    isolated account, where all diversification counts. Coins, money and bonds are left out: they are collateral as well, and to move
    them is a transfer.
    """
    legs = leg_holdings(arrays, figures.split.scenario_quantity, market)
    advice: list[IsolationAdvice] = []
    for holding in figures.split.contract:
        pnl = _of_holding(legs, holding, figures.netted, market)
        (alone,) = tail_means(pnl.sum(axis=0)[np.newaxis], market.scenarios.weights, rates.tail_fraction).tolist()
        if alone <= 0:
            continue
        added = figures.market_requirement - _requirement_without(pnl, figures.netted, market, rates)
        benefit = 1.0 - added / alone
        if benefit < least_benefit:
            advice.append(
                IsolationAdvice(
                    instrument_id=arrays.holdings[holding].instrument_id,
                    alone=_money(alone, figures.gross),
                    added=_money(added, figures.gross),
                    benefit_fraction=fraction_to_decimal(benefit),
                )
            )
    return tuple(sorted(advice, key=lambda one: (-one.alone, one.instrument_id)))


def _of_holding(legs: LegHoldings, holding: int, netted: NettedPnl, market: RevaluedMarket) -> ByRowScenario:
    """Return [U, S] the profits of one holding by group."""
    pnl = np.zeros_like(netted.group_pnl)
    own: Index = np.flatnonzero(legs.holding == holding)
    place = np.searchsorted(netted.groups, market.leg_group[legs.leg[own]])
    np.add.at(pnl, place, legs.quantity[own, np.newaxis] * market.leg_pnl[legs.leg[own]])
    return pnl


def _requirement_without(pnl: ByRowScenario, netted: NettedPnl, market: RevaluedMarket, rates: MarginRates) -> float:
    left = netted.group_pnl - pnl
    by_class = np.zeros_like(netted.class_pnl)
    np.add.at(by_class, netted.group_class, left)
    rows = np.concatenate((left, by_class, left.sum(axis=0)[np.newaxis]))
    means: ByRow = tail_means(rows, market.scenarios.weights, rates.tail_fraction)
    return float(means @ level_weights(rates, len(netted.groups), len(netted.classes)))


def _money(amount: float, scale: float) -> Decimal:
    return cents_to_decimal(requirement_to_cents(amount, scale=scale))
