"""What the charges take of every offset group and instrument of a market, looked up once for all accounts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.charge_parameters import ScheduleScope
from crossmargin.domain.identifiers import OffsetGroupId
from crossmargin.domain.instrument import (
    AmericanOption,
    CashFlows,
    EuropeanOption,
    FxForward,
    FxOption,
    Instrument,
    InterestRateSwap,
    NonDeliverableForward,
)
from crossmargin.engine.axes import ByGroup, ByInstrument
from crossmargin.engine.portfolio_arrays import ChargeRates, GroupChargeRates
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


@dataclass(frozen=True, eq=False)
class MarketRates:
    """Rates of the charges along the axes of one market; its axis U runs over all groups of the market.

    It knows parts of the market and not the market itself, which it must not keep alive.
    """

    rates: ChargeRates
    groups: tuple[OffsetGroupId, ...]
    instruments: tuple[Instrument, ...]
    peg_price: ByInstrument

    @cached_property
    def spread_fraction(self) -> ByGroup:
        """[U] relative bid-ask spread."""
        return self._of_groups(lambda row: row.spread_fraction)

    @cached_property
    def average_daily_volume(self) -> ByGroup:
        """[U] base currency."""
        return self._of_groups(lambda row: row.average_daily_volume)

    @cached_property
    def mpor_days(self) -> ByGroup:
        """[U] margin period."""
        return self._of_groups(lambda row: row.mpor_days)

    @cached_property
    def minimum_rate_fraction(self) -> ByGroup:
        """[U] of the net exposure."""
        return self._of_groups(lambda row: row.minimum_rate_fraction)

    @cached_property
    def is_of_issuer(self) -> NDArray[np.bool_]:
        """[J, U] True for the groups of each issuer group."""
        named = [[group in issuer for group in self.groups] for issuer in self.rates.issuers]
        return np.array(named, dtype=np.bool_).reshape(len(self.rates.issuers), len(self.groups))

    @cached_property
    def is_in_schedule(self) -> NDArray[np.bool_]:
        """[I] True for instruments that the standard schedule is a floor for."""
        if not self.rates.schedule_floor_fraction:
            return np.zeros(len(self.instruments), dtype=np.bool_)
        kinds = tuple(terms for scope, terms in _TERMS_IN_SCOPE.items() if scope in self.rates.schedule_scope)
        return np.array([isinstance(instrument.terms, kinds) for instrument in self.instruments], dtype=np.bool_)

    @cached_property
    def has_schedule(self) -> bool:
        """Whether there is such an instrument."""
        return bool(self.is_in_schedule.any())

    @cached_property
    def pegged_to(self) -> dict[int, str]:
        """The currency that each stablecoin is pegged to, by its row along axis I."""
        pegged = np.flatnonzero(~np.isnan(self.peg_price)).tolist()
        return {row: getattr(self.instruments[row].terms, "pegged_to", "") for row in pegged}

    def _of_groups(self, rate: Callable[[GroupChargeRates], float]) -> ByGroup:
        """Return a rate of every group; NaN for one that the parameters do not know, which no account touches."""
        rows = [self.rates.groups.get(group) for group in self.groups]
        return np.array([np.nan if row is None else rate(row) for row in rows])


_known: Final[WeakKeyDictionary[RevaluedMarket, dict[ChargeRates, MarketRates]]] = WeakKeyDictionary()


def market_rates(market: RevaluedMarket, rates: ChargeRates) -> MarketRates:
    """Return the rates along the axes of a market, remembered as long as the market lives."""
    by_rates = _known.setdefault(market, {})
    found = by_rates.get(rates)
    if found is None:
        found = by_rates.setdefault(rates, MarketRates(rates, market.groups, market.instruments, market.peg_price))
    return found
