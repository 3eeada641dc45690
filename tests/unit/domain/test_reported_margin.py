"""A margin in another currency: converted line by line against the client, and adding up all the same."""

from __future__ import annotations

from decimal import Decimal

import pytest

from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.reported_margin import reported_in
from crossmargin.engine.portfolio_margin import compute_margin
from tests.builders import a_haircut_row, a_portfolio
from tests.charge_books import a_market, parameters

D = Decimal
EUR, JPY = InstrumentId("EUR"), InstrumentId("JPY")


def a_margin(holdings, **policies):
    rules = parameters(
        rows={"BTC": {"spread_fraction": "0.004"}},
        beside={"haircut_schedule": [a_haircut_row("USD"), a_haircut_row("BTC", residual="0.02", flat="0.2")]},
    )
    return compute_margin(a_portfolio(holdings, policies=policies), a_market(), rules)


@pytest.fixture(name="margin")
def a_loan_against_coins():
    """10 BTC at 100 against 300 dollars: market 300, half a spread of 0.8% on 1,000, haircut 20."""
    return a_margin({"BTC": 10, "USD": -300}, BTC=CollateralPolicy.RISKED)


def test_values_are_rounded_down_and_needs_up(margin):
    assert (margin.equity.equity, margin.requirement.maintenance_margin) == (D("680.00"), D("304.00"))
    reported = reported_in(margin, EUR, D("1.1"))
    coins, owed = reported.equity.lines
    assert (coins.market_value, coins.haircut, coins.value_in_equity) == (D("909.09"), D("18.19"), D("890.90"))  # 909.0909, 890.9090
    assert owed.value_in_equity == D("-272.73")  # -272.7272
    assert reported.equity.equity == D("618.17")
    assert reported.requirement.market_requirement == D("272.73")
    assert [(charge.name, charge.amount) for charge in reported.requirement.charges] == [("liquidity", D("3.64"))]  # 3.6363
    assert reported.requirement.maintenance_margin == D("276.37")
    assert reported.requirement.initial_margin == D("345.46")  # 380 / 1.1 = 345.4545
    assert (reported.excess_to_maintenance, reported.excess_to_initial) == (D("341.80"), D("272.71"))


def test_a_cheap_currency_has_its_hundredths_too(margin):
    reported = reported_in(margin, JPY, D("0.0067"))
    assert reported.equity.equity == D("101492.53")  # 146268.656... less 44776.119..., each line rounded
    assert reported.requirement.maintenance_margin == D("45373.14")


def test_the_base_currency_changes_nothing(margin):
    reported = reported_in(margin, InstrumentId("USD"), D(1))
    assert (reported.equity, reported.requirement) == (margin.equity, margin.requirement)


@pytest.mark.parametrize("owed", ["619.99", "620", "620.01", "979.99", "980", "980.01"])
@pytest.mark.parametrize("price", ["0.0067", "0.9999", "1.1", "1.3333333", "7"])
def test_a_deficit_never_turns_into_an_excess(owed, price):
    margin = a_margin({"BTC": 10, "USD": f"-{owed}"}, BTC=CollateralPolicy.RISKED)
    reported = reported_in(margin, EUR, D(price))
    for named in ("excess_to_initial", "excess_to_maintenance"):
        exact = getattr(margin, named) / D(price)
        assert exact - D("0.05") < getattr(reported, named) <= exact
    bridge = reported.requirement
    netted = bridge.netting_inside_groups + bridge.netting_inside_classes + bridge.netting_across_classes
    assert bridge.gross - netted == bridge.market_requirement
