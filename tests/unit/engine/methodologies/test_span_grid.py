from dataclasses import fields, replace

import numpy as np
import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.engine.kernels.black76 import black76
from crossmargin.engine.methodologies.largest_loss import largest_losses
from crossmargin.engine.methodologies.span_grid import POINT_COUNT, POINT_NAMES, risk_arrays, scan_risks, span_grid
from tests.unit.engine.methodologies.shipped_parameters import SPAN_GRID

SPOT, STRIKE, TOTAL_VOLATILITY = 100.0, 105.0, 0.2


def future(price_move, volatility_move):
    return (SPOT * (1 + price_move))[np.newaxis] + 0.0 * volatility_move


def call(price_move, volatility_move):
    total = TOTAL_VOLATILITY * (1 + volatility_move)
    return black76(forward=SPOT * (1 + price_move), strike=STRIKE, total_volatility=total, sign=1.0)[np.newaxis]


def test_the_scenarios_come_in_the_standard_order():
    grid = span_grid(SPAN_GRID)
    thirds = [0, 0, 1, 1, -1, -1, 2, 2, -2, -2, 3, 3, -3, -3]
    assert grid.price_move == pytest.approx([third * 0.1 / 3 for third in thirds] + [0.2, -0.2], abs=1e-15)
    assert grid.volatility_move.tolist() == [0.25, -0.25] * 7 + [0.0, 0.0]
    assert grid.weight.tolist() == [1.0] * 14 + [0.35, 0.35]


def test_every_scenario_has_a_name_of_its_own():
    assert len(set(POINT_NAMES)) == POINT_COUNT == 16
    assert POINT_NAMES[0] == "price unchanged, volatility up"
    assert POINT_NAMES[5] == "price -1/3 of range, volatility down"
    assert POINT_NAMES[14:] == ("price extreme up", "price extreme down")


def test_a_future_gains_and_loses_in_proportion_and_its_extremes_count_in_part():
    pnl = risk_arrays(future, SPAN_GRID)[0]
    assert pnl[10:].tolist() == pytest.approx([10, 10, -10, -10, 7, -7])
    assert pnl[:2].tolist() == [0.0, 0.0]


def test_an_option_is_valued_anew_under_price_and_volatility_together():
    pnl = risk_arrays(call, SPAN_GRID)[0]
    now = black76(forward=SPOT, strike=STRIKE, total_volatility=0.2, sign=1.0)
    assert pnl[12] == pytest.approx(black76(forward=90.0, strike=STRIKE, total_volatility=0.25, sign=1.0) - now, rel=1e-12)
    assert pnl[13] == pytest.approx(black76(forward=90.0, strike=STRIKE, total_volatility=0.15, sign=1.0) - now, rel=1e-12)
    assert pnl[14] == pytest.approx(0.35 * (black76(forward=120.0, strike=STRIKE, total_volatility=0.2, sign=1.0) - now), rel=1e-12)


def test_what_gains_in_every_scenario_needs_nothing():
    risks = scan_risks(np.full((1, 16), 5.0))
    assert risks.tolist() == [0.0]
    assert not np.signbit(risks).any()


def test_groups_are_measured_apart():
    pnl = np.zeros((2, 16))
    pnl[0, 3], pnl[1, 7] = -4.0, -9.0
    assert scan_risks(pnl).tolist() == [4.0, 9.0]


def test_another_number_of_scenarios_is_no_risk_array():
    with pytest.raises(ValueError, match="15 scenarios"):
        scan_risks(np.zeros((1, 15)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_profit_that_is_no_number_never_becomes_a_requirement(bad):
    with pytest.raises(FloatingPointError):
        largest_losses(np.array([[1.0, bad]]))


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("price_scan_fraction", 0.05, 0.2),
        ("volatility_scan_fraction", 0.0, 0.9),
        ("extreme_multiple", 1.5, 3),
        ("cover_fraction", 0.0, 1.0),
    ],
)
def test_every_parameter_moves_the_result(name, low, high):
    results = [risk_arrays(call, replace(SPAN_GRID, **{name: value})) for value in (low, high)]
    assert not np.allclose(*results)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("price_scan_fraction", 0.0),
        ("price_scan_fraction", 0.5),
        ("volatility_scan_fraction", -0.1),
        ("volatility_scan_fraction", 1.0),
        ("extreme_multiple", 1.0),
        ("extreme_multiple", 10.0),
        ("cover_fraction", -0.01),
        ("cover_fraction", 1.01),
        *((field.name, float("nan")) for field in fields(SPAN_GRID)),
    ],
)
def test_parameters_that_make_no_sense_are_refused(name, value):
    with pytest.raises(DomainError) as caught:
        replace(SPAN_GRID, **{name: value})
    assert caught.value.reason is Reason.INVALID_RISK_PARAMETERS
    assert name in caught.value.facts["field"]
