"""The validation's own option formula, against QuantLib and against itself."""

from __future__ import annotations

import pytest
import QuantLib as ql  # noqa: N813 - the name everybody uses

from crossmargin.domain.instrument import OptionRight
from tests.validation.black76 import bounds, coin_price, implied_volatility


@pytest.mark.parametrize("right", list(OptionRight))
@pytest.mark.parametrize("strike", [1500.0, 2200.0, 3100.0])
def test_the_price_is_the_library_price_over_the_forward(right, strike):
    kind = ql.Option.Call if right is OptionRight.CALL else ql.Option.Put
    expected = ql.blackFormula(kind, strike, 2240.0, 0.62 * 0.3**0.5) / 2240.0
    assert coin_price(right, forward=2240.0, strike=strike, years=0.3, volatility=0.62) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("right", list(OptionRight))
def test_the_volatility_comes_back_from_the_price(right):
    price = coin_price(right, forward=2240.0, strike=2500.0, years=0.2, volatility=0.8)
    assert implied_volatility(right, price, forward=2240.0, strike=2500.0, years=0.2) == pytest.approx(0.8, abs=1e-12)


@pytest.mark.parametrize(
    ("right", "price"), [(OptionRight.CALL, 0.0), (OptionRight.CALL, 1.0), (OptionRight.PUT, 0.11), (OptionRight.PUT, 1.2)]
)
def test_no_volatility_explains_a_price_outside_the_bounds(right, price):
    assert implied_volatility(right, price, forward=2240.0, strike=2500.0, years=0.2) is None


def test_without_time_an_option_is_worth_its_lower_bound():
    assert (
        coin_price(OptionRight.PUT, forward=2000.0, strike=2500.0, years=0.0, volatility=0.8)
        == bounds(OptionRight.PUT, forward=2000.0, strike=2500.0)[0]
    )
