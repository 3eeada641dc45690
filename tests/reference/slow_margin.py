"""The margin model once more, slowly: plain loops over exact fractions, written from the formulas and sharing nothing with the engine.

Takes plain data, so that no function of the engine has touched it: an instrument is a `SlowInstrument`, a holding a `SlowHolding`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import sqrt

from tests.reference.slow_charges import SlowChargeRates, SlowCharges, is_ineligible, slow_charges

ZERO = Fraction(0)


@dataclass(frozen=True)
class SlowInstrument:
    """`kind` is asset, bond or contract. `pnl` holds one list of profits for each group."""

    kind: str
    value: Fraction
    settlement: str
    pnl: dict[str, list[Fraction]]
    collateral_class: str | None = None
    residual_years: Fraction = ZERO
    translation_days: Fraction = ZERO
    terms: str = ""
    exposure: dict[str, Fraction] = field(default_factory=dict)
    own_group: str | None = None
    notional: Fraction = ZERO
    basis: str = "factored"
    is_option: bool = False
    pegged_to: str | None = None
    peg_price: Fraction | None = None
    issuer_pnl: tuple[Fraction, ...] = ()


@dataclass(frozen=True)
class SlowHolding:
    quantity: Fraction
    cost: Fraction
    is_pledged: bool


@dataclass(frozen=True)
class SlowHaircut:
    """`bands` are (up to years or None, [(up to value or None, fraction)])."""

    residual: Fraction
    bands: list[tuple[Fraction | None, list[tuple[Fraction | None, Fraction]]]]
    share_limit: Fraction | None
    absolute_limit: Fraction | None
    has_fx_mismatch: bool


@dataclass(frozen=True)
class SlowModel:
    instruments: dict[str, SlowInstrument]
    class_of_group: dict[str, str]
    weights: list[Fraction]
    alpha: Fraction
    rho1: Fraction
    rho2: Fraction
    schedule: dict[str, SlowHaircut]
    fx_mismatch_fraction: Fraction
    fx_mismatch_days: int
    charges: SlowChargeRates

    def is_eligible(self, name: str) -> bool:
        return self.instruments[name].collateral_class in self.schedule and not is_ineligible(self, name)


@dataclass
class SlowResult:
    equity: Fraction = ZERO
    value_in_equity: dict[str, Fraction] = field(default_factory=dict)
    haircut: dict[str, Fraction] = field(default_factory=dict)
    over_limit: dict[str, Fraction] = field(default_factory=dict)
    gross: Fraction = ZERO
    group_requirement: dict[str, Fraction] = field(default_factory=dict)
    class_requirement: dict[str, Fraction] = field(default_factory=dict)
    account_requirement: Fraction = ZERO
    account_pnl: list[Fraction] = field(default_factory=list)
    market: Fraction = ZERO
    contribution: dict[str, Fraction] = field(default_factory=dict)
    charges: SlowCharges = field(default_factory=SlowCharges)


def slow_margin(model: SlowModel, holdings: dict[str, SlowHolding]) -> SlowResult:
    result = SlowResult()
    _value_holdings(model, holdings, result)
    pnl = {name: _holding_pnl(model, name, holding) for name, holding in holdings.items()}
    result.gross = sum((shortfall(row, model) for rows in pnl.values() for row in rows.values()), ZERO)
    group_pnl = _sum_by(pnl, lambda group: group)
    class_pnl = _sum_by(pnl, lambda group: model.class_of_group[group])
    account_pnl = _sum_by(pnl, lambda _group: "account").get("account", [ZERO] * len(model.weights))
    result.group_requirement = {group: shortfall(row, model) for group, row in group_pnl.items()}
    result.class_requirement = {name: shortfall(row, model) for name, row in class_pnl.items()}
    result.account_requirement, result.account_pnl = shortfall(account_pnl, model), account_pnl
    group_part, class_part, account_part = 1 - model.rho1, model.rho1 - model.rho2, model.rho2
    result.market = (
        group_part * sum(result.group_requirement.values())
        + class_part * sum(result.class_requirement.values())
        + account_part * result.account_requirement
    )
    for name, rows in pnl.items():
        result.contribution[name] = ZERO
        for group, row in rows.items():
            asset_class = model.class_of_group[group]
            result.contribution[name] += group_part * co_shortfall(row, group_pnl[group], model)
            result.contribution[name] += class_part * co_shortfall(row, class_pnl[asset_class], model)
            result.contribution[name] += account_part * co_shortfall(row, account_pnl, model)
    result.charges = slow_charges(model, holdings, result, pnl, co_shortfall)
    for name in holdings:
        result.contribution[name] += result.charges.contribution[name]
    return result


def shortfall(row: list[Fraction], model: SlowModel) -> Fraction:
    return co_shortfall(row, row, model)


def co_shortfall(row: list[Fraction], of: list[Fraction], model: SlowModel) -> Fraction:
    """The mean loss of `row` over the tail of `of`; nothing when `of` gains in its tail."""
    left, loss, own = model.alpha, ZERO, ZERO
    for scenario in sorted(range(len(of)), key=lambda place: (of[place], place)):
        taken = min(left, model.weights[scenario])
        loss -= taken * row[scenario]
        own -= taken * of[scenario]
        left -= taken
    return loss / model.alpha if own > 0 else ZERO


def _value_holdings(model: SlowModel, holdings: dict[str, SlowHolding], result: SlowResult) -> None:
    alone, share = {}, {}
    for name, holding in holdings.items():
        instrument = model.instruments[name]
        value = holding.quantity * instrument.value - holding.cost * model.instruments[instrument.settlement].value
        result.haircut[name] = result.over_limit[name] = ZERO
        if instrument.kind == "contract" or holding.quantity < 0:
            result.value_in_equity[name] = value
            continue
        row = model.schedule.get(instrument.collateral_class or "") if model.is_eligible(name) else None
        if row is None:
            result.over_limit[name], result.value_in_equity[name] = value, ZERO
            continue
        counted = value if row.absolute_limit is None else min(value, row.absolute_limit)
        result.haircut[name] = _flat_haircut(model, instrument, counted, row) if holding.is_pledged else row.residual * counted
        result.over_limit[name] = value - counted
        alone[name], share[name] = counted - result.haircut[name], row.share_limit
    for name, counted in _limit_shares(alone, share).items():
        kept = counted / alone[name] if alone[name] else Fraction(1)
        result.value_in_equity[name] = counted
        result.over_limit[name] += (1 - kept) * (alone[name] + result.haircut[name])
        result.haircut[name] *= kept
    result.equity = sum(result.value_in_equity.values(), ZERO)


def _flat_haircut(model: SlowModel, instrument: SlowInstrument, value: Fraction, row: SlowHaircut) -> Fraction:
    for up_to_years, band_tiers in row.bands:
        if up_to_years is None or (instrument.kind == "bond" and instrument.residual_years <= up_to_years):
            tiers = band_tiers
            break
    haircut, lower = ZERO, ZERO
    for upper, fraction in [*tiers, (None, Fraction(1))]:
        top = value if upper is None else min(value, upper)
        if top > lower:
            haircut += (top - lower) * fraction
            lower = top
    if row.has_fx_mismatch:
        haircut += value * model.fx_mismatch_fraction * Fraction(sqrt(instrument.translation_days / model.fx_mismatch_days))
    return min(value, haircut)


def _limit_shares(alone: dict[str, Fraction], share: dict[str, Fraction | None]) -> dict[str, Fraction]:
    """Bisect for the largest total that its own parts add up to."""

    def parts(total: Fraction) -> dict[str, Fraction]:
        return {name: value if share[name] is None else min(value, share[name] * total) for name, value in alone.items()}

    lower, upper = ZERO, sum(alone.values(), ZERO)
    if sum(parts(upper).values(), ZERO) >= upper:
        return parts(upper)
    for _ in range(120):
        middle = (lower + upper) / 2
        lower, upper = (middle, upper) if sum(parts(middle).values(), ZERO) >= middle else (lower, middle)
    return parts(lower)


def _holding_pnl(model: SlowModel, name: str, holding: SlowHolding) -> dict[str, list[Fraction]]:
    instrument = model.instruments[name]
    is_out = instrument.kind != "contract" and holding.quantity >= 0 and (holding.is_pledged or not model.is_eligible(name))
    rows: dict[str, list[Fraction]] = {}
    for quantity, source in ((ZERO if is_out else holding.quantity, name), (-holding.cost, instrument.settlement)):
        for group, unit in model.instruments[source].pnl.items():
            row = rows.setdefault(group, [ZERO] * len(model.weights))
            for scenario, profit in enumerate(unit):
                row[scenario] += quantity * profit
    return rows


def _sum_by(pnl, key) -> dict[str, list[Fraction]]:
    sums: dict[str, list[Fraction]] = {}
    for rows in pnl.values():
        for group, row in rows.items():
            total = sums.setdefault(key(group), [ZERO] * len(row))
            for scenario, profit in enumerate(row):
                total[scenario] += profit
    return sums
