"""Worked examples with their intermediates."""

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from crossmargin.domain.account import AccountMode
from crossmargin.engine.portfolio_arrays import haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.portfolio_margin import compute_margin, margin_figures
from crossmargin.engine.tail_mean import tail_mean, tail_means
from tests.builders import Revalued, a_portfolio, a_revalued_market, coin, risk_parameters

CASES = Path(__file__).parent / "cases"


def _cases(name):
    return [pytest.param(case, id=case["name"]) for case in json.loads((CASES / name).read_text())]


@pytest.mark.parametrize("case", _cases("tail_means.json"))
def test_tail_mean(case):
    ordinary = np.arange(case["pnl_range"][0], case["pnl_range"][1] - 1, -1.0) if "pnl_range" in case else np.array(case["pnl"], float)
    pnl = np.concatenate((ordinary, np.array(case["stress_pnl"], float)))
    weights = np.full(len(pnl), (1 - case["stress_weight"]) / len(ordinary))
    weights[len(ordinary) :] = case["stress_weight"] / max(1, len(case["stress_pnl"]))
    # The figures are exact in decimals; what is left is the rounding of some ten additions.
    assert tail_mean(pnl, weights, case["alpha"]) == pytest.approx(case["expected_shortfall"], rel=1e-12)
    assert tail_means(np.stack([pnl, -pnl]), weights, case["alpha"])[0] == tail_mean(pnl, weights, case["alpha"])


@pytest.mark.parametrize("case", _cases("market_requirements.json"))
def test_market_requirement(case):
    market, portfolio = _market(case), a_portfolio(dict.fromkeys(case["pnl"], 1))
    parameters = _parameters(case)
    bridge = compute_margin(portfolio, market, parameters).requirement
    for line in ("gross", "netting_inside_groups", "netting_inside_classes", "netting_across_classes", "initial_margin"):
        assert getattr(bridge, line) == Decimal(case[line]), line
    assert bridge.market_requirement == bridge.maintenance_margin == Decimal(case["market_requirement"])


@pytest.mark.parametrize("case", _cases("market_requirements.json"))
def test_requirements_of_groups_classes_and_account(case):
    market, portfolio, parameters = _market(case), a_portfolio(dict.fromkeys(case["pnl"], 1)), _parameters(case)
    result = compute_margin(portfolio, market, parameters)
    assert {line.group_id: line.requirement for line in result.groups} == {k: Decimal(v) for k, v in case["standalone"].items()}
    figures = margin_figures(
        portfolio_arrays(portfolio, market), market, margin_rates(parameters, AccountMode.CROSS), haircut_rates(parameters)
    )
    assert figures.class_requirement == pytest.approx(list(case["class_requirement"].values()), rel=1e-12)
    assert figures.account_requirement == pytest.approx(case["account_requirement"], rel=1e-12)


@pytest.mark.parametrize("case", _cases("market_requirements.json"))
def test_euler_contributions(case):
    market, held = _market(case), dict.fromkeys(case["pnl"], 1)
    of_account = compute_margin(a_portfolio(held, mode=AccountMode.ISOLATED), market, _parameters(case))
    of_market = compute_margin(a_portfolio(held), market, _parameters(case))
    assert _amounts(of_account) == {k: Decimal(v) for k, v in case["euler_of_account"].items()}
    assert _amounts(of_market) == {k: Decimal(v) for k, v in case["contributions"].items()}


def _market(case):
    return a_revalued_market(*(Revalued(coin(name), 100.0, {name: pnl}) for name, pnl in case["pnl"].items()), groups=case["asset_class"])


def _parameters(case):
    return risk_parameters(
        tail_fraction=case["alpha"], offset_within_class=case["offset_within_class"], offset_across_classes=case["offset_across_classes"]
    )


def _amounts(result):
    return {line.instrument_id: line.amount for line in result.contributions}
