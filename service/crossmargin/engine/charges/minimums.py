"""The least an account needs whatever its scenarios say: short options, net exposure, and a share of the standard schedule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.engine.axes import ByCell, ByGroup, ByHolding, Index
from crossmargin.engine.charges.exposures import Exposures, shared
from crossmargin.engine.charges.market_rates import market_rates
from crossmargin.engine.methodologies.standard_schedule import posted_margin, schedule_rates
from crossmargin.engine.portfolio_arrays import ChargeRates
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket


@dataclass(frozen=True, slots=True, eq=False)
class GroupMinimums:
    """Least requirement of each group. Base currency. `short_option`: [U] of the notional of short options. `rate`: [U] of net exposure."""

    short_option: ByGroup
    rate: ByGroup

    def shortfalls(self, requirement: ByGroup) -> tuple[ByGroup, ByGroup]:
        """Return [U] what `requirement` lacks to the larger of both minimums, as owed to short options and to the rate."""
        shortfall = np.maximum(0.0, np.maximum(self.short_option, self.rate) - requirement)
        is_option = self.short_option >= self.rate
        return np.where(is_option, shortfall, 0.0), np.where(is_option, 0.0, shortfall)


def group_minimums(groups: Index, *, net: ByGroup, short_notional: ByGroup, market: RevaluedMarket, rates: ChargeRates) -> GroupMinimums:
    """Return the minimums of every touched group: 1% of notional for each short option, and the group's rate on its net exposure.

    Args:
        groups: [U] rows of the touched groups among the market's.
        net: [U] exposure.
        short_notional: [U] of the short options on the group.
        market: Whose groups they are.
        rates: Of the charges.
    """
    minimum_rate = market_rates(market, rates).minimum_rate_fraction[groups]
    return GroupMinimums(rates.short_option_fraction * short_notional, minimum_rate * np.abs(net))


def short_notional(exposures: Exposures, row: Index, quantity: ByHolding, market: RevaluedMarket) -> ByCell:
    """Return [X] the notional of the short option in each cell that is exposure to what the option is on; zero in all others.

    Args:
        exposures: Of the account; an option is always exposed to what it is on.
        row: [H] of each holding along axis I.
        quantity: [H] signed units.
        market: What they are valued at.
    """
    instrument = row[exposures.holding]
    is_option = market.is_option[instrument]
    if not is_option.any():
        return np.zeros(len(instrument))
    held = quantity[exposures.holding]
    is_own = market.instrument_group[instrument] == exposures.groups[exposures.group]
    return np.where(is_option & (held < 0) & is_own, -held * market.notional_unit[instrument], 0.0)


def share_short_options(amount: ByGroup, exposures: Exposures, notional: ByCell) -> ByHolding:
    """Return [H] an amount per group, shared pro rata to the notional [X] of its short options."""
    return shared(amount, exposures.dense(notional)) if amount.any() else np.zeros(exposures.holding_count)


def schedule_floor(row: Index, quantity: ByHolding, present_value: ByHolding, market: RevaluedMarket, rates: ChargeRates) -> float:
    """Return the floor by the standard schedule over holdings, those out of its scope left out. Base currency.

    The broker collects, so a contract in scope counts in the net-to-gross ratio with what it is worth to the broker: minus its
    `present_value` [H] to the client.
    """
    places = _in_schedule(row, market, rates)
    if not len(places):
        return 0.0
    notional, rate = quantity[places] * market.notional_unit[row[places]], _schedule_rates(row[places], market, rates)
    margin = posted_margin(notional, rate, present_value[places], gross_fraction=rates.schedule.gross_fraction)
    return rates.schedule_floor_fraction * margin.initial_margin


def schedule_weights(row: Index, quantity: ByHolding, market: RevaluedMarket, rates: ChargeRates) -> ByHolding:
    """Return [H] the gross margin by the standard schedule, which the floor is shared by; zero out of its scope."""
    weight, places = np.zeros(len(row)), _in_schedule(row, market, rates)
    if len(places):
        weight[places] = np.abs(quantity[places] * market.notional_unit[row[places]]) * _schedule_rates(row[places], market, rates)
    return weight


def _in_schedule(row: Index, market: RevaluedMarket, rates: ChargeRates) -> Index:
    known = market_rates(market, rates)
    return np.flatnonzero(known.is_in_schedule[row]) if known.has_schedule else np.zeros(0, dtype=np.int64)


def _schedule_rates(row: Index, market: RevaluedMarket, rates: ChargeRates) -> ByHolding:
    classes = [market.classes[each] for each in market.group_class[market.instrument_group[row]].tolist()]
    return schedule_rates(classes, market.residual_years[row], rates.schedule)
