"""Futures on what may be worth less than nothing: prices move by dollars, through zero."""

from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import DatedFuture, Payoff, check_trade_price, consideration
from tests.unit.engine.revaluation.markets import (
    AS_OF,
    ASSETS,
    a_delivery_future,
    a_future,
    a_snapshot,
    an_american_option,
    an_option,
    legs_of,
    revalue,
    unit_value_of,
)

FRONT = a_delivery_future("FRONT", expiry=AS_OF + timedelta(days=365 / 12))
BACK = a_delivery_future("BACK", expiry=AS_OF + timedelta(days=182.5))
CRASH = {"price:WTI:1M": -55.29, "price:WTI:6M": -4.60}


def a_market(*moves, marks=None):
    return revalue([*ASSETS, FRONT, BACK], a_snapshot(marks=marks), *moves)


def test_the_price_is_that_of_the_curve_and_may_be_below_zero():
    market = a_market({})
    assert unit_value_of(market, "FRONT") == pytest.approx(-5_000)
    assert unit_value_of(market, "BACK") == pytest.approx(25_000)


def test_a_fall_through_zero_loses_every_dollar_of_it():
    market = a_market(CRASH, marks={"FRONT": "18.31", "BACK": "25.03"})
    assert unit_value_of(market, "FRONT") == pytest.approx(18_310)
    assert legs_of(market, "FRONT") == {"WTI": pytest.approx([-55_290])}
    assert legs_of(market, "BACK") == {"WTI": pytest.approx([-4_600])}


def test_months_offset_barrel_for_barrel_in_exposure_however_their_prices_differ():
    market = a_market({})
    rows = [market.row_of[InstrumentId(name)] for name in ("FRONT", "BACK")]
    exposures = [market.leg_exposure[np.flatnonzero(market.leg_instrument == row)].tolist() for row in rows]
    assert exposures == [[25_000.0], [25_000.0]]


def test_it_trades_at_a_price_of_either_sign_and_nothing_else_does():
    assert check_trade_price(FRONT, Decimal("-37.63")) == Decimal("-37.63")
    assert consideration(FRONT, quantity=Decimal(2), price=Decimal("-37.63")) == Decimal("-75260.00")
    with pytest.raises(DomainError) as refused:
        check_trade_price(a_future(), Decimal(-1))
    assert refused.value.reason is Reason.INVALID_PRICE


def test_an_inverse_payoff_of_a_price_that_may_be_zero_is_refused():
    terms = FRONT.terms
    with pytest.raises(DomainError, match="linear"):
        DatedFuture(terms.underlying, terms.settlement, terms.multiplier, Payoff.INVERSE, terms.expiry, price_may_be_negative=True)


def test_a_level_below_zero_is_taken_of_a_price_and_refused_of_a_spot():
    assert a_snapshot({"price:WTI:1M": "-36.98"}).levels
    with pytest.raises(DomainError, match="spot:WTI"):
        a_snapshot({"spot:WTI": "-36.98"})


@pytest.mark.parametrize("build", [an_option, an_american_option])
def test_an_option_on_a_price_that_may_be_negative_is_refused_for_what_it_is(build):
    option = build("OIL", underlying="WTI", strike=20)
    market = revalue([*ASSETS, FRONT, option], a_snapshot(), {})
    assert set(market.unavailable) == {"OIL"}
    refused = market.unavailable[InstrumentId("OIL")]
    assert refused.reason is Reason.MISSING_RISK_FACTOR
    assert refused.message.startswith("OIL cannot be valued: WTI has no spot price, only prices for delivery, which may be below zero;")
