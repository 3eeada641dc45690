"""Compiled option prices beside those of numpy: the same to 1e-12, at every extreme, and the same bits wherever a price stands."""

from __future__ import annotations

import numpy as np
import pytest

from crossmargin.engine.kernels import option_prices, option_prices_numba

CLOSE = 1e-12  # of the price where an option is worth something, of forward or strike where it is worth next to nothing
NOTHING = np.nan


def a_chain(seed: int, options: int = 40, states: int = 67):
    random = np.random.default_rng(seed)
    level = 10.0 ** random.uniform(-6, 9)
    forward = level * np.exp(random.standard_t(3, states) * 0.1)
    return {
        "forward": forward,
        "unit": np.exp(random.normal(0, 0.1, states)),
        "ratio": np.exp(random.standard_t(4, states) * 0.2),
        "strike": level * np.exp(random.normal(0, 1.5, options)),
        "sign": random.choice([-1.0, 1.0], options),
        "own": 10.0 ** random.uniform(-6, 1.5, options),
        "mark": np.where(random.random(options) < 0.3, level * random.random(options), NOTHING),
    }


def an_option(*, forward, strike=100.0, own=0.2, sign=1.0, mark=NOTHING, unit=1.0, ratio=1.0):
    forward, unit, ratio = (np.array(each, dtype=np.float64) for each in np.broadcast_arrays(np.atleast_1d(forward), unit, ratio))
    options = {"strike": strike, "sign": sign, "own": own, "mark": mark}
    return {"forward": forward, "unit": unit, "ratio": ratio, **{name: np.array([each]) for name, each in options.items()}}


def both(chain):
    with np.errstate(all="ignore"):
        return option_prices.option_prices(**chain), option_prices_numba.option_prices(**chain)


def assert_agree(chain):
    reference, compiled = both(chain)
    size = np.maximum(chain["forward"], chain["strike"][:, np.newaxis]) * chain["unit"]
    np.testing.assert_array_less(np.abs(compiled - reference), CLOSE * size + 1e-300)
    worth = reference > 1e-3 * size
    np.testing.assert_allclose(compiled[worth], reference[worth], rtol=CLOSE)


@pytest.mark.parametrize("seed", range(20))
def test_random_chains_agree(seed):
    assert_agree(a_chain(seed))


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("own", [0.0, 1e-300, 1e-9, 0.3, 12.0, 64.0, 1e6])
@pytest.mark.parametrize("strike", [1e-9, 60.0, 100.0, 140.0, 1e12])
def test_extremes_agree(sign, own, strike):
    assert_agree(an_option(forward=[1e-300, 1e-9, 99.999, 100.0, 100.001, 1e9, 1e300], strike=strike, own=own, sign=sign))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_option_out_of_the_money_keeps_its_digits(sign):
    """Its price is a difference of tails that are 1e-30 of the forward: relative to itself it is right to 1e-9."""
    chain = an_option(forward=100.0 * np.exp(-sign * np.linspace(0.5, 2.2, 50)), own=0.2, sign=sign)
    reference, compiled = both(chain)
    np.testing.assert_allclose(compiled, reference, rtol=1e-9)


def test_without_volatility_it_is_intrinsic_value_to_the_last_bit():
    forward = np.array([0.5, 99.0, 101.0, 250.0])
    for sign in (1.0, -1.0):
        (prices,) = both(an_option(forward=forward, own=0.0, sign=sign))[1]
        np.testing.assert_array_equal(prices, np.maximum(sign * (forward - 100.0), 0.0))


def test_a_mark_is_met_in_the_base_state_and_nothing_is_below_zero():
    chain = an_option(forward=[100.0, 50.0, 150.0], mark=0.001)
    (prices,) = both(chain)[1]
    assert prices[0] == pytest.approx(0.001, abs=1e-15)
    assert prices.min() == 0.0
    assert_agree(chain)


@pytest.mark.parametrize(
    "bad", [{"forward": -5.0}, {"forward": np.nan}, {"ratio": np.nan}, {"ratio": np.inf}, {"unit": np.nan}, {"own": np.nan}]
)
def test_what_has_no_price_gets_none_by_either(bad):
    """A price that is not finite is refused later; a number in its place would be margined."""
    reference, compiled = both(an_option(**{"forward": 100.0, **bad}))
    assert not np.isfinite(reference).any()
    assert not np.isfinite(compiled).any()


def test_a_price_has_the_same_bits_wherever_it_stands():
    chain = a_chain(3)
    whole = both(chain)[1]
    for count in (1, 2, 3, 8, 15, 66):
        states = {name: chain[name][:count] for name in ("forward", "unit", "ratio")}
        assert both({**chain, **states})[1].tobytes() == whole[:, :count].tobytes()
    some = {name: chain[name][5:12] for name in ("strike", "sign", "own", "mark")}
    assert both({**chain, **some})[1].tobytes() == whole[5:12].tobytes()
