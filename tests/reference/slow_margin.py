"""The margin model once more, slowly: plain loops over exact fractions, written from the formulas and sharing nothing with the engine.

Takes plain data, so that no function of the engine has touched it: an instrument is a `SlowInstrument`, a holding a `SlowHolding`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil, sqrt

from tests.reference.slow_charges import SlowChargeRates, SlowCharges, is_ineligible, slow_charges

ZERO = Fraction(0)
MILLION = 10**6


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
    used: Fraction = Fraction(1)
    has_run_out: bool = False


@dataclass(frozen=True)
class SlowHolding:
    """`risked` is the share that is in the scenarios if it is collateral; None leaves it to policy AUTO.

    What is not risked is pledged, or counts nothing where the holding `leaves_out` what is not risked: policy RISKED.
    """

    quantity: Fraction
    cost: Fraction
    risked: Fraction | None
    leaves_out: bool = False


@dataclass(frozen=True)
class SlowHouse:
    """Units by instrument: what the owner's accounts of the same mode hold, what comes before them, and what all clients hold."""

    owned: dict[str, Fraction] = field(default_factory=dict)
    before: dict[str, Fraction] = field(default_factory=dict)
    held: dict[str, Fraction] = field(default_factory=dict)


@dataclass(frozen=True)
class SlowHaircut:
    """`bands` are (up to years or None, [(up to value or None, fraction)])."""

    residual: Fraction
    bands: list[tuple[Fraction | None, list[tuple[Fraction | None, Fraction]]]]
    share_limit: Fraction | None
    absolute_limit: Fraction | None
    has_fx_mismatch: bool
    volume_limit: Fraction | None = None
    supply_limit: Fraction | None = None
    house_limit: Fraction | None = None
    house_supply: Fraction | None = None


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
    initial_multiple: Fraction = Fraction(1)
    supply: dict[str, Fraction] = field(default_factory=dict)
    issuer_limits: list[tuple[set[str], Fraction]] = field(default_factory=list)

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
    risked: dict[str, Fraction] = field(default_factory=dict)

    def excess(self, multiple: Fraction) -> Fraction:
        return self.equity - multiple * self.charges.maintenance - self.charges.initial_only


def slow_margin(model: SlowModel, holdings: dict[str, SlowHolding], house: SlowHouse | None = None) -> SlowResult:
    """Margin of an account. At most one of its holdings may be left to policy AUTO, and then none may be over a limit by order."""
    known = house or SlowHouse()
    units = _counted_units(model, holdings)
    undecided = [name for name, held in units.items() if held.risked is None and held.quantity > 0 and _is_collateral(model, name, held)]
    if not undecided:
        return _without_what_is_over(model, units, known)
    (name,) = undecided
    splits = (_best_share(model, units, name, known), Fraction(1), ZERO)
    results = [_margin_of(model, _with_share(units, name, share), known) for share in splits]
    return max(results, key=lambda result: result.excess(model.initial_multiple))


def slow_margin_of(model: SlowModel, holdings: dict[str, SlowHolding], house: SlowHouse | None = None) -> SlowResult:
    """Margin of an account whose split is decided, holding by holding."""
    return _margin_of(model, _counted_units(model, holdings), house or SlowHouse())


def _counted_units(model: SlowModel, holdings: dict[str, SlowHolding]) -> dict[str, SlowHolding]:
    return {name: replace(held, quantity=held.quantity * _used(model, name, held)) for name, held in holdings.items()}


def _without_what_is_over(model: SlowModel, holdings: dict[str, SlowHolding], house: SlowHouse) -> SlowResult:
    """What is over a limit, by order in the scenarios, counts nothing: it is there or is left out, in whole millionths of the holding."""
    decided = {name: replace(held, risked=held.risked or ZERO) for name, held in holdings.items()}
    whole = _margin_of(model, decided, house)
    out, over = dict(decided), []
    for name, held in decided.items():
        if held.leaves_out and whole.over_limit[name] > 0 and _is_collateral(model, name, held):
            counted = 1 - whole.over_limit[name] / (held.quantity * model.instruments[name].value)
            out = _with_share(out, name, Fraction(ceil(counted * MILLION), MILLION))
            over.append(name)
    without = _margin_of(model, out, house)
    excess = without.excess(model.initial_multiple)
    for name in over:
        nearby = _margin_of(model, _with_share(out, name, (out[name].risked or ZERO) + Fraction(1, 10**5)), house)
        if nearby.excess(model.initial_multiple) > excess >= whole.excess(model.initial_multiple):
            raise ValueError(f"{name} hedges in part: this search is too simple for it")
    return max((whole, without), key=lambda result: result.excess(model.initial_multiple))


def _margin_of(model: SlowModel, holdings: dict[str, SlowHolding], house: SlowHouse) -> SlowResult:
    result = _before_charges(model, holdings, house)
    pnl = {name: _holding_pnl(model, name, holding) for name, holding in holdings.items()}
    result.charges = slow_charges(model, holdings, result, pnl, co_shortfall)
    for name in holdings:
        result.contribution[name] += result.charges.contribution[name]
    return result


def _before_charges(model: SlowModel, holdings: dict[str, SlowHolding], house: SlowHouse) -> SlowResult:
    result = SlowResult(risked={name: held.risked or ZERO for name, held in holdings.items()})
    _value_holdings(model, holdings, result, house)
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
    return result


def _with_share(holdings: dict[str, SlowHolding], name: str, share: Fraction) -> dict[str, SlowHolding]:
    return {**holdings, name: replace(holdings[name], risked=share)}


def _best_share(model: SlowModel, holdings: dict[str, SlowHolding], name: str, house: SlowHouse) -> Fraction:
    """The share, in whole millionths, with the most excess before charges: that is concave, so the search may halve.

    Where the excess has a bend between two millionths, it is where the lines left and right of it meet.
    """
    seen: dict[int, Fraction] = {}

    def excess(millionths: int) -> Fraction:
        if millionths not in seen:
            result = _before_charges(model, _with_share(holdings, name, Fraction(millionths, MILLION)), house)
            seen[millionths] = result.equity - model.initial_multiple * result.market
        return seen[millionths]

    low, high = 0, MILLION
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if excess(middle) >= excess(middle + 1) else (middle + 1, high)
    if not 2 <= low <= MILLION - 2:
        return Fraction(low, MILLION)
    rise, fall = excess(low - 1) - excess(low - 2), excess(low + 2) - excess(low + 1)
    bend = (excess(low + 1) - excess(low - 1) - (low + 1) * fall + (low - 1) * rise) / (rise - fall) if rise != fall else Fraction(low)
    return Fraction(round(bend), MILLION)


def _used(model: SlowModel, name: str, held: SlowHolding) -> Fraction:
    """Assets and bonds that are not owed count at the slow price of what they are paid in; a debt is owed at the price."""
    instrument = model.instruments[name]
    is_held = instrument.kind != "contract" and held.quantity >= 0
    return model.instruments[instrument.settlement].used if is_held else Fraction(1)


def _is_collateral(model: SlowModel, name: str, held: SlowHolding) -> bool:
    return model.instruments[name].kind != "contract" and held.quantity >= 0 and model.is_eligible(name)


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


def _value_holdings(model: SlowModel, holdings: dict[str, SlowHolding], result: SlowResult, house: SlowHouse) -> None:
    alone = {}
    for name, holding in holdings.items():
        instrument = model.instruments[name]
        settles = model.instruments[instrument.settlement]
        value = holding.quantity * instrument.value - holding.cost * settles.value
        result.haircut[name] = result.over_limit[name] = ZERO
        if instrument.kind == "contract" or holding.quantity < 0:
            is_claim = instrument.kind == "contract" and value > 0
            result.value_in_equity[name] = value * settles.used if is_claim else value
            continue
        if not model.is_eligible(name):
            result.over_limit[name], result.value_in_equity[name] = value, ZERO
            continue
        counted, result.haircut[name] = _counted(model, name, holding, value, house)
        result.over_limit[name] = value - counted
        alone[name] = counted - result.haircut[name]
    for name, counted in _limit_together(model, alone, holdings, house).items():
        kept = counted / alone[name] if alone[name] else Fraction(1)
        result.value_in_equity[name] = counted
        result.over_limit[name] += (1 - kept) * (alone[name] + result.haircut[name])
        result.haircut[name] *= kept
    result.equity = sum(result.value_in_equity.values(), ZERO)


def _counted(model: SlowModel, name: str, holding: SlowHolding, value: Fraction, house: SlowHouse) -> tuple[Fraction, Fraction]:
    """The market value that counts, and the haircut on it: under its limits a holding counts for the most that its split allows."""
    row = model.schedule[model.instruments[name].collateral_class or ""]
    tiers, largest = _tiers(model, name, holding, row, house), _largest(model, name, holding, house, value=value)
    risked_value = (holding.risked or ZERO) * value
    pledged_value = value - risked_value
    if holding.leaves_out:
        risked = min(risked_value, largest)
        return risked, row.residual * risked
    best = (Fraction(-1), ZERO, ZERO)
    ends = [end for end, _ in tiers if end is not None]
    for pledged in {ZERO, pledged_value, largest, max(ZERO, largest - risked_value), *ends, *(largest - end for end in ends)}:
        if 0 <= pledged <= min(pledged_value, largest):
            risked = min(risked_value, largest - pledged)
            haircut = row.residual * risked + _tiered(pledged, tiers)
            best = max(best, (risked + pledged - haircut, risked + pledged, haircut), key=lambda found: found[:2])
    return best[1], best[2]


def _left_of(model: SlowModel, name: str, holding: SlowHolding, house: SlowHouse, *, largest: Fraction) -> Fraction:
    """The account's part of what is its owner's: its share of what those before it have left."""
    instrument = model.instruments[name]
    unit, used = instrument.value, model.instruments[instrument.settlement].used
    owned = max(holding.quantity, house.owned.get(name, ZERO) * used)
    before = house.before.get(name, ZERO) * used * unit
    return (holding.quantity / owned if owned else Fraction(1)) * max(ZERO, largest - before)


def _tiers(model: SlowModel, name: str, holding: SlowHolding, row: SlowHaircut, house: SlowHouse) -> list[tuple[Fraction | None, Fraction]]:
    """(end or None, fraction) of what is pledged, FX mismatch included; everything above the last end is lost."""
    instrument = model.instruments[name]
    tiers = next(tiers for up_to, tiers in row.bands if up_to is None or (instrument.kind == "bond" and instrument.residual_years <= up_to))
    mismatch = ZERO
    if row.has_fx_mismatch:
        mismatch = model.fx_mismatch_fraction * Fraction(sqrt(instrument.translation_days / model.fx_mismatch_days))
    ended = [
        (
            None if end is None else _left_of(model, name, holding, house, largest=end),
            min(Fraction(1), fraction + mismatch),
        )
        for end, fraction in tiers
    ]
    return [*ended, (None, Fraction(1))]


def _tiered(value: Fraction, tiers: list[tuple[Fraction | None, Fraction]]) -> Fraction:
    haircut, lower = ZERO, ZERO
    for end, fraction in tiers:
        top = value if end is None else min(value, end)
        if top > lower:
            haircut += (top - lower) * fraction
            lower = top
    return haircut


def _largest(model: SlowModel, name: str, holding: SlowHolding, house: SlowHouse, *, value: Fraction) -> Fraction:
    """The most of a holding that counts by the limits that know nothing of the rest of the account."""
    instrument = model.instruments[name]
    row = model.schedule[instrument.collateral_class or ""]
    used = model.instruments[instrument.settlement].used
    supply = model.supply.get(name, ZERO) * used
    limits = [] if row.absolute_limit is None else [row.absolute_limit]
    if row.volume_limit is not None and instrument.own_group is not None:
        limits.append(row.volume_limit * model.charges.groups[instrument.own_group].daily_volume)
    if row.supply_limit is not None:
        limits.append(row.supply_limit * supply * instrument.value)
    alone = [_left_of(model, name, holding, house, largest=limit) for limit in limits]
    caps = [] if row.house_limit is None else [row.house_limit / instrument.value]
    caps += [] if row.house_supply is None else [row.house_supply * supply]
    held = max(holding.quantity, house.held.get(name, ZERO) * used)
    return min([value, *alone, *(min(Fraction(1), cap / held) * value for cap in caps if held)])


def _limit_together(
    model: SlowModel, alone: dict[str, Fraction], holdings: dict[str, SlowHolding], house: SlowHouse
) -> dict[str, Fraction]:
    """Bisect for the largest total that its own parts add up to, under limits on shares and on issuers."""
    share = {name: model.schedule[model.instruments[name].collateral_class or ""].share_limit for name in alone}
    issuers = [(names, _issuer_limit(model, names, limit, holdings, house)) for names, limit in model.issuer_limits]

    def parts(total: Fraction) -> dict[str, Fraction]:
        found = {name: value if share[name] is None else min(value, share[name] * total) for name, value in alone.items()}
        for names, limit in issuers:
            together = sum((found[name] for name in found if name in names), ZERO)
            if together > limit:
                found = {name: value * limit / together if name in names else value for name, value in found.items()}
        return found

    lower, upper = ZERO, sum(alone.values(), ZERO)
    if sum(parts(upper).values(), ZERO) >= upper:
        return parts(upper)
    for _ in range(120):
        middle = (lower + upper) / 2
        lower, upper = (middle, upper) if sum(parts(middle).values(), ZERO) >= middle else (lower, middle)
    return parts(lower)


def _issuer_limit(model: SlowModel, names: set[str], limit: Fraction, holdings: dict[str, SlowHolding], house: SlowHouse) -> Fraction:
    """The account's share, by market value, of what is its owner's and what those before it have left."""

    def worth(units: dict[str, Fraction]) -> Fraction:
        known = {name: held for name, held in units.items() if name in names and name in model.instruments}
        return sum((held * model.instruments[name].used * model.instruments[name].value for name, held in known.items()), ZERO)

    own = sum(
        (held.quantity * model.instruments[name].value for name, held in holdings.items() if name in names and held.quantity > 0), ZERO
    )
    owned = max(own, worth(house.owned))
    return (own / owned if owned else Fraction(1)) * max(ZERO, limit - worth(house.before))


def _holding_pnl(model: SlowModel, name: str, holding: SlowHolding) -> dict[str, list[Fraction]]:
    instrument = model.instruments[name]
    rows: dict[str, list[Fraction]] = {}
    for quantity, source in ((holding.quantity * in_scenarios(model, name, holding), name), (-holding.cost, instrument.settlement)):
        for group, unit in model.instruments[source].pnl.items():
            row = rows.setdefault(group, [ZERO] * len(model.weights))
            for scenario, profit in enumerate(unit):
                row[scenario] += quantity * profit
    return rows


def in_scenarios(model: SlowModel, name: str, holding: SlowHolding) -> Fraction:
    """The share of a holding whose profits count: all of a debt and of a contract, of collateral what is risked."""
    if model.instruments[name].kind == "contract" or holding.quantity < 0:
        return Fraction(1)
    return (holding.risked or ZERO) if model.is_eligible(name) else ZERO


def _sum_by(pnl, key) -> dict[str, list[Fraction]]:
    sums: dict[str, list[Fraction]] = {}
    for rows in pnl.values():
        for group, row in rows.items():
            total = sums.setdefault(key(group), [ZERO] * len(row))
            for scenario, profit in enumerate(row):
                total[scenario] += profit
    return sums
