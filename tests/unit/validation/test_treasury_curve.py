"""The bootstrap of the par curve: par instruments are worth 100, and the rates are the ones a calculator gives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.validation.treasury_curve import PAR_ERROR_LIMIT, PAR_TENORS, PAR_YEARS, bootstrap_zero_rates, par_bond_prices

MADE_UP_YIELDS = np.array(
    [
        [0.050, 0.049, 0.047, 0.042, 0.040, 0.039, 0.0395, 0.040, 0.043, 0.042],
        [0.0005, 0.001, 0.002, 0.004, 0.007, 0.012, 0.016, 0.019, 0.025, 0.028],
        [-0.002, -0.001, 0.0, 0.001, 0.001, 0.002, 0.003, 0.004, 0.006, 0.008],
    ]
)


def test_par_instruments_of_every_tenor_and_day_are_worth_a_hundred():
    prices = par_bond_prices(bootstrap_zero_rates(MADE_UP_YIELDS), MADE_UP_YIELDS)
    assert prices.shape == (3, len(PAR_TENORS))
    assert np.abs(prices - 100.0).max() < PAR_ERROR_LIMIT


def test_a_wrong_rate_is_seen_in_the_price():
    """The check of the bootstrap can fail: one basis point on the ten-year node is worth about eight cents."""
    rates = bootstrap_zero_rates(MADE_UP_YIELDS)
    rates[0, PAR_TENORS.index("10Y")] += 1e-4
    prices = par_bond_prices(rates, MADE_UP_YIELDS)
    assert abs(prices[0, PAR_TENORS.index("10Y")] - 100.0) > 0.05
    assert abs(prices[0, PAR_TENORS.index("5Y")] - 100.0) < PAR_ERROR_LIMIT


def test_up_to_half_a_year_the_yield_is_simple():
    rates = bootstrap_zero_rates(MADE_UP_YIELDS)
    assert rates[0, 0] == pytest.approx(math.log(1 + 0.050 * 0.25) / 0.25, abs=1e-15)
    assert rates[0, 1] == pytest.approx(math.log(1 + 0.049 * 0.5) / 0.5, abs=1e-15)


def test_the_one_year_rate_strips_the_coupon_at_half_a_year():
    rates = bootstrap_zero_rates(MADE_UP_YIELDS)
    half_year_factor = 1 / (1 + 0.049 / 2)
    one_year_factor = (1 - 0.047 / 2 * half_year_factor) / (1 + 0.047 / 2)
    assert rates[0, 2] == pytest.approx(-math.log(one_year_factor), abs=1e-13)


def test_a_flat_par_curve_is_a_flat_zero_curve():
    flat = np.full((1, len(PAR_YEARS)), 0.04)
    rates = bootstrap_zero_rates(flat)
    assert rates[0, 1:] == pytest.approx(2 * math.log(1.02), abs=1e-12)
