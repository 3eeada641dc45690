"""The charges once more, slowly: one formula after the other, group by group and holding by holding, sharing nothing with the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import sqrt

ZERO = Fraction(0)


@dataclass(frozen=True)
class SlowGroupRates:
    mpor_days: Fraction
    spread: Fraction
    daily_volume: Fraction
    minimum_rate: Fraction


@dataclass(frozen=True)
class SlowChargeRates:
    """`issuers` are the groups of each issuer, `own_issues` the names of the operator's own coins.

    `tiers` are (up to or None, fraction), `schedule` is (class, up to years or None, rate).
    """

    k: Fraction
    h0: Fraction
    p: Fraction
    perpetual: Fraction
    dated: Fraction
    tiers: list[tuple[Fraction | None, Fraction]]
    short_option: Fraction
    mild_price: Fraction
    slope: Fraction
    ineligible_price: Fraction
    floor: Fraction
    gross_share: Fraction
    scope: set[str]
    schedule: list[tuple[str, Fraction | None, Fraction]]
    groups: dict[str, SlowGroupRates]
    issuers: list[set[str]]
    own_issues: set[str]


@dataclass
class SlowCharges:
    lines: dict[str, Fraction] = field(default_factory=dict)
    minimums: Fraction = ZERO
    maintenance: Fraction = ZERO
    initial_only: Fraction = ZERO
    contribution: dict[str, Fraction] = field(default_factory=dict)


def slow_charges(model, holdings, result, pnl, co_shortfall) -> SlowCharges:
    """Charges of an account whose market requirement is in `result`, whose holdings profit `pnl` (by holding and group)."""
    charges = SlowCharges(contribution=dict.fromkeys(holdings, ZERO))
    exposure = _exposures(model, holdings)
    touched = sorted({group for rows in pnl.values() for group in rows})
    net = {group: sum((exposure[name].get(group, ZERO) for name in holdings), ZERO) for group in touched}
    total = sum(result.group_requirement.values(), ZERO)
    market_share = {group: result.market * result.group_requirement[group] / total if total else ZERO for group in touched}

    liquidity = {
        group: _liquidity(model, charges, result, pnl, exposure=exposure, net=net[group], group=group, co_shortfall=co_shortfall)
        for group in touched
    }
    basis = {group: _basis(model, charges, holdings, exposure, group) for group in touched}
    between_coins = _stablecoins(model, charges, holdings, exposure)
    wrong_way = ZERO
    for issuer in range(len(model.charges.issuers)):
        wrong_way += _wrong_way(model, charges, holdings, result, market_share=market_share, issuer=issuer)

    for_options = for_rate = ZERO
    for group in touched:
        rest = market_share[group] + liquidity[group] + basis[group]
        option_lack, rate_lack = _minimum(model, charges, holdings, exposure, net=net[group], group=group, rest=rest)
        for_options, for_rate = for_options + option_lack, for_rate + rate_lack

    before = result.market + sum(liquidity.values()) + sum(basis.values()) + between_coins + wrong_way
    floor, weight = _schedule_floor(model, holdings, result)
    for_floor = max(ZERO, floor - before - for_options - for_rate)
    _share(charges, for_floor, weight)
    charges.lines = {
        "liquidity": sum(liquidity.values(), ZERO),
        "basis": sum(basis.values(), ZERO) + between_coins,
        "wrong-way": wrong_way,
        "short-option minimum": for_options,
        "group minimum": for_rate,
        "schedule floor": for_floor,
    }
    charges.minimums = max(before + for_options + for_rate, floor)
    charges.maintenance = max(before, charges.minimums)
    charges.initial_only = _depeg(model, holdings, result)
    return charges


def _liquidity(model, charges, result, pnl, *, exposure, net, group, co_shortfall):
    row = model.charges.groups[group]
    days = abs(net) / (model.charges.p * row.daily_volume)
    stretch = max(ZERO, Fraction(sqrt((model.charges.h0 + days / 3) / row.mpor_days)) - 1)
    spread = row.spread * model.charges.k * abs(net) / 2
    group_pnl = [sum(column) for column in zip(*(rows[group] for rows in pnl.values() if group in rows), strict=True)]
    for name, rows in pnl.items():
        if group in rows:
            charges.contribution[name] += stretch * co_shortfall(rows[group], group_pnl, model)
        if net:
            charges.contribution[name] += spread * exposure[name].get(group, ZERO) / net
    return spread + stretch * result.group_requirement[group]


def _basis(model, charges, holdings, exposure, group):
    cost = _carry(model, holdings, exposure, group) + _quotes(model, holdings, exposure, group)
    _share(charges, cost, {name: abs(exposure[name].get(group, ZERO)) for name in holdings})
    return cost


def _stablecoins(model, charges, holdings, exposure):
    total = ZERO
    for peg in sorted({item.pegged_to for item in model.instruments.values() if item.pegged_to}):
        own, weight = {}, {}
        for name in holdings:
            coin = model.instruments[name].settlement
            if model.instruments[coin].pegged_to == peg:
                amount = exposure[name].get(model.instruments[coin].own_group, ZERO)
                own[coin] = own.get(coin, ZERO) + amount
                weight[name] = abs(amount)
        cost = _tiered(_matched(own.values()), model.charges.tiers)
        total += cost
        _share(charges, cost, weight)
    return total


def _wrong_way(model, charges, holdings, result, *, market_share, issuer):
    shock = {name: _issuer_pnl(model, name, holding, issuer) for name, holding in holdings.items()}
    taken = sum((share for group, share in market_share.items() if group in model.charges.issuers[issuer]), ZERO)
    for name, holding in holdings.items():
        if model.instruments[name].kind != "contract" and holding.quantity >= 0:
            taken += min(max(ZERO, -shock[name]), result.haircut[name] + result.over_limit[name])
    cost = max(ZERO, max(ZERO, -sum(shock.values())) - taken)
    _share(charges, cost, {name: max(ZERO, -amount) for name, amount in shock.items()})
    return cost


def _minimum(model, charges, holdings, exposure, *, net, group, rest):
    short = {name: _short_notional(model, name, held) for name, held in holdings.items() if model.instruments[name].own_group == group}
    option_minimum = model.charges.short_option * sum(short.values())
    rate_minimum = model.charges.groups[group].minimum_rate * abs(net)
    lacking = max(ZERO, max(option_minimum, rate_minimum) - rest)
    if option_minimum >= rate_minimum:
        _share(charges, lacking, short)
        return lacking, ZERO
    _share(charges, lacking, {name: abs(exposure[name].get(group, ZERO)) for name in holdings})
    return ZERO, lacking


def is_ineligible(model, name) -> bool:
    peg_price = model.instruments[name].peg_price
    if name in model.charges.own_issues:
        return True
    return model.instruments[name].has_run_out or (peg_price is not None and peg_price < model.charges.ineligible_price)


def _exposures(model, holdings):
    exposure = {}
    for name, holding in holdings.items():
        instrument, amounts = model.instruments[name], {}
        is_out = instrument.kind != "contract" and holding.quantity >= 0 and not model.is_eligible(name)
        share = ZERO if is_out else holding.risked if instrument.kind != "contract" and holding.quantity >= 0 else Fraction(1)
        for quantity, source in ((share * holding.quantity, name), (-holding.cost, instrument.settlement)):
            for group, unit in model.instruments[source].exposure.items():
                amounts[group] = amounts.get(group, ZERO) + quantity * unit
        exposure[name] = amounts
    return exposure


def _carry(model, holdings, exposure, group):
    nets = {"factored": ZERO, "perpetual": ZERO, "dated": ZERO}
    for name in holdings:
        instrument = model.instruments[name]
        kind = instrument.basis if instrument.own_group == group else "factored"
        nets[kind] += exposure[name].get(group, ZERO)
    long = sum((max(ZERO, amount) for amount in nets.values()), ZERO)
    short = sum((max(ZERO, -amount) for amount in nets.values()), ZERO)
    dated = min(abs(nets["dated"]), short if nets["dated"] > 0 else long)
    return model.charges.perpetual * (min(long, short) - dated) + model.charges.dated * dated


def _quotes(model, holdings, exposure, group):
    nets = {}
    for name in holdings:
        instrument = model.instruments[name]
        settles = model.instruments[instrument.settlement]
        is_coin = instrument.own_group == group and settles.pegged_to is not None and instrument.settlement != name
        quote = instrument.settlement if is_coin else "money"
        nets[quote] = nets.get(quote, ZERO) + exposure[name].get(group, ZERO)
    return _tiered(_matched(nets.values()), model.charges.tiers)


def _matched(nets):
    nets = list(nets)
    return min(sum((max(ZERO, amount) for amount in nets), ZERO), sum((max(ZERO, -amount) for amount in nets), ZERO))


def _tiered(matched, tiers):
    charge, lower = ZERO, ZERO
    for upper, fraction in tiers:
        top = matched if upper is None else min(matched, upper)
        if top > lower:
            charge += (top - lower) * fraction
            lower = top
    return charge


def _issuer_pnl(model, name, holding, issuer):
    instrument = model.instruments[name]
    own = holding.quantity * instrument.issuer_pnl[issuer]
    return own - holding.cost * model.instruments[instrument.settlement].issuer_pnl[issuer]


def _short_notional(model, name, holding):
    instrument = model.instruments[name]
    return max(ZERO, -holding.quantity) * instrument.notional if instrument.is_option else ZERO


def _schedule_floor(model, holdings, result):
    rates = model.charges
    weight = {}
    for name, holding in holdings.items():
        instrument = model.instruments[name]
        if instrument.terms in rates.scope:
            asset_class = model.class_of_group[instrument.own_group]
            rate = next(r for c, up_to, r in rates.schedule if c == asset_class and (up_to is None or instrument.residual_years <= up_to))
            weight[name] = abs(holding.quantity) * instrument.notional * rate
    if not rates.floor or not weight:
        return ZERO, {}
    owed_to_broker = [-result.value_in_equity[name] for name in weight]
    gross_cost = sum((max(ZERO, value) for value in owed_to_broker), ZERO)
    ratio = max(ZERO, sum(owed_to_broker, ZERO)) / gross_cost if gross_cost else Fraction(1)
    gross = sum(weight.values(), ZERO)
    return rates.floor * gross * (rates.gross_share + (1 - rates.gross_share) * ratio), weight


def _depeg(model, holdings, result):
    total = ZERO
    for name, holding in holdings.items():
        price = model.instruments[name].peg_price
        if price is not None and holding.quantity >= 0:
            counted = result.value_in_equity[name]
            extra = model.charges.slope * max(ZERO, model.charges.mild_price - price) * (counted + result.haircut[name])
            total += min(extra, counted)
    return total


def _share(charges, amount, weight):
    total = sum(weight.values(), ZERO)
    if amount:
        for name, part in weight.items():
            charges.contribution[name] += amount * part / total
