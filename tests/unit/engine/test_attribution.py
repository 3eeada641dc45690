from decimal import Decimal

import numpy as np
import pytest

from crossmargin.engine.attribution import round_to_total, worst_scenarios
from crossmargin.engine.portfolio_arrays import haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.portfolio_margin import compute_margin, margin_figures
from tests.builders import Revalued, a_portfolio, a_revalued_market, a_scenario_set, cash, coin, perpetual, risk_parameters

GROUPS = {"BTC": "CRYPTO", "ETH": "CRYPTO", "EURUSD": "FX"}


def test_contributions_are_the_derivative_by_quantity():
    market, parameters = _random_market(), risk_parameters(tail_fraction="0.2")
    held = {"BTC": 2.0, "BTC-EUR": -1.5, "ETH": -30.0, "EUR": 40.0}
    contribution = _figures(held, market, parameters).contribution
    for place, name in enumerate(sorted(held)):
        bumped, bump = [], 1e-6
        for sign in (1, -1):
            moved = held | {name: held[name] * (1 + sign * bump)}
            bumped.append(_figures(moved, market, parameters).market_requirement)
        # Piecewise linear, so a central difference inside one piece is exact but for rounding.
        assert contribution[place] == pytest.approx((bumped[0] - bumped[1]) / (2 * bump), rel=1e-6)


def test_contributions_add_up_to_the_requirement():
    figures = _figures({"BTC": 2.0, "ETH": -30.0, "EUR": 40.0}, _random_market(), risk_parameters(tail_fraction="0.2"))
    assert figures.contribution.sum() == pytest.approx(figures.market_requirement, rel=1e-12)


def test_a_hedge_contributes_less_than_nothing():
    market = a_revalued_market(
        Revalued(coin("BTC"), 100.0, {"BTC": [-10, 5, -20, 10]}), Revalued(perpetual("PERP"), 100.0, {"BTC": [-9, 5, -18, 9]})
    )
    result = compute_margin(a_portfolio({"BTC": 2, "PERP": -1}), market, risk_parameters(tail_fraction="0.5"))
    assert {line.instrument_id: line.amount for line in result.contributions} == {"BTC": Decimal(30), "PERP": Decimal("-13.5")}


def test_a_tail_that_is_a_gain_contributes_nothing():
    market = a_revalued_market(Revalued(coin("BTC"), 100.0, {"BTC": [1, 2, 3, 4]}), Revalued(coin("ETH"), 10.0, {"ETH": [-1, 2, -3, 4]}))
    figures = _figures({"BTC": 1.0, "ETH": 1.0}, market, risk_parameters(tail_fraction="0.5"))
    # BTC's own tail is floored at zero; what is left comes from the account as a whole.
    assert figures.contribution.sum() == pytest.approx(figures.market_requirement)
    assert figures.group_requirement.tolist() == [0.0, 2.0]


@pytest.mark.parametrize(
    ("amounts", "total", "cents"),
    [
        ([0.104, 0.106, -0.05, 0.0], 17, [11, 11, -5, 0]),
        ([1 / 3, 1 / 3, 1 / 3], 100, [34, 33, 33]),
        ([4.999999999999, -3.000000000001, 3.5, -2.0], 350, [500, -300, 350, -200]),
        ([0.0, 0.0], 0, [0, 0]),
        ([0.0, 0.01], 2, [0, 2]),
        ([], 0, []),
        ([0.001, 0.001], 1, [1, 0]),
        ([2.0, 3.0], 498, [199, 299]),
    ],
)
def test_amounts_are_rounded_so_that_they_add_up(amounts, total, cents):
    assert round_to_total(np.array(amounts), total) == cents
    assert sum(cents) == total


def test_the_ten_worst_scenarios_come_worst_first_and_of_equals_the_earlier():
    pnl = np.array([3.0, -2.0, -7.0, -2.0, 0.0, 1.0, 5.0, -7.0, 9.0, 8.0, -1.005, 4.0])
    worst = worst_scenarios(pnl, a_scenario_set(12, stress_count=3), scale=10.0)
    assert [line.name for line in worst] == [
        *("move 2", "move 7", "move 1", "move 3", "event 1", "move 4", "move 5", "move 0", "event 2", "move 6")
    ]
    assert [line.is_stress for line in worst] == [False] * 4 + [True] + [False] * 3 + [True, False]
    assert worst[4].pnl == Decimal("-1.01")


def test_a_worst_scenario_carries_its_weight():
    worst = worst_scenarios(np.array([1.0, -1.0]), a_scenario_set(2, weights=[0.75, 0.25], stress_count=1), scale=1.0)
    seen = [(line.name, line.weight, line.is_stress) for line in worst]
    assert seen == [("event 0", Decimal("0.25"), True), ("move 0", Decimal("0.75"), False)]


def _random_market(seed=7):
    print(f"seed {seed}")
    pnl = np.random.default_rng(seed).normal(size=(5, 60))
    return a_revalued_market(
        Revalued(coin("BTC"), 100.0, {"BTC": 10 * pnl[0]}),
        Revalued(coin("ETH"), 10.0, {"ETH": pnl[1]}),
        Revalued(cash("EUR", collateral_class="G10-CASH"), 1.2, {"EURUSD": 0.1 * pnl[2]}),
        Revalued(perpetual("BTC-EUR", settlement="EUR"), 100.0, {"BTC": 10 * pnl[0] + pnl[3], "EURUSD": 8 * pnl[2]}),
        groups=GROUPS,
    )


def _figures(held, market, parameters):
    portfolio = a_portfolio({name: repr(quantity) for name, quantity in held.items()})
    rates = margin_rates(parameters, portfolio.mode)
    return margin_figures(portfolio_arrays(portfolio, market), market, rates, haircut_rates(parameters))
