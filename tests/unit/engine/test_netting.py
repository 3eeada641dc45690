import numpy as np
import pytest

from crossmargin.domain.instrument import Payoff
from crossmargin.engine.netting import gross_requirement, leg_holdings, netted_pnl, unit_requirements
from crossmargin.engine.portfolio_arrays import portfolio_arrays
from crossmargin.engine.tail_mean import tail_mean
from tests.builders import Revalued, a_portfolio, a_revalued_market, cash, coin, perpetual

HALF = 0.5  # with four equal scenarios: the mean of the two worst


def a_market():
    return a_revalued_market(
        Revalued(cash("EUR"), 1.2, {"EURUSD": [-0.1, 0.1, 0.0, 0.2]}),
        Revalued(coin("BTC"), 100.0, {"BTC": [-10, 5, -20, 10]}),
        Revalued(coin("ETH"), 10.0, {"ETH": [1, 2, -3, -4]}),
        Revalued(perpetual("BTC-EUR", settlement="EUR"), 100.0, {"BTC": [-10, 5, -20, 10], "EURUSD": [-8, 8, 0, 16]}),
        Revalued(perpetual("BTC-INVERSE", settlement="BTC", payoff=Payoff.INVERSE), -100.0, {"BTC": [-3, 1, -5, 2]}),
        groups={"BTC": "CRYPTO", "ETH": "CRYPTO", "EURUSD": "FX"},
    )


def test_profits_add_up_by_group_class_and_account():
    netted = netted_pnl(_legs({"BTC": 2, "ETH": -1, "EUR": 10}), a_market())
    assert [a_market().groups[group] for group in netted.groups] == ["BTC", "ETH", "EURUSD"]
    assert netted.group_pnl.tolist() == [[-20, 10, -40, 20], [-1, -2, 3, 4], [-1, 1, 0, 2]]
    assert [a_market().classes[name] for name in netted.classes] == ["CRYPTO", "FX"]
    assert netted.group_class.tolist() == [0, 0, 1]
    assert netted.class_pnl.tolist() == [[-21, 8, -37, 24], [-1, 1, 0, 2]]
    assert netted.account_pnl.tolist() == [-22, 9, -37, 26]


@pytest.mark.parametrize("leg_count", [0, 1, 79, 80, 81, 200])
def test_every_leg_of_a_market_has_its_tails_held_and_owed_however_many_there_are(leg_count):
    random = np.random.default_rng(leg_count)
    moves = [random.standard_t(3, 40).tolist() for _ in range(leg_count)]
    market = a_revalued_market(*(Revalued(coin(f"C{place:03}"), 1.0, {"BTC": move}) for place, move in enumerate(moves)))
    held, owed = unit_requirements(market, 0.1)
    weights = market.scenarios.weights
    assert held.tolist() == [tail_mean(row, weights, 0.1) for row in market.leg_pnl]
    assert owed.tolist() == [tail_mean(-row, weights, 0.1) for row in market.leg_pnl]


def test_only_touched_groups_are_reduced():
    netted = netted_pnl(_legs({"ETH": 1}), a_market())
    assert (netted.groups.tolist(), netted.classes.tolist(), netted.group_class.tolist()) == ([1], [0], [0])


def test_a_cost_is_owed_in_the_settlement_asset():
    netted = netted_pnl(_legs({"BTC-EUR": (2, 150)}), a_market())
    # EUR/USD: twice the contract's translation, less that of the 150 EUR it cost.
    assert netted.group_pnl[1] == pytest.approx([2 * -8 + 15, 2 * 8 - 15, 0, 2 * 16 - 30])
    assert netted.group_pnl[0].tolist() == [-20, 10, -40, 20]


def test_the_cost_of_a_contract_that_is_gone_still_moves_with_its_currency():
    assert netted_pnl(_legs({"BTC-EUR": (0, 150)}), a_market()).account_pnl == pytest.approx([15, -15, 0, -30])


def test_a_cost_in_base_currency_moves_nothing():
    market = a_revalued_market(Revalued(perpetual("PERP"), 100.0, {"BTC": [-10, 5]}))
    arrays = portfolio_arrays(a_portfolio({"PERP": (1, 90)}), market)
    assert netted_pnl(leg_holdings(arrays, arrays.quantity, market), market).account_pnl.tolist() == [-10, 5]


def test_what_is_out_of_the_scenarios_has_no_legs():
    arrays = portfolio_arrays(a_portfolio({"BTC": 2, "ETH": -1}), a_market())
    legs = leg_holdings(arrays, np.array([0.0, -1.0]), a_market())
    assert (legs.holding.tolist(), legs.quantity.tolist()) == ([1], [-1.0])


def test_an_account_without_legs_has_a_profit_of_zero_everywhere():
    netted = netted_pnl(_legs({}), a_market())
    assert (netted.group_pnl.shape, netted.class_pnl.shape) == ((0, 4), (0, 4))
    assert netted.account_pnl.tolist() == [0, 0, 0, 0]


def test_gross_adds_the_tail_of_each_holding_in_each_group():
    # BTC 2 x 15; ETH owed (2 + 1) / 2; EUR (1 + 0) / 2.
    assert _gross({"BTC": 2, "ETH": -1, "EUR": 10}) == pytest.approx(30 + 1.5 + 0.5, rel=1e-12)


def test_holdings_of_one_group_do_not_net_in_gross():
    assert _gross({"BTC": 2, "BTC-EUR": (-2, 0)}) == pytest.approx(30 + 15 + 24, rel=1e-12)


def test_a_cost_nets_against_its_own_contract_in_gross():
    # BTC 2 x 15; EUR/USD: the two worst of -16 + 15, 16 - 15, 0, 32 - 30.
    assert _gross({"BTC-EUR": (2, 150)}) == pytest.approx(30 + (1 - 0) / 2, rel=1e-12)


def test_the_coins_that_an_inverse_contract_cost_net_inside_its_group():
    # One contract -3, 1, -5, 2 and 0.2 coins received: -2, 1, -4, 2.
    pnl = np.array([-3, 1, -5, 2]) + 0.2 * np.array([-10, 5, -20, 10])
    assert _gross({"BTC-INVERSE": (1, "-0.2")}) == pytest.approx(-np.sort(pnl)[:2].sum() / 2, rel=1e-12)


def test_gross_of_another_tail_fraction_is_not_remembered_from_the_first():
    market = a_market()
    legs = _legs({"BTC": 1}, market)
    assert [gross_requirement(legs, market, alpha).tolist() for alpha in (HALF, 0.25)] == [[15.0], [20.0]]


def test_legs_out_of_instrument_order_are_a_defect():
    market = a_revalued_market(Revalued(coin("BTC"), 1.0, {"BTC": [1, 2]}), Revalued(coin("ETH"), 1.0, {"ETH": [1, 2]}))
    market.leg_instrument[:] = market.leg_instrument[::-1].copy()
    with pytest.raises(ValueError, match="not in the order"):
        _ = market.first_leg


def _legs(held, market=None):
    market = market or a_market()
    arrays = portfolio_arrays(a_portfolio(held), market)
    return leg_holdings(arrays, arrays.quantity, market)


def _gross(held):
    return gross_requirement(_legs(held), a_market(), HALF).sum()
