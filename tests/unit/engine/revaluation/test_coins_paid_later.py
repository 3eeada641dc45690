"""Coins that are paid on a later day: forwards, non-deliverable forwards and bespoke payments, against arithmetic done by hand."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pytest

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import CashFlow, CashFlows
from crossmargin.engine.revaluation.valuation import BasisKind
from tests.builders import an_instrument
from tests.unit.engine.revaluation.markets import (
    AS_OF,
    ASSETS,
    GROUPS,
    a_forward,
    a_future,
    a_group,
    a_snapshot,
    an_ndf,
    legs_of,
    revalue,
    total_of,
    unit_value_of,
)

CLOSE = {"rel": 1e-11, "abs": 1e-8}
DAY = date(2026, 9, 1)
YEARS = (datetime(2026, 9, 1, tzinfo=UTC) - AS_OF).total_seconds() / (365 * 86_400)
ZERO = 0.041 + (0.039 - 0.041) * (YEARS - 1 / 12) / (1 - 1 / 12)
CARRY = 0.08 if YEARS >= 0.5 else 0.05 + 0.03 * (YEARS - 1 / 12) / (0.5 - 1 / 12)
DISCOUNT = math.exp(-ZERO * YEARS)
SPOT = 60_000
COIN_FORWARD = a_forward(bought="BTC", sold="USD", rate=61_000, delivery=DAY)


def test_a_forward_on_a_coin_is_its_discounted_forward_price_less_the_rate():
    """The forward price is that of the future of the day: spot at the carry of its curve."""
    market = revalue([*ASSETS, COIN_FORWARD], a_snapshot(), {})
    forward_price = SPOT * math.exp(CARRY * YEARS)
    assert unit_value_of(market, "FORWARD") == pytest.approx(DISCOUNT * (forward_price - 61_000), **CLOSE)


def test_carry_belongs_to_the_coin_and_rates_to_the_dollar():
    moves = {"spot:BTC": -0.2, "basis:BTC:1M": 0.1, "basis:BTC:6M": 0.1, "zero:USD:1M": 0.01, "zero:USD:1Y": 0.01}
    legs = legs_of(revalue([*ASSETS, COIN_FORWARD], a_snapshot(), moves), "FORWARD")
    coins, spot = math.exp(CARRY * YEARS) * DISCOUNT, SPOT * math.exp(-0.2)
    carried = coins * math.exp(0.1 * YEARS)
    later = math.exp(-0.01 * YEARS) - 1
    assert legs == {
        "BTC": pytest.approx([carried * spot - coins * SPOT], **CLOSE),
        "USD-RATES": pytest.approx([carried * later * spot - 61_000 * DISCOUNT * later], **CLOSE),
    }


def test_a_coin_and_the_dollars_it_costs_later_are_one_exposure_to_each():
    market = revalue([*ASSETS, COIN_FORWARD], a_snapshot(), {})
    row = market.row_of[InstrumentId("FORWARD")]
    legs = slice(market.first_leg[row], market.first_leg[row + 1])
    exposure = dict(zip([market.groups[group] for group in market.leg_group[legs]], market.leg_exposure[legs], strict=True))
    coins = SPOT * math.exp(CARRY * YEARS) * DISCOUNT
    assert exposure == {"BTC": pytest.approx(coins), "USD-RATES": pytest.approx(coins - 61_000 * DISCOUNT)}


def test_the_future_of_the_day_hedges_a_forward_to_the_last_cent_while_rates_stand_still():
    future = a_future("SAME-DAY", expiry=datetime(2026, 9, 1, tzinfo=UTC))
    moves = [{"spot:BTC": -0.4, "basis:BTC:1M": 0.2, "basis:BTC:6M": -0.1}, {"spot:BTC": 0.3, "basis:BTC:6M": 0.3}]
    market = revalue([*ASSETS, COIN_FORWARD, future], a_snapshot(), *moves)
    assert total_of(market, "FORWARD") == pytest.approx(DISCOUNT * total_of(market, "SAME-DAY"), **CLOSE)


def test_without_carry_the_forward_price_is_spot_and_its_basis_is_charged():
    market = revalue([*ASSETS, COIN_FORWARD], a_snapshot(without=["basis:"]), {"spot:BTC": 0.1})
    assert unit_value_of(market, "FORWARD") == pytest.approx(DISCOUNT * (SPOT - 61_000), **CLOSE)
    assert total_of(market, "FORWARD") == pytest.approx([DISCOUNT * SPOT * math.expm1(0.1)], **CLOSE)
    carried = revalue([*ASSETS, COIN_FORWARD], a_snapshot(), {})
    kinds = [each.basis_kind[each.row_of[InstrumentId("FORWARD")]] for each in (market, carried)]
    assert kinds == [BasisKind.DATED, BasisKind.FACTORED]


def test_a_coin_with_a_zero_curve_of_its_own_is_discounted_on_it():
    groups = [*GROUPS, a_group("BTC-RATES", "CRYPTO", ["zero:BTC"])]
    market = revalue([*ASSETS, COIN_FORWARD], a_snapshot({"zero:BTC:1Y": "0.03"}), {}, offset_groups=groups)
    expected = SPOT * math.exp(-0.03 * YEARS) - 61_000 * DISCOUNT
    assert unit_value_of(market, "FORWARD") == pytest.approx(expected, **CLOSE)


@pytest.mark.parametrize(
    "other",
    [
        an_ndf("OTHER", bought="BTC", rate=61_000, payment=DAY),
        an_instrument(
            "OTHER",
            CashFlows(
                InstrumentId("USD"),
                (CashFlow(InstrumentId("BTC"), Decimal(1), DAY), CashFlow(InstrumentId("USD"), Decimal(-61_000), DAY)),
            ),
        ),
    ],
    ids=["non-deliverable", "payments"],
)
def test_the_same_payments_are_worth_the_same_however_they_are_called(other):
    moves = {"spot:BTC": -0.2, "basis:BTC:6M": 0.1, "zero:USD:1M": 0.01}
    market = revalue([*ASSETS, COIN_FORWARD, other], a_snapshot(), moves)
    assert unit_value_of(market, "OTHER") == pytest.approx(unit_value_of(market, "FORWARD"), **CLOSE)
    for group, pnl in legs_of(market, "FORWARD").items():
        assert legs_of(market, "OTHER")[group] == pytest.approx(np.asarray(pnl), **CLOSE)


def test_on_its_day_a_coin_is_a_coin():
    today = a_forward(bought="BTC", sold="USD", rate=61_000, delivery=AS_OF.date())
    market = revalue([*ASSETS, today], a_snapshot(), {"basis:BTC:1M": 0.5, "zero:USD:1M": 0.1})
    assert unit_value_of(market, today.instrument_id) == pytest.approx(SPOT - 61_000)
    assert total_of(market, today.instrument_id) == pytest.approx([0.0], abs=1e-9)


def test_a_coin_sold_for_another_currency_is_the_coin_bought_the_other_way_round():
    bought, sold = a_forward("IN", bought="BTC", sold="EUR", rate=50_000), a_forward("OUT", bought="EUR", sold="BTC", rate="0.00002")
    market = revalue([*ASSETS, bought, sold], a_snapshot(), {"spot:BTC": -0.2, "fx:EUR": 0.1, "zero:EUR:3M": 0.01, "zero:USD:1M": 0.01})
    assert unit_value_of(market, "IN") == pytest.approx(-50_000 * unit_value_of(market, "OUT"), **CLOSE)
    assert total_of(market, "IN") == pytest.approx(-50_000 * total_of(market, "OUT"), **CLOSE)
