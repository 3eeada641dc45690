"""What every holding adds to equity, and how much of it stays in the scenarios."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.engine.axes import ByHolding, Index
from crossmargin.engine.collateral_limits import NO_ISSUER, Limited, issuer_limits, share_limited
from crossmargin.engine.collateral_terms import NOT_ELIGIBLE, HoldingTerms, Shares
from crossmargin.engine.market_collateral import market_terms
from crossmargin.engine.portfolio_arrays import HaircutSchedule, PortfolioArrays
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

_NOTHING: Final = (0.0, 0.0, 0.0)
"""Of what is not eligible nothing counts, risked or pledged, and nothing is taken off."""


@dataclass(frozen=True, eq=False)
class HeldAssets:
    """The holdings of one account, and what each may count for. Base currency.

    Attributes:
        collateral: Places along axis H of assets and bonds that are not owed. liability: Of those that are. contract: Of everything else.
        terms: Of each collateral holding; NOT_ELIGIBLE for one that counts nothing whatever its policy.
        market_value: [H] mark less cost. gross_value: [H] sum of the absolute amounts behind it: the scale of its float noise.
        issuer_limits: [J] what each limited issuer may add together.
    """

    collateral: Sequence[int]
    liability: Sequence[int]
    contract: Index
    terms: Sequence[HoldingTerms]
    market_value: ByHolding
    gross_value: ByHolding
    issuer_limits: ByHolding

    def limited(self, alone: ByHolding) -> Limited:
        """Return what each collateral holding counts for within the limits on shares and issuers, from what it would count for alone."""
        if not (self._shares < 1.0).any() and (self._issuers == NO_ISSUER).all():
            return Limited(alone, np.ones_like(alone))
        return share_limited(alone, self._shares, issuer=self._issuers, issuer_limits=self.issuer_limits)

    def not_pledging(self, holdings: Collection[int]) -> HeldAssets:
        """Return the same with nothing of some collateral holdings pledged: what is not risked of them is left out, and counts nothing."""
        terms = [
            replace(own, slices=()) if holding in holdings and own is not NOT_ELIGIBLE else own
            for holding, own in zip(self.collateral, self.terms, strict=True)
        ]
        return replace(self, terms=terms)

    @cached_property
    def _shares(self) -> ByHolding:
        return np.array([terms.share_limit for terms in self.terms])

    @cached_property
    def _issuers(self) -> Index:
        return np.array([terms.issuer for terms in self.terms], dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class CollateralSplit:
    """Every holding's part in equity. Base currency; value_in_equity = market_value - haircut - over_limit.

    Attributes:
        collateral: Rows along axis H of assets and bonds that are not owed. liability: Of those that are. contract: Of everything else.
        market_value: [H] mark less cost; haircut: [H] zero or more; over_limit: [H] what counts zero.
        value_in_equity: [H] contracts and liabilities at full value.
        gross_value: [H] sum of the absolute amounts behind the market value: the scale of its float noise.
        risked_fraction: [H] share of a collateral holding that is risked, the rest being pledged or left out; 0 for one that is not
            eligible, 1 for what is no collateral. is_eligible: [H] True for collateral that may count. leaves_out: [H] True for collateral
            of which what is not risked is not pledged either, and counts nothing.
        scenario_quantity: [H] units whose profit and loss is in the scenarios; a cost is always in them.
    """

    collateral: Sequence[int]
    liability: Sequence[int]
    contract: Index
    market_value: ByHolding
    haircut: ByHolding
    over_limit: ByHolding
    value_in_equity: ByHolding
    gross_value: ByHolding
    risked_fraction: ByHolding
    is_eligible: NDArray[np.bool_]
    leaves_out: NDArray[np.bool_]
    scenario_quantity: ByHolding

    @property
    def equity(self) -> float:
        """Sum of all values in equity: of collateral, of what is owed and of contracts, each added up by itself."""
        return self._by_kind(self.value_in_equity)

    @property
    def gross_scale(self) -> float:
        """Sum of the absolute amounts behind all market values, added up likewise."""
        return self._by_kind(self.gross_value)

    def _by_kind(self, amount: ByHolding) -> float:
        return sum_by_kind(*(amount[places] for places in (self.collateral, self.liability, self.contract)))


def sum_by_kind(collateral: ByHolding, liability: ByHolding, contract: ByHolding) -> float:
    """Return the sum of amounts, those of each kind along its own part of H: the same bits whatever they are in between."""
    return float(collateral.sum()) + float(liability.sum()) + float(contract.sum())


def held_assets(arrays: PortfolioArrays, market: RevaluedMarket, schedule: HaircutSchedule, ineligible: Collection[int] = ()) -> HeldAssets:
    """Return what is collateral, what is owed and what is neither, with the terms of the collateral.

    An asset without a row in the schedule, or at one of the `ineligible` places along axis H, counts nothing.
    """
    market_value, gross_value = market_values(arrays, market)
    is_asset = market.is_asset_or_bond[arrays.row]
    places = np.flatnonzero(is_asset & (arrays.quantity >= 0))
    collateral, terms = places.tolist(), []
    units = (each[places].tolist() for each in (arrays.quantity, arrays.owned, arrays.owned_before, arrays.held_by_all))
    of_instruments = market_terms(arrays.row[places].tolist(), market, schedule)
    for holding, known, *shares in zip(collateral, of_instruments, *units, strict=True):
        if known is None or holding in ineligible:
            terms.append(NOT_ELIGIBLE)
        else:
            is_pledgeable = arrays.policies[holding] is not CollateralPolicy.RISKED
            terms.append(known.of_holding(Shares(*shares), is_pledgeable=is_pledgeable))
    return HeldAssets(
        collateral=collateral,
        liability=np.flatnonzero(is_asset & (arrays.quantity < 0)).tolist(),
        contract=np.flatnonzero(~is_asset),
        terms=terms,
        market_value=market_value,
        gross_value=gross_value,
        issuer_limits=issuer_limits(collateral, arrays, market, schedule),
    )


def split_collateral(held: HeldAssets, arrays: PortfolioArrays, risked_fraction: ByHolding) -> CollateralSplit:
    """Return what each holding counts for when the share `risked_fraction` [H] of it is risked and the rest pledged.

    Of a positive holding of an asset or bond counts: of the risked amount, market value less the residual haircut, and its profits and
    losses are in the scenarios; of the pledged amount, market value less the flat haircut of its size and maturity, and less the FX
    mismatch haircut where the schedule asks for it, outside the scenarios. What is not eligible counts zero and is outside the
    scenarios. Owed assets, contracts, forwards and options count at full value, without haircut, always in the scenarios.

    What is over a limit counts zero in equity. A risked amount stays in the scenarios all the same: it is there and is never worth less
    than nothing, so to leave its value out and keep its moves understates the account in every scenario. What is not risked of policy
    RISKED is left out, and counts nothing, as it is of what `HeldAssets.not_pledging` names: that is sound for the same reason, and it is
    for the caller to say which leaves more excess.

    Limits that know nothing of the rest of the account (absolute, by volume, by supply) are on the market value and come first; those on
    shares of what counts and on issuers are on what is left after haircuts.
    """
    count, places = len(arrays.row), list(held.collateral)
    haircut, over_limit, risked = np.zeros(count), np.zeros(count), np.ones(count)
    eligible, leaves_out = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    eligible[places] = [terms is not NOT_ELIGIBLE for terms in held.terms]
    leaves_out[places] = [not terms.slices for terms in held.terms]
    risked[places] = np.where(eligible[places], risked_fraction[places], 0.0)
    by_terms = zip(held.terms, risked[places].tolist(), strict=True)
    parts = [_NOTHING if terms is NOT_ELIGIBLE else terms.parts(terms.value * fraction) for terms, fraction in by_terms]
    of_risked, of_pledged, haircut[places] = np.array(parts).reshape(-1, len(_NOTHING)).T
    over_limit[places] = held.market_value[places] - (of_risked + of_pledged)
    alone = (held.market_value - haircut - over_limit)[places]
    kept = np.divide(held.limited(alone).counted, alone, out=np.ones_like(alone), where=alone > 0)
    over_limit[places] += (1.0 - kept) * (held.market_value - over_limit)[places]
    haircut[places] *= kept
    return CollateralSplit(
        collateral=held.collateral,
        liability=held.liability,
        contract=held.contract,
        market_value=held.market_value,
        haircut=haircut,
        over_limit=over_limit,
        value_in_equity=held.market_value - haircut - over_limit,
        gross_value=held.gross_value,
        risked_fraction=risked,
        is_eligible=eligible,
        leaves_out=leaves_out,
        scenario_quantity=arrays.quantity * risked,
    )


def market_values(arrays: PortfolioArrays, market: RevaluedMarket) -> tuple[ByHolding, ByHolding]:
    """Return [H] mark less cost of each holding, and the sum of the absolute amounts behind it. Each depends on its holding alone."""
    return values_at(arrays.row, arrays.quantity, arrays.cost, market)


def values_at(row: Index, quantity: ByHolding, cost: ByHolding, market: RevaluedMarket) -> tuple[ByHolding, ByHolding]:
    """Return `market_values` of holdings of the instruments at `row` [H]."""
    value, paid = quantity * market.unit_value[row], cost * market.settlement_price[row]
    net, gross = value - paid, np.abs(value) + np.abs(paid)
    if not market.is_slowed:
        return net, gross
    # What a contract is worth to the client is a claim on the coin it settles in, and counts as that coin does; what it costs is a debt.
    is_claim = ~market.is_asset_or_bond[row] & (net > 0)
    counted = np.where(is_claim, net * market.used_fraction[market.settlement_row[row]], net)
    return counted, gross
