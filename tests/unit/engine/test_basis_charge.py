"""Stablecoins hedge one another as far as they are pegged to the same money, and no further."""

from __future__ import annotations

from decimal import Decimal

from crossmargin.domain.instrument import Stablecoin
from crossmargin.engine.portfolio_margin import compute_margin
from tests.builders import Revalued, a_portfolio, a_revalued_market, an_instrument, stablecoin
from tests.charge_books import parameters

D = Decimal
SLIP = [-0.01, 0.01]


def a_basis_charge(holdings):
    market = a_revalued_market(
        Revalued(stablecoin("USDC", collateral_class="STABLE"), 1.0, {"USDC": SLIP}),
        Revalued(stablecoin("USDT", collateral_class="STABLE"), 1.0, {"USDT": SLIP}),
        Revalued(an_instrument("EURC", Stablecoin("EUR", "CIRCLE"), collateral_class="STABLE"), 1.1, {"RLUSD": SLIP}),
        groups=dict.fromkeys(("USDC", "USDT", "RLUSD"), "CRYPTO"),
    )
    rules = parameters(basis={"stablecoin_tiers": [{"up_to": None, "charge_fraction": "0.02"}]})
    charges = compute_margin(a_portfolio(holdings), market, rules).requirement.charges
    return sum((charge.amount for charge in charges if charge.name == "basis"), D(0))


def test_coins_of_one_peg_pay_for_what_they_match():
    assert a_basis_charge({"USDC": -1_000, "USDT": 400}) == D("8.00")
    assert a_basis_charge({"USDC": -1_000, "USDT": -400}) == 0


def test_coins_of_two_pegs_match_nothing():
    assert a_basis_charge({"USDC": -1_000, "EURC": 400}) == 0
    assert a_basis_charge({"USDC": -1_000, "EURC": 400, "USDT": 100}) == D("2.00")
