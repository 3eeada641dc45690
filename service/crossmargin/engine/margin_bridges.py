"""From unrounded figures to a statement in whole cents whose lines add up exactly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Final, NamedTuple

import numpy as np

from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.margin import (
    Band,
    Charge,
    CollateralLine,
    Contribution,
    EquityBridge,
    GroupRequirement,
    HeldPeg,
    RequirementBridge,
)
from crossmargin.domain.money import EXACT, round_up_to_cent
from crossmargin.domain.position import Holding
from crossmargin.domain.risk_parameters import BandLines
from crossmargin.engine.attribution import round_to_total
from crossmargin.engine.axes import ByGroup, ByHolding, Index
from crossmargin.engine.charges import ChargeLine
from crossmargin.engine.collateral_split import CollateralSplit
from crossmargin.engine.held_pegs import held_peg
from crossmargin.engine.portfolio_arrays import (
    ChargeRates,
    MarginRates,
    PortfolioArrays,
    cents_to_decimal,
    client_value_to_cents,
    client_values_in_cents,
    requirement_to_cents,
    requirements_in_cents,
)
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

UTILIZATION_UNIT: Final = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class AssetLines:
    """The lines of assets and bonds in the statement of equity, by instrument, and what those held and those owed come to."""

    lines: tuple[CollateralLine, ...]
    collateral: Decimal
    liabilities: Decimal


def equity_bridge(split: CollateralSplit, arrays: PortfolioArrays, market: RevaluedMarket, rates: ChargeRates) -> EquityBridge:
    """Return the lines of equity, each rounded down, and their sum, see `equity_of_lines`."""
    contract = split.contract
    return equity_of_lines(asset_lines(split, arrays, market, rates), split.value_in_equity[contract], split.gross_value[contract])


def asset_lines(split: CollateralSplit, arrays: PortfolioArrays, market: RevaluedMarket, rates: ChargeRates) -> AssetLines:
    """Return a line for every asset and bond that is held or owed."""
    places = np.array([*split.collateral, *split.liability], dtype=np.int64)
    cents = _cents_of_lines(split, places)
    policies = [*(arrays.policies[holding] for holding in split.collateral), *(None for _ in split.liability)]
    lines = [
        _collateral_line(arrays.holdings[holding], policy, own, held_peg(arrays.instruments[holding], market, rates))
        for holding, policy, own in zip(places.tolist(), policies, cents, strict=True)
    ]
    positive, owed = lines[: len(split.collateral)], lines[len(split.collateral) :]
    return AssetLines(
        lines=tuple(sorted(positive + owed, key=lambda line: line.instrument_id)),
        collateral=sum((line.value_in_equity for line in positive), Decimal(0)),
        liabilities=sum((line.value_in_equity for line in owed), Decimal(0)),
    )


def equity_of_lines(assets: AssetLines, contract_value: ByHolding, contract_gross: ByHolding) -> EquityBridge:
    """Return the statement of equity of assets and of contracts [H], `contract_gross` being the absolute amounts behind their values.

    Market value and value in equity are rounded down; what lies between them is haircut and over limit, whose split takes up the cent.
    """
    contracts = cents_to_decimal(client_value_to_cents(float(contract_value.sum()), scale=float(contract_gross.sum())))
    return EquityBridge(
        collateral=assets.collateral,
        liabilities=assets.liabilities,
        contract_value=contracts,
        equity=assets.collateral + assets.liabilities + contracts,
        lines=assets.lines,
    )


def equity_in_cents(split: CollateralSplit) -> int:
    """Return the equity of `equity_bridge` in whole cents, without its lines."""
    lines = np.array([*split.collateral, *split.liability], dtype=np.int64)
    cents = client_values_in_cents(split.value_in_equity[lines], split.gross_value[lines]).sum()
    contracts = split.value_in_equity[split.contract].sum()
    return int(cents) + client_value_to_cents(float(contracts), scale=float(split.gross_value[split.contract].sum()))


def requirement_bridge(
    *,
    gross: float,
    group_total: float,
    class_total: float,
    account: float,
    market_requirement: float,
    rates: MarginRates,
    initial_margin_multiple: Decimal,
    charges: tuple[Charge, ...] = (),
    initial_only: tuple[Charge, ...] = (),
) -> RequirementBridge:
    """Return the way from gross to the requirement.

    The market requirement is rounded up and every netting benefit down, both against the client; gross is what they add up to, so that
    the lines fit and a benefit of nothing stays nothing. It is within three cents of the unrounded gross.
    """

    def benefit(amount: float) -> Decimal:
        return cents_to_decimal(max(0, client_value_to_cents(amount, scale=gross)))

    inside_groups = benefit(gross - group_total)
    inside_classes = benefit(rates.offset_within_class * (group_total - class_total))
    across_classes = benefit(rates.offset_across_classes * (class_total - account))
    market = cents_to_decimal(requirement_to_cents(market_requirement, scale=gross))
    maintenance_margin = market + _total(charges)
    return RequirementBridge(
        gross=market + inside_groups + inside_classes + across_classes,
        netting_inside_groups=inside_groups,
        netting_inside_classes=inside_classes,
        netting_across_classes=across_classes,
        market_requirement=market,
        charges=charges,
        maintenance_margin=maintenance_margin,
        initial_margin=round_up_to_cent(EXACT.multiply(initial_margin_multiple, maintenance_margin)) + _total(initial_only),
        initial_only=initial_only,
    )


def charge_lines(lines: Iterable[ChargeLine], *, scale: float) -> tuple[Charge, ...]:
    """Return the charges that are not zero, each rounded up; `scale` as for rounding."""
    cents = [(line.name, requirement_to_cents(line.amount, scale=scale)) for line in lines]
    return tuple(Charge(name, cents_to_decimal(amount)) for name, amount in cents if amount > 0)


def utilization_of(maintenance_margin: Decimal, equity: Decimal) -> Decimal | None:
    """Return maintenance margin over equity, rounded up to six places; 0 without risk, None when equity does not stand behind it."""
    if equity < 0 or (maintenance_margin and not equity):
        return None
    if not maintenance_margin:
        return Decimal(0)
    return EXACT.divide(maintenance_margin, equity).quantize(UTILIZATION_UNIT, rounding=ROUND_CEILING, context=EXACT)


def band_of(utilization: Decimal | None, lines: BandLines) -> Band:
    """Return the band that a utilization falls in. A line belongs to the worse band; None is the worst."""
    if utilization is None or utilization >= lines.liquidation:
        return Band.LIQUIDATION
    if utilization >= lines.margin_call:
        return Band.MARGIN_CALL
    if utilization >= lines.at_risk:
        return Band.AT_RISK
    return Band.WATCH if utilization >= lines.watch else Band.HEALTHY


def group_lines(groups: Index, requirement: ByGroup, market: RevaluedMarket, *, scale: float) -> tuple[GroupRequirement, ...]:
    """Return the tail mean of every group the account touches, rounded up."""
    return tuple(
        GroupRequirement(
            group_id=market.groups[group],
            asset_class=market.classes[market.group_class[group]],
            requirement=cents_to_decimal(requirement_to_cents(amount, scale=scale)),
        )
        for group, amount in zip(groups.tolist(), requirement.tolist(), strict=True)
    )


def contribution_lines(arrays: PortfolioArrays, contribution: ByHolding, total: Decimal) -> tuple[Contribution, ...]:
    """Return what each holding adds, in whole cents that add up to `total` exactly."""
    cents = round_to_total(contribution, int(total.scaleb(2, EXACT)))
    return tuple(
        Contribution(instrument.instrument_id, cents_to_decimal(amount))
        for instrument, amount in zip(arrays.instruments, cents, strict=True)
    )


def _total(charges: Iterable[Charge]) -> Decimal:
    return sum((charge.amount for charge in charges), Decimal(0))


class _CentsOfLine(NamedTuple):
    """What an asset is worth, what it counts for, what is over a limit, and what is risked of it; None where nothing is split."""

    market_value: int
    value: int
    over_limit: int
    risked: int | None


def _cents_of_lines(split: CollateralSplit, places: Index) -> list[_CentsOfLine]:
    """Return the amounts of assets in whole cents, each market value at least what is counted of it, and the rest split between both."""
    scale = split.gross_value[places]
    in_cents = zip(
        client_values_in_cents(split.market_value[places], scale).tolist(),
        client_values_in_cents(split.value_in_equity[places], scale).tolist(),
        requirements_in_cents(split.over_limit[places], scale).tolist(),
        split.risked_fraction[places].tolist(),
        split.is_eligible[places].tolist(),
        strict=True,
    )
    lines = []
    for worth, counted, over, fraction, is_eligible in in_cents:
        value = int(counted)
        market_value = max(value, int(worth))
        risked = round(market_value * fraction) if is_eligible else None
        lines.append(_CentsOfLine(market_value, value, min(market_value - value, int(over)), risked))
    return lines


def _collateral_line(holding: Holding, policy: CollateralPolicy | None, cents: _CentsOfLine, peg: HeldPeg | None) -> CollateralLine:
    return CollateralLine(
        instrument_id=holding.instrument_id,
        policy=policy,
        quantity=holding.quantity,
        market_value=cents_to_decimal(cents.market_value),
        haircut=cents_to_decimal(cents.market_value - cents.value - cents.over_limit),
        over_limit=cents_to_decimal(cents.over_limit),
        value_in_equity=cents_to_decimal(cents.value),
        risked=cents_to_decimal(cents.risked or 0),
        pledged=cents_to_decimal(0 if cents.risked is None else cents.market_value - cents.risked),
        peg=peg,
    )
