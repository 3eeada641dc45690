"""Ratio, concentration, bets and advice to isolate, each at its limits."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from crossmargin.domain.account import AccountMode
from crossmargin.engine.diversification import diversification, effective_number, group_contributions, isolation_advice
from crossmargin.engine.portfolio_arrays import haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.portfolio_margin import margin_figures
from tests.builders import Revalued, a_portfolio, a_revalued_market, coin, perpetual, risk_parameters

D = Decimal
GROUPS = {"BTC": "CRYPTO", "ETH": "CRYPTO", "EURUSD": "FX"}


def a_market():
    """BTC and ETH lose in different scenarios, SOL moves with BTC."""
    return a_revalued_market(
        Revalued(coin("BTC"), 100.0, {"BTC": [-20, 0, 10, 10]}),
        Revalued(perpetual("BTC-PERP"), 100.0, {"BTC": [-20, 0, 10, 10]}),
        Revalued(perpetual("ETH-PERP", underlying="ETH"), 100.0, {"ETH": [0, -20, 10, 10]}),
        Revalued(perpetual("EUR-PERP", underlying="EUR"), 100.0, {"EURUSD": [-20, 0, 10, 10]}),
        groups=GROUPS,
    )


def figures_of(held, mode=AccountMode.CROSS, **overrides):
    market, parameters = a_market(), risk_parameters(**({"tail_fraction": "0.25"} | overrides))
    arrays = portfolio_arrays(a_portfolio(held), market)
    rates = margin_rates(parameters, mode)
    return arrays, margin_figures(arrays, market, rates, haircut_rates(parameters)), market, rates


def measured(held, **overrides):
    _, figures, market, rates = figures_of(held, **overrides)
    return diversification(figures, market, rates)


def advised(held, *, least_benefit=0.1, **overrides):
    return isolation_advice(*figures_of(held, **overrides), least_benefit=least_benefit)


def test_one_position_is_one_bet_without_diversification():
    single = measured({"USD": 100, "BTC-PERP": (1, 100)})
    assert (single.ratio, single.largest_group, single.largest_share, single.effective_bets) == (0, "BTC", 1, 1)


def test_a_book_without_risk_has_no_bets():
    nothing = measured({"USD": 100})
    assert (nothing.ratio, nothing.largest_group, nothing.largest_share, nothing.effective_bets) == (0, None, 0, 0)


def test_two_groups_alike_are_two_bets_and_share_the_concentration():
    """Each group needs 20 alone and the class 20 together, of which 80% is recognised: 0.2 x 40 + 0.8 x 20 = 24."""
    two = measured({"USD": 100, "BTC-PERP": (1, 100), "ETH-PERP": (1, 100)})
    assert two.ratio == D("0.4")
    assert two.largest_share == D("0.5")


def test_groups_that_fall_together_diversify_nothing():
    both = measured({"USD": 100, "BTC-PERP": (1, 100), "EUR-PERP": (1, 100)})
    assert (both.ratio, both.effective_bets) == (0, 2)


def test_contributions_of_groups_add_up_to_the_requirement():
    for held in ({"BTC-PERP": (3, 300), "ETH-PERP": (-1, -100), "EUR-PERP": (2, 200)}, {"BTC-PERP": (1, 100), "ETH-PERP": (1, 100)}):
        _, figures, market, rates = figures_of({"USD": 1000} | held)
        assert group_contributions(figures.netted, market, rates).sum() == pytest.approx(figures.market_requirement)


def test_a_group_that_hedges_is_a_bet_as_well():
    assert effective_number(np.array([3.0, -1.0])) == pytest.approx(16 / 10)
    assert effective_number(np.zeros(2)) == 0


def test_a_single_contract_gains_nothing_from_cross_margin():
    (advice,) = advised({"USD": 100, "BTC-PERP": (1, 100)})
    assert (advice.instrument_id, advice.alone, advice.added, advice.benefit_fraction) == ("BTC-PERP", 20, 20, 0)


def test_a_hedge_is_never_advised_to_be_isolated():
    assert advised({"USD": 100, "BTC": 1, "BTC-PERP": (-1, -100)}) == ()


def test_what_moves_with_the_rest_is_advised_and_what_diversifies_is_not():
    together = advised({"USD": 100, "BTC-PERP": (1, 100), "EUR-PERP": (1, 100)})
    assert [one.instrument_id for one in together] == ["BTC-PERP", "EUR-PERP"]
    assert advised({"USD": 100, "BTC-PERP": (1, 100), "ETH-PERP": (1, 100)}) == ()


@pytest.mark.parametrize(("least_benefit", "count"), [(0.0, 0), (0.8, 0), (0.8001, 2), (1.0, 2)])
def test_the_threshold_is_where_advice_begins(least_benefit, count):
    """Without the other each contract needs 20; with it 24 in all, so each adds 4 and has a benefit of 80%."""
    assert len(advised({"USD": 100, "BTC-PERP": (1, 100), "ETH-PERP": (1, 100)}, least_benefit=least_benefit)) == count


def test_coins_and_money_are_collateral_and_not_contracts():
    assert advised({"USD": 100, "BTC": 1}) == ()


def test_inside_an_isolated_account_all_diversification_counts():
    isolated = measured({"USD": 100, "BTC-PERP": (1, 100), "ETH-PERP": (1, 100)}, mode=AccountMode.ISOLATED)
    assert isolated.ratio == D("0.5")
