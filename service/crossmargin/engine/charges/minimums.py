"""The least an account needs whatever its scenarios say: short options, net exposure, and a share of the standard schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.charge_parameters import ScheduleScope
from crossmargin.domain.instrument import (
    AmericanOption,
    CashFlows,
    EuropeanOption,
    FxForward,
    FxOption,
    InterestRateSwap,
    NonDeliverableForward,
)
from crossmargin.engine.axes import ByGroup, ByGroupHolding, ByHolding
from crossmargin.engine.charges.exposures import Exposures, shared
from crossmargin.engine.methodologies.standard_schedule import posted_margin, schedule_rates
from crossmargin.engine.portfolio_arrays import ChargeRates, PortfolioArrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

_TERMS_IN_SCOPE: Final = {
    ScheduleScope.EUROPEAN_OPTION: EuropeanOption,
    ScheduleScope.AMERICAN_OPTION: AmericanOption,
    ScheduleScope.FX_OPTION: FxOption,
    ScheduleScope.FX_FORWARD: FxForward,
    ScheduleScope.NON_DELIVERABLE_FORWARD: NonDeliverableForward,
    ScheduleScope.INTEREST_RATE_SWAP: InterestRateSwap,
    ScheduleScope.CASH_FLOWS: CashFlows,
}


@dataclass(frozen=True, slots=True, eq=False)
class GroupMinimums:
    """Least requirement of each group. Base currency.

    Attributes:
        short_option: [U] of the notional of the short options on the group. rate: [U] of its net exposure.
        short_notional: [U, H] that notional by holding.
    """

    short_option: ByGroup
    rate: ByGroup
    short_notional: ByGroupHolding

    def shortfalls(self, requirement: ByGroup) -> tuple[ByGroup, ByGroup]:
        """Return [U] what `requirement` lacks to the larger of both minimums, as owed to short options and to the rate."""
        shortfall = np.maximum(0.0, np.maximum(self.short_option, self.rate) - requirement)
        is_option = self.short_option >= self.rate
        return np.where(is_option, shortfall, 0.0), np.where(is_option, 0.0, shortfall)

    def share_short_options(self, amount: ByGroup) -> ByHolding:
        """Return [H] an amount per group, shared pro rata to the notional of its short options."""
        return shared(amount, self.short_notional)


def group_minimums(exposures: Exposures, arrays: PortfolioArrays, market: RevaluedMarket, rates: ChargeRates) -> GroupMinimums:
    """Return the minimums of every touched group: 1% of notional for each short option, and the group's rate on its net exposure."""
    is_short = market.is_option[arrays.row] & (arrays.quantity < 0)
    notional = np.where(is_short, -arrays.quantity * market.notional_unit[arrays.row], 0.0)
    own = market.instrument_group[arrays.row] == exposures.groups[:, np.newaxis]
    by_holding = np.where(own, notional, 0.0)
    minimum_rate = np.array([rates.groups[market.groups[group]].minimum_rate_fraction for group in exposures.groups.tolist()])
    return GroupMinimums(rates.short_option_fraction * by_holding.sum(axis=1), minimum_rate * np.abs(exposures.net), by_holding)


def schedule_floor(
    arrays: PortfolioArrays, market: RevaluedMarket, present_value: ByHolding, rates: ChargeRates
) -> tuple[float, ByHolding]:
    """Return the floor by the standard schedule, and [H] the gross margin that it is shared by. Base currency.

    The broker collects, so a contract in scope counts in the net-to-gross ratio with what it is worth to the broker: minus its
    `present_value` [H] to the client.
    """
    weight = np.zeros(len(arrays.row))
    places = np.flatnonzero(_in_scope(arrays, rates)) if rates.schedule_floor_fraction else np.zeros(0, np.int64)
    if not len(places):
        return 0.0, weight
    row = arrays.row[places]
    classes = [market.classes[each] for each in market.group_class[market.instrument_group[row]].tolist()]
    rate = schedule_rates(classes, market.residual_years[row], rates.schedule)
    notional = arrays.quantity[places] * market.notional_unit[row]
    weight[places] = np.abs(notional) * rate
    margin = posted_margin(notional, rate, present_value[places], gross_fraction=rates.schedule.gross_fraction)
    return rates.schedule_floor_fraction * margin.initial_margin, weight


def _in_scope(arrays: PortfolioArrays, rates: ChargeRates) -> NDArray[np.bool_]:
    kinds = tuple(terms for scope, terms in _TERMS_IN_SCOPE.items() if scope in rates.schedule_scope)
    return np.array([isinstance(instrument.terms, kinds) for instrument in arrays.instruments], dtype=np.bool_)
