"""Margin while one parameter set takes over from another by degrees: part of the one result, the rest of the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TypeAlias

import numpy as np

from crossmargin.domain.identifiers import OffsetGroupId
from crossmargin.domain.margin import (
    Charge,
    CollateralLine,
    Contribution,
    EquityBridge,
    GapLoss,
    GroupRequirement,
    MarginResult,
    RampStamp,
    RequirementBridge,
)
from crossmargin.domain.market_gate import gated, widest
from crossmargin.domain.money import CENT, EXACT, round_down_to_cent, round_up_to_cent
from crossmargin.domain.risk_parameters import BandLines
from crossmargin.engine.attribution import round_to_total
from crossmargin.engine.margin_bridges import band_of, utilization_of
from crossmargin.engine.portfolio_arrays import cents_to_decimal

_Blend: TypeAlias = Callable[[Decimal, Decimal], Decimal]


def ramped_margin(before: MarginResult, after: MarginResult, fraction: Decimal, *, lines: tuple[BandLines, BandLines]) -> MarginResult:
    """Return (1 - fraction) x `before` + fraction x `after`: one account at one market under the earlier set and under its successor.

    Every line of both bridges is taken so and rounded against the client; sums, utilization and contributions follow from them. So
    equity, haircuts included, moves as slowly as the requirement, and nothing jumps at either end. The band is read off the lines of
    both sets, taken so too, and what doubted market data leaves open is the wider of both. The worst scenarios are the successor's, and
    so is the stamp, which names the earlier set beside it.

    Args:
        before: Under the earlier set, in full.
        after: Under its successor, in full.
        fraction: From 0 to below 1.
        lines: Band lines of the earlier set and of its successor.
    """

    def blend(old: Decimal, new: Decimal) -> Decimal:
        return EXACT.add(old, EXACT.multiply(EXACT.subtract(new, old), fraction))

    equity = _equity(before.equity, after.equity, blend)
    requirement = _requirement(before.requirement, after.requirement, blend)
    utilization = utilization_of(requirement.maintenance_margin, equity.equity)
    stamp = before.stamp
    result = replace(
        after,
        stamp=replace(after.stamp, ramp=RampStamp(stamp.parameter_set_id, stamp.parameters_hash, stamp.scenario_set_hash, fraction)),
        equity=equity,
        requirement=requirement,
        utilization=utilization,
        band=band_of(utilization, _band_lines(*lines, blend)),
        groups=_groups(before, after, blend),
        contributions=_contributions(before, after, blend, requirement.maintenance_margin),
        gap=_gap(before.gap, after.gap, blend),
    )
    return gated(result, widest(before.quality, after.quality))


def _equity(old: EquityBridge, new: EquityBridge, blend: _Blend) -> EquityBridge:
    lines = tuple(_collateral_line(*pair, blend) for pair in zip(old.lines, new.lines, strict=True))
    collateral = sum((line.value_in_equity for line in lines if line.policy is not None), Decimal(0))
    liabilities = sum((line.value_in_equity for line in lines if line.policy is None), Decimal(0))
    contract_value = round_down_to_cent(blend(old.contract_value, new.contract_value))
    return replace(
        new,
        collateral=collateral,
        liabilities=liabilities,
        contract_value=contract_value,
        equity=collateral + liabilities + contract_value,
        lines=lines,
    )


def _collateral_line(old: CollateralLine, new: CollateralLine, blend: _Blend) -> CollateralLine:
    value = round_down_to_cent(blend(old.value_in_equity, new.value_in_equity))
    market_value = max(value, round_down_to_cent(blend(old.market_value, new.market_value)))
    over_limit = min(market_value - value, round_up_to_cent(blend(old.over_limit, new.over_limit)))
    is_split = bool(old.risked + old.pledged + new.risked + new.pledged)
    risked = min(market_value, round_down_to_cent(blend(old.risked, new.risked))) if is_split else Decimal(0)
    return replace(
        new,
        market_value=market_value,
        haircut=market_value - value - over_limit,
        over_limit=over_limit,
        value_in_equity=value,
        risked=risked,
        pledged=market_value - risked if is_split else Decimal(0),
    )


def _requirement(old: RequirementBridge, new: RequirementBridge, blend: _Blend) -> RequirementBridge:
    inside_groups = round_down_to_cent(blend(old.netting_inside_groups, new.netting_inside_groups))
    inside_classes = round_down_to_cent(blend(old.netting_inside_classes, new.netting_inside_classes))
    across_classes = round_down_to_cent(blend(old.netting_across_classes, new.netting_across_classes))
    market = round_up_to_cent(blend(old.market_requirement, new.market_requirement))
    charges = _charges(old.charges, new.charges, blend)
    return replace(
        new,
        gross=market + inside_groups + inside_classes + across_classes,
        netting_inside_groups=inside_groups,
        netting_inside_classes=inside_classes,
        netting_across_classes=across_classes,
        market_requirement=market,
        charges=charges,
        maintenance_margin=market + sum((charge.amount for charge in charges), Decimal(0)),
        initial_margin=round_up_to_cent(blend(old.initial_margin, new.initial_margin)),
        initial_only=_charges(old.initial_only, new.initial_only, blend),
    )


def _charges(old: tuple[Charge, ...], new: tuple[Charge, ...], blend: _Blend) -> tuple[Charge, ...]:
    old_amounts, new_amounts = ({charge.name: charge.amount for charge in charges} for charges in (old, new))
    names = dict.fromkeys((*new_amounts, *old_amounts))
    blended = {name: blend(old_amounts.get(name, Decimal(0)), new_amounts.get(name, Decimal(0))) for name in names}
    return tuple(Charge(name, round_up_to_cent(amount)) for name, amount in blended.items() if amount)


def _groups(before: MarginResult, after: MarginResult, blend: _Blend) -> tuple[GroupRequirement, ...]:
    old, new = ({group.group_id: group for group in result.groups} for result in (before, after))

    def amount(groups: Mapping[OffsetGroupId, GroupRequirement], name: OffsetGroupId) -> Decimal:
        return groups[name].requirement if name in groups else Decimal(0)

    return tuple(
        replace(new.get(name) or old[name], requirement=round_up_to_cent(blend(amount(old, name), amount(new, name))))
        for name in sorted(old | new)
    )


def _gap(old: GapLoss | None, new: GapLoss | None, blend: _Blend) -> GapLoss | None:
    if old is None or new is None:
        return new
    return GapLoss(
        realized=round_up_to_cent(blend(old.realized, new.realized)),
        expected=round_up_to_cent(blend(old.expected, new.expected)),
        worst=round_up_to_cent(blend(old.worst, new.worst)),
        worst_scenario=new.worst_scenario or old.worst_scenario,
    )


def _contributions(before: MarginResult, after: MarginResult, blend: _Blend, total: Decimal) -> tuple[Contribution, ...]:
    pairs = zip(before.contributions, after.contributions, strict=True)
    amounts = np.array([float(blend(old.amount, new.amount)) for old, new in pairs])
    cents = round_to_total(amounts, int(total / CENT))
    return tuple(replace(one, amount=cents_to_decimal(amount)) for one, amount in zip(after.contributions, cents, strict=True))


def _band_lines(old: BandLines, new: BandLines, blend: _Blend) -> BandLines:
    return BandLines(
        watch=blend(old.watch, new.watch),
        at_risk=blend(old.at_risk, new.at_risk),
        margin_call=blend(old.margin_call, new.margin_call),
        liquidation=blend(old.liquidation, new.liquidation),
    )
