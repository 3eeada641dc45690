"""What each position of an account needs with the rest and in a bucket of its own, by margining both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from crossmargin.domain.account import AccountMode
from crossmargin.domain.house import NO_HOUSE
from crossmargin.domain.identifiers import BASE_CURRENCY
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.margin_mode import MarginModeAdvice, PositionAdvice
from crossmargin.domain.money import EXACT
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Holding
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.methodologies.compute import compute
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

_FRACTION_UNIT: Final = Decimal("0.000001")


def margin_mode_advice(portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters) -> MarginModeAdvice:
    """Return advice on every position but dollars, each by margining the account without it and the bucket that it would be in.

    Nothing is approximated: charges, haircuts and limits are those of the account and of the bucket, and inside a bucket all
    diversification counts.

    Raises:
        DomainError: For a holding that cannot be valued (see `portfolio_arrays`).
    """
    whole = compute(portfolio, market, parameters)
    held = [holding for holding in portfolio.holdings if holding.quantity and holding.instrument_id != BASE_CURRENCY]
    found = [_advice(holding, portfolio, whole, market, parameters) for holding in held]
    return MarginModeAdvice(
        account=portfolio.account,
        sequence=portfolio.sequence,
        snapshot_id=market.snapshot_id,
        least_benefit=parameters.isolation_benefit_fraction,
        positions=tuple(sorted(found, key=lambda one: (one.advice is AccountMode.CROSS, one.benefit_fraction, one.instrument_id))),
    )


def _advice(
    holding: Holding, portfolio: Portfolio, whole: MarginResult, market: RevaluedMarket, parameters: RiskParameters
) -> PositionAdvice:
    rest = replace(portfolio, holdings=tuple(each for each in portfolio.holdings if each.instrument_id != holding.instrument_id))
    without = compute(rest, market, parameters).requirement.maintenance_margin
    bare = compute(_bucket(portfolio, [holding]), market, parameters)
    lacking = max(Decimal(0), bare.requirement.initial_margin - bare.equity.equity)
    funded = compute(_bucket(portfolio, [holding, Holding(BASE_CURRENCY, lacking, Decimal(0))]), market, parameters)
    margin_with, alone = whole.requirement.maintenance_margin, bare.requirement.maintenance_margin
    added = EXACT.subtract(margin_with, without)
    benefit = EXACT.subtract(Decimal(1), EXACT.divide(added, alone)).quantize(_FRACTION_UNIT) if alone else Decimal(0)
    gap = funded.gap
    return PositionAdvice(
        instrument_id=holding.instrument_id,
        advice=AccountMode.ISOLATED if alone and benefit < parameters.isolation_benefit_fraction else AccountMode.CROSS,
        margin_with=margin_with,
        margin_without=without,
        margin_alone=alone,
        benefit_fraction=benefit,
        capped_loss=max(Decimal(0), funded.equity.equity),
        expected_gap_loss=Decimal(0) if gap is None else gap.expected,
        worst_gap_loss=Decimal(0) if gap is None else gap.worst,
    )


def _bucket(portfolio: Portfolio, holdings: Sequence[Holding]) -> Portfolio:
    ordered = tuple(sorted((each for each in holdings if each.quantity), key=lambda each: each.instrument_id))
    return replace(portfolio, mode=AccountMode.ISOLATED, holdings=ordered, house=NO_HOUSE)
