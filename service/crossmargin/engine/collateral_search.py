"""The split of an account's collateral that leaves it the most excess after all charges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossmargin.engine.axes import ByHolding, Index
from crossmargin.engine.charges import ineligible_holdings
from crossmargin.engine.collateral_choice import TOLERANCE, choices
from crossmargin.engine.collateral_doubts import least_risked, over_limits, slipped_coins, slow_groups, worth_a_search
from crossmargin.engine.collateral_split import CollateralSplit, HeldAssets, held_assets, split_collateral
from crossmargin.engine.portfolio_arrays import HaircutSchedule, MarginRates, PortfolioArrays
from crossmargin.engine.required_margin import RequiredMargin, ScenarioProfits, profits_of, required_of, tail_contributions
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

_GRID: Final = 4
"""Parts that a line is cut into before it is searched: a hill between two of its points may be missed."""
_GOLDEN: Final = 0.6180339887498949
_FINEST: Final = 2e-5
"""Of a holding: how near a search comes to the top of its hill."""
_ROUNDS: Final = 4
_PROBE: Final = 1e-5
"""Of a holding: a step that says whether what is over a limit hedges."""
_FRACTION_PLACES: Final = 6
_CLEARLY_MORE: Final = 1e-9
"""Relative: what is better by less is float noise, and the first of the two is kept, so that every machine keeps the same one."""


def best_required(arrays: PortfolioArrays, market: RevaluedMarket, rates: MarginRates, schedule: HaircutSchedule) -> RequiredMargin:
    """Return what the split with the most excess requires of an account: policy AUTO pledges what it does not risk.

    Three splits are margined in full: the best one before charges, all risked, and all pledged. Where a charge grows with a holding that
    adds little (`worth_a_search`), its part is searched for by the excess after all charges, holding by holding, until a round gains
    nothing. Policy RISKED leaves out what counts for nothing anyway, being over a limit, where that leaves more excess, and so does AUTO
    where a pledge would be charged for a slipped peg. So the result is never below any of the three, nor below all that is over a limit
    being left out.

    Raises:
        FloatingPointError: When the market holds a profit that is not finite.
    """
    held = held_assets(arrays, market, schedule, ineligible_holdings(arrays, market, rates.charges))
    arrays = replace(arrays, risked_fraction=settled_fractions(held, arrays, market))
    search = _Search(held, arrays, market, rates)
    looked, at_most = search.of_choices()
    best = search.not_pledging(search.leaving_out(search.best_of(looked)))
    if at_most - best.excess(rates) <= TOLERANCE * abs(at_most):
        return best
    slow = slow_groups(looked)
    return search.along(worth_a_search(best.split, held, arrays, market, rates, slow=slow), best, np.zeros(len(arrays.row)))


def best_split(arrays: PortfolioArrays, market: RevaluedMarket, rates: MarginRates, schedule: HaircutSchedule) -> CollateralSplit:
    """Return the split that `best_required` takes. Errors as there."""
    if np.isnan(arrays.risked_fraction).any() or arrays.may_leave_out.any():
        return best_required(arrays, market, rates, schedule).split
    held = held_assets(arrays, market, schedule, ineligible_holdings(arrays, market, rates.charges))
    return split_collateral(held, arrays, arrays.risked_fraction)


def settled_fractions(held: HeldAssets, arrays: PortfolioArrays, market: RevaluedMarket) -> ByHolding:
    """Return [H] what is risked of each holding, with that of policy AUTO settled where nothing has to be weighed; NaN where it has.

    What no scenario moves, as base currency, is split for what it counts for alone: the more it does, the more all collateral counts for.
    What is worth nothing, or is not eligible, is risked, which changes nothing.
    """
    fractions = arrays.risked_fraction.copy()
    if not np.isnan(fractions).any():
        return fractions
    for holding, terms in zip(held.collateral, held.terms, strict=True):
        if not np.isnan(fractions[holding]):
            continue
        row = int(arrays.row[holding])
        if terms.value <= 0:
            fractions[holding] = 1.0
        elif market.first_leg[row] == market.first_leg[row + 1]:
            # Of equals the one with most at risk: the bends ascend.
            fractions[holding] = max(reversed(terms.bends()), key=terms.value_counted) / terms.value
    return fractions


def scenario_profits(arrays: PortfolioArrays, market: RevaluedMarket, rates: MarginRates, schedule: HaircutSchedule) -> ScenarioProfits:
    """Return what each holding counts for and what the account gains or loses in every scenario. Errors as `best_required`."""
    return profits_of(best_split(arrays, market, rates, schedule), arrays, market)


class _Search:
    """Splits of one account's collateral, each with the whole computation of what it requires."""

    def __init__(self, held: HeldAssets, arrays: PortfolioArrays, market: RevaluedMarket, rates: MarginRates) -> None:
        self._held, self._arrays, self._market, self._rates = held, arrays, market, rates

    def required(self, risked_fraction: ByHolding) -> RequiredMargin:
        """Return what the account requires when the shares `risked_fraction` [H] are risked."""
        return required_of(self.split(risked_fraction), self._arrays, self._market, self._rates)

    def split(self, risked_fraction: ByHolding) -> CollateralSplit:
        """Return what counts when the shares `risked_fraction` [H] are risked."""
        return split_collateral(self._held, self._arrays, risked_fraction)

    def of_choices(self) -> tuple[list[RequiredMargin], float]:
        """Return the splits that are worth looking at before charges, and the most excess that any split has before them."""
        looked: list[RequiredMargin] = []
        found = choices(self._arrays, self._market, self._held, self._rates)
        for choice in found:
            # Charges only take, so a choice that has less before them is not worth its figures.
            if not looked or choice.excess > self.best_of(looked).excess(self._rates):
                looked.append(self.required(choice.risked_fraction))
        return looked, found[0].excess

    def best_of(self, looked: Sequence[RequiredMargin]) -> RequiredMargin:
        """Return the one with the most excess; the first of those that are alike."""
        return reduce(self._better, looked)

    def leaving_out(self, best: RequiredMargin) -> RequiredMargin:
        """Return the best split in which what is over a limit is not risked, or only so far as it hedges.

        That is asked of the best split, of what RISKED may leave out, and of all risked, so that AUTO is not below RISKED.
        """
        is_undecided = np.isnan(self._arrays.risked_fraction)
        best = self.without_what_is_over(best.split, self._arrays.may_leave_out, best)
        if is_undecided.any():
            all_risked = self.split(np.where(is_undecided, 1.0, self._arrays.risked_fraction))
            best = self.without_what_is_over(all_risked, self._arrays.may_leave_out | is_undecided, best)
        return best

    def not_pledging(self, best: RequiredMargin) -> RequiredMargin:
        """Return the best split in which slipped stablecoins that are over a limit are not pledged: what is not risked is left out.

        That is asked of the best split, with what is risked of them searched for, and of all risked, where nothing is pledged: what policy
        RISKED would say, so that AUTO is not below it.
        """
        slipped = slipped_coins(self._held, self._arrays, self._market, self._rates)
        if not len(slipped):
            return best
        is_undecided = np.isnan(self._arrays.risked_fraction)
        all_risked = np.where(is_undecided, 1.0, self._arrays.risked_fraction)
        slipped = slipped[over_limits(split_collateral(self._held, self._arrays, all_risked))[slipped]]
        if not len(slipped):
            return best
        some = self._not_pledging(slipped)
        out = some.required(best.split.risked_fraction)
        best = self._better(best, some.along(slipped, out, np.zeros(len(all_risked))))
        movable = self._arrays.may_leave_out | is_undecided
        none_pledged = self._not_pledging(np.flatnonzero(is_undecided))
        return none_pledged.without_what_is_over(none_pledged.split(all_risked), movable, best)

    def _not_pledging(self, holdings: Index) -> _Search:
        return _Search(self._held.not_pledging(holdings.tolist()), self._arrays, self._market, self._rates)

    def without_what_is_over(self, split: CollateralSplit, movable: NDArray[np.bool_], best: RequiredMargin) -> RequiredMargin:
        """Return the best split: the one that is best so far, or `split` less what is over a limit of what is `movable` [H]."""
        if not movable.any():
            return best
        least = least_risked(split, movable)
        over = np.flatnonzero(least < split.risked_fraction)
        if not len(over):
            return best
        out = self.required(np.minimum(split.risked_fraction, least))
        # What adds to the requirement hedges nothing, so a little more of it need not be tried.
        adds = tail_contributions(out, self._market, self._rates, holding_count=len(self._arrays.row))
        perhaps = [holding for holding in over.tolist() if adds[holding] < 0.0 or least[holding] == 0.0]
        hedging = [holding for holding in perhaps if self._better(out, self._with(out, holding, least[holding] + _PROBE)) is not out]
        return self._better(best, self.along(np.array(hedging, dtype=np.int64), out, least))

    def along(self, holdings: Index, best: RequiredMargin, least: ByHolding) -> RequiredMargin:
        """Return the best split found by moving what is risked of some holdings, between `least` [H] and all, one after the other."""
        for _ in range(_ROUNDS if len(holdings) else 0):
            before = best.excess(self._rates)
            for holding in holdings.tolist():
                best = self._along(holding, best, float(least[holding]))
            if best.excess(self._rates) <= before + 0.1 * TOLERANCE * abs(before):
                break
        return best

    def _along(self, holding: int, best: RequiredMargin, least: float) -> RequiredMargin:
        """Return the best split found by moving one holding's part: on a grid first, then around the best point of it."""
        seen = {float(best.split.risked_fraction[holding]): best}

        def excess(part: float) -> float:
            if part not in seen:
                seen[part] = self._with(best, holding, part)
            return seen[part].excess(self._rates)

        for part in np.linspace(least, 1.0, _GRID + 1).round(_FRACTION_PLACES).tolist():
            excess(part)
        parts = sorted(seen)
        top = max(range(len(parts)), key=lambda place: excess(parts[place]))
        _climb(excess, parts[max(top - 1, 0)], parts[min(top + 1, len(parts) - 1)])
        return self.best_of([best, *(seen[part] for part in sorted(seen))])

    def _with(self, required: RequiredMargin, holding: int, part: float) -> RequiredMargin:
        fraction = required.split.risked_fraction.copy()
        fraction[holding] = min(part, 1.0)
        return self.required(fraction)

    def _better(self, one: RequiredMargin, other: RequiredMargin) -> RequiredMargin:
        """Return the one with more excess; the first of two that are alike."""
        excess = one.excess(self._rates)
        return other if other.excess(self._rates) > excess + _CLEARLY_MORE * abs(excess) else one


def _climb(value: Callable[[float], float], low: float, high: float) -> None:
    """Look at the points of a golden section search for the largest value between two ends (Kiefer 1953)."""
    left, right = _inside(low, high)
    while high - low > _FINEST:
        if value(left) >= value(right):
            high, right, left = right, left, _inside(low, right)[0]
        else:
            low, left, right = left, right, _inside(left, high)[1]


def _inside(low: float, high: float) -> tuple[float, float]:
    reach = _GOLDEN * (high - low)
    return round(high - reach, _FRACTION_PLACES), round(low + reach, _FRACTION_PLACES)
