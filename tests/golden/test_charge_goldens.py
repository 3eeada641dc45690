"""One portfolio for each charge, with every intermediate figure."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.engine.portfolio_arrays import haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.portfolio_margin import compute_margin, margin_figures
from tests.builders import a_portfolio
from tests.charge_books import a_market, parameters

CASES = [
    pytest.param(case, id=case["name"])
    for case in json.loads((Path(__file__).parent / "cases" / "charges.json").read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("case", CASES)
def test_charge_intermediates(case):
    market, portfolio, rules = _given(case)
    figures = margin_figures(portfolio_arrays(portfolio, market), market, margin_rates(rules, portfolio.mode), haircut_rates(rules))
    names = [market.groups[group] for group in figures.netted.groups]
    assert dict(zip(names, figures.exposures.net, strict=True)) == pytest.approx(case["net_exposure"])
    assert dict(zip(names, figures.group_requirement, strict=True)) == pytest.approx(case["group_requirement"])
    if "liquidity" in case:
        assert dict(zip(names, figures.charges.liquidity, strict=True)) == pytest.approx(case["liquidity"])
    if "basis" in case:
        assert dict(zip(names, figures.charges.basis.by_group, strict=True)) == pytest.approx(case["basis"])
    if "wrong_way" in case:
        assert figures.charges.wrong_way.by_issuer.tolist() == pytest.approx(case["wrong_way"])


@pytest.mark.parametrize("case", CASES)
def test_charge_lines_and_margins(case):
    market, portfolio, rules = _given(case)
    result = compute_margin(portfolio, market, rules)
    bridge = result.requirement
    assert bridge.market_requirement == Decimal(case["market_requirement"])
    assert {charge.name: charge.amount for charge in bridge.charges} == _money(case["charges"])
    assert {charge.name: charge.amount for charge in bridge.initial_only} == _money(case.get("initial_only", {}))
    assert (bridge.maintenance_margin, bridge.initial_margin) == (Decimal(case["maintenance_margin"]), Decimal(case["initial_margin"]))
    assert {line.instrument_id: line.amount for line in result.contributions} == _money(case["contributions"])
    if "equity" in case:
        assert result.equity.equity == Decimal(case["equity"])


def _given(case):
    holdings = {name: tuple(held) if isinstance(held, list) else held for name, held in case["holdings"].items()}
    policies = dict.fromkeys(case.get("pledged", ()), CollateralPolicy.PLEDGED)
    portfolio = a_portfolio(holdings, policies=policies, mode=AccountMode(case.get("mode", "cross")))
    return a_market(usdc=case.get("usdc_price", 1.0)), portfolio, parameters(rows=case.get("rows"), **case.get("charge_changes", {}))


def _money(amounts):
    return {name: Decimal(amount) for name, amount in amounts.items()}
