"""Black's formula at its limits, and its inverse."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from crossmargin.engine.kernels.black76 import black76, implied_total_volatility

FORWARDS = np.array([1e-6, 0.5, 99.0, 100.0, 101.0, 250.0, 1e9])
STRIKE = 100.0


def test_it_is_the_formula_as_printed():
    total = 0.35
    d1 = np.log(FORWARDS / STRIKE) / total + total / 2
    call = FORWARDS * norm.cdf(d1) - STRIKE * norm.cdf(d1 - total)
    put = STRIKE * norm.cdf(total - d1) - FORWARDS * norm.cdf(-d1)
    np.testing.assert_allclose(black76(forward=FORWARDS, strike=STRIKE, total_volatility=total, sign=1.0), call, rtol=1e-12)
    np.testing.assert_allclose(black76(forward=FORWARDS, strike=STRIKE, total_volatility=total, sign=-1.0), put, rtol=1e-12)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_without_volatility_it_is_intrinsic_value(sign):
    prices = black76(forward=FORWARDS, strike=STRIKE, total_volatility=0.0, sign=sign)
    np.testing.assert_array_equal(prices, np.maximum(sign * (FORWARDS - STRIKE), 0.0))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_with_boundless_volatility_it_is_the_upper_bound(sign):
    prices = black76(forward=FORWARDS, strike=STRIKE, total_volatility=100.0, sign=sign)
    np.testing.assert_allclose(prices, FORWARDS if sign > 0 else np.full_like(FORWARDS, STRIKE), rtol=1e-15)


def test_a_forward_of_zero_makes_a_call_worthless_and_a_put_its_strike():
    with np.errstate(divide="ignore"):
        assert black76(forward=0.0, strike=STRIKE, total_volatility=0.5, sign=1.0) == 0.0
        assert black76(forward=0.0, strike=STRIKE, total_volatility=0.5, sign=-1.0) == STRIKE


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("total", [1e-4, 0.01, 0.3, 2.0, 6.0])
def test_the_implied_volatility_gives_the_price_back(sign, total):
    # Some ten times the rounding of a price of the size of forward plus strike.
    forwards = np.array([60.0, 90.0, 99.99, 100.0, 100.01, 110.0, 160.0])
    prices = black76(forward=forwards, strike=STRIKE, total_volatility=total, sign=sign)
    implied = implied_total_volatility(price=prices, forward=forwards, strike=STRIKE, sign=sign)
    again = black76(forward=forwards, strike=STRIKE, total_volatility=implied, sign=sign)
    np.testing.assert_allclose(again, prices, rtol=0, atol=5e-13)
    assert implied[3] == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize(
    ("price", "forward", "sign"),
    [(9.0, 110.0, 1.0), (10.0, 110.0, 1.0), (110.0, 110.0, 1.0), (-1.0, 90.0, 1.0), (9.0, 90.0, -1.0), (101.0, 90.0, -1.0)],
)
def test_a_price_outside_the_bounds_has_no_volatility(price, forward, sign):
    assert implied_total_volatility(price=price, forward=forward, strike=STRIKE, sign=sign) == 0.0


def test_a_far_price_of_almost_nothing_is_inverted_to_the_last_digits():
    price = black76(forward=100.0, strike=250.0, total_volatility=0.1, sign=1.0)
    assert 0.0 < price < 1e-18
    assert implied_total_volatility(price=price, forward=100.0, strike=250.0, sign=1.0) == pytest.approx(0.1, rel=1e-12)
