"""Golden portfolios with every intermediate: the engine against figures of the slow model, as `python -m tests.golden` wrote them."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import cache

import pytest

from crossmargin.domain.margin import Band
from crossmargin.engine.portfolio_arrays import haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.portfolio_margin import compute_margin, margin_figures
from tests.golden.portfolio_cases import CASES_FILE, given
from tests.golden.portfolios import GOLDENS

CASES = json.loads(CASES_FILE.read_text(encoding="utf-8"))
# The slow model is exact and kept to a millionth of a dollar; a float sum of some tens of millions loses less than that.
NEAR = {"rel": 1e-9, "abs": 2e-6}
CENT = Decimal("0.01")
EVERY = pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: golden.name)


def test_every_portfolio_has_its_figures_and_a_name_of_its_own():
    assert [golden.name for golden in GOLDENS] == list(CASES)
    assert [golden.intent for golden in GOLDENS] == [case["intent"] for case in CASES.values()]


@EVERY
def test_intermediates(golden):
    case, figures, market = CASES[golden.name], *_figures(golden)
    names = [str(held.instrument_id) for held in _given(golden).portfolio.holdings]
    split, charges = figures.split, figures.charges
    for part in ("value_in_equity", "haircut", "over_limit"):
        assert dict(zip(names, getattr(split, part), strict=True)) == pytest.approx(case[part], **NEAR), part
    risked = dict(zip(names, split.risked_fraction.tolist(), strict=True))
    assert {name: risked[name] for name in _given(golden).portfolio.policies if name in golden.auto} == case.get("risked_fraction", {})
    assert split.equity == pytest.approx(case["equity"], **NEAR)
    assert figures.gross == pytest.approx(case["gross"], **NEAR)
    groups = dict(zip([market.groups[group] for group in figures.netted.groups], figures.group_requirement, strict=True))
    assert groups == pytest.approx({name: amount for name, amount in case["groups"].items() if name in groups}, **NEAR)
    assert [amount for name, amount in case["groups"].items() if name not in groups and amount] == []
    classes = dict(zip([market.classes[name] for name in figures.netted.classes], figures.class_requirement, strict=True))
    assert classes == pytest.approx({name: amount for name, amount in case["classes"].items() if name in classes}, **NEAR)
    assert figures.account_requirement == pytest.approx(case["account"], **NEAR)
    assert figures.market_requirement == pytest.approx(case["market_requirement"], **NEAR)
    found = {line.name: line.amount for line in charges.lines}
    assert found == pytest.approx(dict.fromkeys(found, 0.0) | case["charges"], **NEAR)
    assert charges.maintenance_margin == pytest.approx(case["maintenance_margin"], **NEAR)
    assert sum(line.amount for line in figures.initial_only) == pytest.approx(case["initial_only"], **NEAR)
    assert dict(zip(names, figures.contribution, strict=True)) == pytest.approx(case["contributions"], **NEAR)


@EVERY
def test_statement(golden):
    """In whole cents, against the client: never better than the exact figure, and worse by no more than a cent a line."""
    case, result = CASES[golden.name], compute_margin(*_given(golden))
    lines = 1 + len(result.requirement.charges) + len(result.requirement.initial_only)
    requirement = result.requirement
    for name in ("market_requirement", "maintenance_margin", "initial_margin"):
        worse = getattr(requirement, name) - Decimal(str(case[name]))
        assert Decimal("-0.001") <= worse <= 2 * lines * CENT, name
    better = result.equity.equity - Decimal(str(case["equity"]))
    assert -(len(golden.held) + 1) * CENT <= better <= Decimal("0.001")
    assert sum(line.amount for line in result.contributions) == requirement.maintenance_margin
    assert requirement.gross - requirement.netting_benefit == requirement.market_requirement
    assert result.band is _band(golden, case)
    worst = {scenario.name: float(scenario.pnl) for scenario in result.worst_scenarios[: len(case["worst_scenarios"])]}
    assert list(worst) == list(case["worst_scenarios"])
    assert worst == pytest.approx(case["worst_scenarios"], abs=0.0101)
    if case["utilization"] is None:
        assert result.utilization is None
    else:
        assert float(result.utilization) == pytest.approx(case["utilization"], rel=1e-6, abs=2e-6)


def _band(golden, case):
    """By the lines of the parameters, whatever the engine thinks."""
    lines = golden.changes.get("bands", {"watch": "0.6", "at_risk": "0.7", "margin_call": "0.8", "liquidation": "1"})
    if case["utilization"] is None:
        return Band.LIQUIDATION
    passed = [name for name, line in lines.items() if case["utilization"] >= float(line)]
    return Band[passed[-1].upper()] if passed else Band.HEALTHY


@cache
def _given_of(name):
    return given(next(golden for golden in GOLDENS if golden.name == name))


def _given(golden):
    return _given_of(golden.name)


def _figures(golden):
    portfolio, market, parameters = _given(golden)
    arrays, rates = portfolio_arrays(portfolio, market), margin_rates(parameters, portfolio.mode)
    return margin_figures(arrays, market, rates, haircut_rates(parameters)), market
