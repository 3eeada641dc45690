"""Paper with credit: what rates do and what the credit does on top are legs of their own."""

from datetime import date

import numpy as np
import pytest

from tests.unit.engine.revaluation.markets import ASSETS, a_bill, a_bond, a_snapshot, legs_of, revalue, total_of, unit_value_of

MATURITY = date(2027, 3, 2)
YEARS = 365 / 365 - (8.5 / 24) / 365
WIDER = {"spread:IG-A:1Y": 0.01, "spread:IG-A:10Y": 0.01}
HIGHER = {f"zero:USD:{tenor}": 0.01 for tenor in ("1M", "1Y", "5Y", "30Y")}


def a_market(*moves, marks=None):
    held = [a_bill("PAPER", maturity=MATURITY, credit="IG-A"), a_bill("GOVERNMENT", maturity=MATURITY), a_bond("BOND", credit="IG-A")]
    snapshot = a_snapshot(marks=marks)
    return revalue([*ASSETS, *held], snapshot, *moves)


def test_one_payment_is_discounted_at_rate_and_spread():
    market = a_market({})
    rate, spread = 0.039 + (0.041 - 0.039) * (1 - YEARS) / (1 - 1 / 12), 0.006
    assert unit_value_of(market, "PAPER") == pytest.approx(np.exp(-(rate + spread) * YEARS), rel=1e-12)


def test_the_credit_has_the_move_of_the_spread_and_rates_that_of_the_rate_and_nothing_is_counted_twice():
    market = a_market(WIDER, HIGHER, WIDER | HIGHER)
    legs, value = legs_of(market, "PAPER"), unit_value_of(market, "PAPER")
    fall = np.exp(-0.01 * YEARS) - 1
    assert set(legs) == {"USD-RATES", "IG-A"}
    assert legs["IG-A"] == pytest.approx(value * np.array([fall, 0, fall * (1 + fall)]), rel=1e-9, abs=1e-15)
    assert legs["USD-RATES"] == pytest.approx(value * np.array([0, fall, fall]), rel=1e-9, abs=1e-15)
    assert total_of(market, "PAPER")[2] == pytest.approx(value * (np.exp(-0.02 * YEARS) - 1), rel=1e-12)


def test_government_paper_hedges_the_rates_and_leaves_the_credit():
    market = a_market(HIGHER, WIDER)
    paper, government = legs_of(market, "PAPER"), legs_of(market, "GOVERNMENT")
    ratio = unit_value_of(market, "PAPER") / unit_value_of(market, "GOVERNMENT")
    assert paper["USD-RATES"] == pytest.approx(ratio * government["USD-RATES"], rel=1e-12, abs=1e-15)
    assert set(government) == {"USD-RATES"}


@pytest.mark.parametrize("name", ["PAPER", "BOND"])
def test_a_mark_is_met_and_its_own_spread_stays_when_the_curve_of_spreads_moves(name):
    market = a_market(WIDER, marks={"PAPER": "90", "BOND": "80"})
    assert unit_value_of(market, name) == pytest.approx({"PAPER": 0.9, "BOND": 0.8}[name], rel=1e-12)
    assert total_of(market, name)[0] < 0
    if name == "PAPER":
        assert total_of(market, name)[0] == pytest.approx(0.9 * (np.exp(-0.01 * YEARS) - 1), rel=1e-12)


def test_a_market_without_the_spreads_cannot_value_it_and_says_which_are_missing():
    market = revalue([*ASSETS, a_bond("BOND", credit="HY")], a_snapshot(), {})
    assert "spread:HY" in market.unavailable["BOND"].message
