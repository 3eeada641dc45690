"""Policy AUTO against the linear program that says what it is for (Rockafellar and Uryasev 2000), written down and solved in full."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import csr_array

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.charges import ineligible_holdings
from crossmargin.engine.collateral_choice import choices
from crossmargin.engine.collateral_split import held_assets
from crossmargin.engine.portfolio_arrays import haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.portfolio_margin import margin_figures
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from tests.builders import (
    Revalued,
    a_haircut_row,
    a_portfolio,
    a_revalued_market,
    charges_document,
    coin,
    perpetual,
    risk_parameters,
    risk_parameters_document,
)

AUTO, RISKED, PLEDGED = CollateralPolicy.AUTO, CollateralPolicy.RISKED, CollateralPolicy.PLEDGED
PROMISED = 1e-3
"""Of the excess."""


@pytest.mark.parametrize("seed", range(190))
def test_auto_leaves_as_much_excess_as_the_linear_program(seed):
    book = _book(seed, scenario_count=60, asset_count=2 + seed % 6)
    _compare(book)


@pytest.mark.parametrize("seed", range(190, 200))
def test_auto_leaves_as_much_excess_in_books_of_full_size(seed):
    book = _book(seed, scenario_count=600, asset_count=12)
    _compare(book)


def test_the_books_have_what_makes_the_choice_hard():
    """Fractions inside, ends, limits that bind, and both ends worse than what lies between."""
    seen = set()
    for seed in range(190):
        book = _book(seed, scenario_count=60, asset_count=2 + seed % 6)
        best = choices(*book.asked)[0]
        auto = np.isnan(book.arrays.risked_fraction)
        fractions = best.risked_fraction[auto]
        seen |= {"risked"} if (fractions == 1).any() else set()
        seen |= {"pledged"} if (fractions == 0).any() else set()
        seen |= {"between"} if ((fractions > 0) & (fractions < 1)).any() else set()
        limited = book.held.limited(np.array([terms.counted(0.0).value for terms in book.held.terms]))
        seen |= {"limited"} if (limited.slope == 0).any() else set()
    assert seen == {"risked", "pledged", "between", "limited"}


@pytest.mark.parametrize("seed", range(60))
def test_auto_is_never_worse_than_all_risked_or_all_pledged_with_all_charges(seed):
    book = _book(seed, scenario_count=60, asset_count=2 + seed % 6, has_charges=True)
    auto = _figures(book.held_by(AUTO), book.market, book.parameters).excess(book.rates)
    ends = [_figures(book.held_by(policy), book.market, book.parameters).excess(book.rates) for policy in (RISKED, PLEDGED)]
    assert auto >= max(ends) - 1e-9 * abs(max(ends))


@dataclass(frozen=True)
class _Book:
    market: RevaluedMarket
    parameters: RiskParameters
    quantities: dict[str, object]
    policies: dict[str, CollateralPolicy]

    @property
    def rates(self):
        return margin_rates(self.parameters, AccountMode.CROSS)

    def held_by(self, policy):
        return a_portfolio(self.quantities, policies=dict.fromkeys(self.policies, policy))

    @property
    def arrays(self):
        return portfolio_arrays(a_portfolio(self.quantities, policies=self.policies), self.market)

    @property
    def held(self):
        ineligible = ineligible_holdings(self.arrays, self.market, self.rates.charges)
        return held_assets(self.arrays, self.market, haircut_rates(self.parameters), ineligible)

    @property
    def asked(self):
        return self.arrays, self.market, self.held, self.rates


def _compare(book):
    best, *_ = choices(*book.asked)
    reference = _linear_program(*book.asked)
    assert best.excess == pytest.approx(reference, abs=PROMISED * abs(reference))
    assert best.excess <= reference + 1e-6 * abs(reference)
    assert best.bound >= reference - 1e-6 * abs(reference)
    # What is promised of the choice is true of the split that is made of it.
    figures = margin_figures(book.arrays, book.market, book.rates, haircut_rates(book.parameters))
    free = figures.excess(book.rates)
    assert free >= reference - PROMISED * abs(reference)
    # What is over a limit may be left out although it was ordered to be risked, and for nothing else is anything better than the best.
    may_leave_out = book.arrays.may_leave_out & (figures.split.risked_fraction < 1.0)
    freed = replace(book.arrays, risked_fraction=np.where(may_leave_out, np.nan, book.arrays.risked_fraction))
    at_most = _linear_program(freed, *book.asked[1:]) if may_leave_out.any() else reference
    assert free <= at_most + PROMISED * abs(at_most)


def _figures(portfolio, market, parameters):
    rates = margin_rates(parameters, portfolio.mode)
    return margin_figures(portfolio_arrays(portfolio, market), market, rates, haircut_rates(parameters))


def _book(seed, *, scenario_count, asset_count, has_charges=False):
    random = np.random.default_rng(seed)
    common = random.standard_t(3, size=(3, scenario_count)) * 0.03
    names = [f"A{place}" for place in range(asset_count)]
    classes = {name: f"CLASS-{random.integers(0, 2)}" for name in names}
    revalued, rows, groups = [], [a_haircut_row("USD")], {}
    quantities: dict[str, object] = {"USD": round(float(random.uniform(0, 4000)), 2)}
    for place, name in enumerate(names):
        own = common[0] + common[1 + place % 2] + 0.02 * random.standard_t(3, size=scenario_count)
        moves = np.clip(100 * random.uniform(0.3, 1.5) * own, -80, 200)
        pnl = {name: moves} | ({names[0]: 0.3 * moves} if place and random.random() < 0.3 else {})
        revalued.append(Revalued(coin(name, collateral_class=name), 100.0, {key: list(value) for key, value in pnl.items()}))
        revalued.append(Revalued(perpetual(f"P{place}"), 100.0, {name: list(moves * (1 + 0.02 * random.standard_normal(scenario_count)))}))
        groups[name] = classes[name]
        quantities[name] = round(float(random.lognormal(2, 1)), 3)
        if random.random() < 0.6:
            short = round(-float(quantities[name]) * float(random.uniform(-0.3, 1.3)), 3)
            if short:
                quantities[f"P{place}"] = (short, 100 * short)
        residual = random.uniform(0, 0.06)
        flat = residual + random.uniform(-0.03 if random.random() < 0.2 else 0, 0.3)
        flat = max(0.0, flat)
        tiers = [{"up_to": None, "haircut_fraction": str(flat)}]
        if random.random() < 0.4:
            tiers = [{"up_to": str(random.uniform(100, 2000)), "haircut_fraction": str(flat)}]
            tiers += [{"up_to": str(random.uniform(2001, 3000)), "haircut_fraction": str(min(1.0, flat + 0.2))}]
        row = a_haircut_row(
            name,
            residual=residual,
            bands=[{"up_to_years": None, "tiers": tiers}],
            share_limit=random.uniform(0.1, 0.8) if random.random() < 0.4 else None,
            absolute_limit=random.uniform(100, 2000) if random.random() < 0.3 else None,
        )
        rows.append(row)
    document = [
        {"group_id": name, "asset_class": classes[name], "mpor_days": 2, "mpor_clock": "calendar", "curves": [f"spot:{name}"]}
        for name in names
    ]
    known = risk_parameters_document()["offset_groups"] + document
    issuer = {"issuer_id": "X", "is_own_issue": False, "moves": {f"spot:{name}": "-0.5" for name in names[:2]}}
    limited = issuer | {"collateral_limit": str(random.uniform(200, 2000))} if random.random() < 0.3 else None
    charged = {name: {"spread_fraction": "0.01", "average_daily_volume": "2000", "minimum_rate_fraction": "0.05"} for name in names}
    parameters = risk_parameters(
        tail_fraction="0.1",
        offset_groups=known,
        haircut_schedule=rows,
        charges=charges_document(known, issuers=[limited] if limited else [], rows=charged if has_charges else None),
    )
    policies = {name: random.choice([AUTO, AUTO, AUTO, RISKED, PLEDGED]) for name in names} | {names[0]: AUTO}
    weights = random.uniform(0.5, 1.5, scenario_count)
    market = a_revalued_market(*revalued, groups=groups, weights=list(weights / weights.sum()))
    return _Book(_without_joint_shock(market, limited), parameters, quantities, policies)


def _without_joint_shock(market, issuer):
    """An issuer group only limits collateral here: its joint shock moves nothing."""
    return market if issuer is None else replace(market, issuer_leg_pnl=np.zeros((1, len(market.leg_pnl))))


def _linear_program(arrays, market, held, rates):
    """Return the largest excess before charges. Unknowns are found by name; every constraint is a row of numbers by name."""
    unknowns: dict[object, int] = {}
    lower: list[float] = []

    def unknown(name, at_least=0.0):
        if name not in unknowns:
            unknowns[name] = len(unknowns)
            lower.append(at_least)
        return unknowns[name]

    cost: dict[int, float] = {}
    constraints: list[tuple[dict[int, float], float]] = []
    total = unknown("total")
    cost[total] = -1.0
    counted_in_total = {total: 1.0}
    issuer_rows: dict[int, dict[int, float]] = {}
    for place, (holding, terms) in enumerate(zip(held.collateral, held.terms, strict=True)):
        risked = unknown(("risked", place))
        fixed = arrays.risked_fraction[holding]
        constraints.append(({risked: 1.0}, terms.value if np.isnan(fixed) else terms.value * fixed))
        if not np.isnan(fixed):
            constraints.append(({risked: -1.0}, -terms.value * fixed))
        counted = unknown(("counted", place))
        constraints.append(({counted: 1.0, risked: -1.0}, 0.0))
        slices = [unknown(("slice", place, each)) for each in range(len(terms.slices))]
        starts = [0.0, *(end for end, _ in terms.slices)]
        for each, (start, end) in zip(slices, pairwise(starts), strict=True):
            if np.isfinite(end):
                constraints.append(({each: 1.0}, end - start))
        constraints.append(({risked: 1.0} | dict.fromkeys(slices, 1.0), terms.value))
        if np.isfinite(terms.largest):
            constraints.append(({counted: 1.0} | dict.fromkeys(slices, 1.0), terms.largest))
        value = unknown(("value", place))
        keeps = {counted: terms.residual_fraction - 1.0}
        keeps |= {each: fraction - 1.0 for each, (_, fraction) in zip(slices, terms.slices, strict=True)}
        constraints.append(({value: 1.0} | keeps, 0.0))
        if np.isfinite(terms.share_limit):
            constraints.append(({value: 1.0, total: -terms.share_limit}, 0.0))
        if terms.issuer >= 0:
            issuer_rows.setdefault(terms.issuer, {})[value] = 1.0
        counted_in_total[value] = -1.0
    constraints.append((counted_in_total, 0.0))
    constraints += [(row, float(held.issuer_limits[issuer])) for issuer, row in issuer_rows.items()]
    for level, profit, by_holding in _rows(arrays, market, held, rates):
        eta = unknown(("eta", len(unknowns)))
        cost[eta] = level
        for scenario, weight in enumerate(market.scenarios.weights.tolist()):
            beyond = unknown(("beyond", len(unknowns)))
            cost[beyond] = level * weight / rates.tail_fraction
            gains = {
                unknowns["risked", place]: -float(by_holding[place][scenario]) / held.terms[place].value
                for place in by_holding
                if held.terms[place].value > 0
            }
            constraints.append((gains | {eta: -1.0, beyond: -1.0}, float(profit[scenario])))
    rows = [row for row, (entries, _) in enumerate(constraints) for _ in entries]
    columns = [column for entries, _ in constraints for column in entries]
    values = [value for entries, _ in constraints for value in entries.values()]
    matrix = csr_array((values, (rows, columns)), shape=(len(constraints), len(unknowns)))
    objective = np.zeros(len(unknowns))
    objective[list(cost)] = list(cost.values())
    solved = linprog(objective, A_ub=matrix, b_ub=[end for _, end in constraints], bounds=[(least, None) for least in lower])
    assert solved.status == 0, solved.message
    others = [*held.liability, *held.contract]
    return -solved.fun + float(held.market_value[others].sum())


def _rows(arrays, market, held, rates):
    """Yield the level of every group, class and the account, what it gains without collateral, and what each collateral holding adds."""
    group_pnl = {group: np.zeros(len(market.scenarios.weights)) for group in range(len(market.groups))}
    by_holding: dict[int, dict[int, np.ndarray]] = {group: {} for group in group_pnl}
    for holding, row in enumerate(arrays.row.tolist()):
        for leg in np.flatnonzero(market.leg_instrument == row).tolist():
            profit, group = arrays.quantity[holding] * market.leg_pnl[leg], int(market.leg_group[leg])
            if holding in held.collateral:
                place = list(held.collateral).index(holding)
                by_holding[group][place] = by_holding[group].get(place, 0.0) + profit
            else:
                group_pnl[group] = group_pnl[group] + profit
    multiple, within, across = rates.initial_margin_multiple, rates.offset_within_class, rates.offset_across_classes
    classes = {each: [group for group in group_pnl if market.group_class[group] == each] for each in range(len(market.classes))}
    together = [(1.0 - within, [group]) for group in group_pnl]
    together += [(within - across, groups) for groups in classes.values()] + [(across, list(group_pnl))]
    for level, groups in together:
        added: dict[int, np.ndarray] = {}
        for group in groups:
            for place, profit in by_holding[group].items():
                added[place] = added.get(place, 0.0) + profit
        yield multiple * level, sum(group_pnl[group] for group in groups), added
