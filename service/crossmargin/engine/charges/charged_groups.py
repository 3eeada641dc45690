"""What the charges of an account rest on, group by group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.engine.axes import ByGroup, ByHolding, ByIssuerGroup, Index
from crossmargin.engine.charges.basis import BasisMatched, basis_matched
from crossmargin.engine.charges.exposures import Exposures
from crossmargin.engine.charges.minimums import short_notional
from crossmargin.engine.netting import LegHoldings
from crossmargin.engine.portfolio_arrays import ChargeRates
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket


@dataclass(frozen=True, slots=True, eq=False)
class ChargedGroups:
    """Sums over the holdings of each touched group. Each sees its own group alone: its bits are the same in whatever company it is.

    Attributes:
        groups: [U] rows of the touched groups among the market's, ascending.
        net, gross: [U] exposures. matched: Hedges that the basis charge is on. short_notional: [U] of short options on the group.
        joint: [J, U] profits of each issuer's joint shock, U over all groups of the market: of pledged holdings too.
    """

    groups: Index
    net: ByGroup
    gross: ByGroup
    matched: BasisMatched
    short_notional: ByGroup
    joint: ByIssuerGroup


def charged_groups(
    exposures: Exposures, all_legs: LegHoldings, *, row: Index, quantity: ByHolding, market: RevaluedMarket, rates: ChargeRates
) -> ChargedGroups:
    """Return the sums of every touched group.

    Args:
        exposures: Of what is in the scenarios.
        all_legs: Of all that is held, whether or not it is in the scenarios.
        row: [H] of each holding along axis I.
        quantity: [H] signed units.
        market: What they are valued at.
        rates: Of the charges.
    """
    return ChargedGroups(
        groups=exposures.groups,
        net=exposures.net,
        gross=exposures.gross,
        matched=basis_matched(exposures, row, market, rates),
        short_notional=exposures.summed(short_notional(exposures, row, quantity, market)),
        joint=_joint_shocks(all_legs, market, rates),
    )


def _joint_shocks(legs: LegHoldings, market: RevaluedMarket, rates: ChargeRates) -> ByIssuerGroup:
    group, count = market.leg_group[legs.leg], len(market.groups)
    profits = market.issuer_leg_pnl[:, legs.leg] * legs.quantity
    joint = [np.bincount(group, weights=profits[issuer], minlength=count) for issuer in range(len(rates.issuers))]
    return np.array(joint, dtype=np.float64).reshape(len(rates.issuers), count)
