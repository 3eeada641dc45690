"""Compiled discount factors beside those of numpy."""

from __future__ import annotations

import numpy as np
import pytest

from crossmargin.engine.kernels import discount_factors, discount_factors_numba

NODES, STATES = 6, 77


def a_curve(seed: int, times: int = 90):
    random = np.random.default_rng(seed)
    lower = random.integers(0, NODES - 1, times)
    return {
        "years": random.uniform(0, 40, times) * (random.random(times) > 0.1),
        "levels": random.normal(0.02, 0.05, times),
        "moves": random.standard_t(3, (NODES, STATES)) * 0.02,
        "lower": lower,
        "upper": lower + random.integers(0, 2, times),
        "share": random.random(times),
    }


def both(curve):
    with np.errstate(all="ignore"):
        return discount_factors.discount_factors(**curve), discount_factors_numba.discount_factors(**curve)


def at_exponents(exponents):
    """Exactly these exponents: one year, and rates that are their negatives."""
    zero = np.zeros(len(exponents), dtype=np.int64)
    return {
        "years": np.ones(len(exponents)),
        "levels": -np.asarray(exponents),
        "moves": np.zeros((1, 1)),
        "lower": zero,
        "upper": zero,
        "share": zero * 0.0,
    }


@pytest.mark.parametrize("seed", range(10))
def test_random_curves_agree_with_negative_rates_among_them(seed):
    reference, compiled = both(a_curve(seed))
    np.testing.assert_allclose(compiled, reference, rtol=1e-15)


def test_the_exponential_is_right_to_the_last_bits_over_its_whole_range():
    exponents = np.concatenate((np.linspace(-708, 709, 20_011), np.linspace(-1, 1, 20_001), [0.0, -0.0, 5e-324, 1e-17, -1e-17]))
    reference, compiled = both(at_exponents(exponents))
    np.testing.assert_allclose(compiled, reference, rtol=5e-16)
    assert both(at_exponents([0.0]))[1] == 1.0


def test_beyond_a_double_it_is_nothing_or_infinite_and_nan_stays_nan():
    compiled = both(at_exponents([-709.0, -1e300, -np.inf, 710.0, 1e300, np.inf, np.nan]))[1][:, 0]
    assert compiled[:3].tolist() == [0.0, 0.0, 0.0]
    assert compiled[3:6].tolist() == [np.inf, np.inf, np.inf]
    assert np.isnan(compiled[6])


def test_a_factor_has_the_same_bits_wherever_it_stands():
    curve = a_curve(4)
    whole = both(curve)[1]
    for count in (1, 7, 8, 33):
        assert both({**curve, "moves": curve["moves"][:, :count]})[1].tobytes() == np.ascontiguousarray(whole[:, :count]).tobytes()
    part = {name: curve[name][10:13] for name in ("years", "levels", "lower", "upper", "share")}
    assert both({**curve, **part})[1].tobytes() == whole[10:13].tobytes()
