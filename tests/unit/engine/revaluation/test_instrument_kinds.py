"""The value and the legs of each kind of instrument, against arithmetic done by hand."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from scipy.stats import norm

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import OptionRight, Payoff, PremiumStyle
from crossmargin.engine.revaluation.fixed_rate_bond import coupon_days
from tests.builders import stablecoin
from tests.unit.engine.revaluation.markets import (
    AS_OF,
    ASSETS,
    EXPIRY,
    a_bill,
    a_bond,
    a_forward,
    a_future,
    a_perpetual,
    a_snapshot,
    an_option,
    legs_of,
    revalue,
    total_of,
    unit_value_of,
)

YEARS = 73 / 365
# Differences of amounts of the size of the notional: sixteen digits of it, a few lost.
CLOSE = {"rel": 1e-11, "abs": 1e-9}


def years_until(day: date) -> float:
    return (datetime(day.year, day.month, day.day, tzinfo=UTC) - AS_OF).total_seconds() / (365 * 86_400)


def black(forward: float, strike: float, sigma: float, years: float, sign: int) -> float:
    d1 = math.log(forward / strike) / (sigma * math.sqrt(years)) + sigma * math.sqrt(years) / 2
    d2 = d1 - sigma * math.sqrt(years)
    return sign * (forward * norm.cdf(sign * d1) - strike * norm.cdf(sign * d2))


def interpolated(low: float, high: float, low_years: float, high_years: float, years: float) -> float:
    return low + (high - low) * (years - low_years) / (high_years - low_years)


# Money and coins


def test_usd_has_a_row_and_no_leg():
    market = revalue(ASSETS, a_snapshot(), {"spot:BTC": -0.5})
    assert unit_value_of(market, "USD") == 1.0
    assert legs_of(market, "USD") == {}


def test_a_coin_gains_what_its_price_gains_in_its_own_group():
    market = revalue(ASSETS, a_snapshot(), {"spot:BTC": math.log(0.6)})
    assert legs_of(market, "BTC") == {"BTC": pytest.approx(np.array([-24_000.0]))}


def test_a_currency_follows_its_fx_factor_and_a_stablecoin_its_own_spot():
    market = revalue(ASSETS, a_snapshot(), {"fx:EUR": math.log(1.1), "spot:USDC": math.log(0.9)})
    assert legs_of(market, "EUR") == {"EUR": pytest.approx(np.array([0.11]))}
    assert legs_of(market, "USDC") == {"USDC": pytest.approx(np.array([-0.0999]))}


def test_a_marked_coin_is_worth_its_mark_and_moves_as_its_factor_does():
    market = revalue(ASSETS, a_snapshot(marks={"USDC": "0.95"}), {"spot:USDC": math.log(0.9)})
    assert unit_value_of(market, "USDC") == 0.95
    assert total_of(market, "USDC") == pytest.approx([-0.095])


# Perpetuals and futures


def test_a_linear_perpetual_moves_from_its_mark_by_the_return_of_spot():
    market = revalue([*ASSETS, a_perpetual(multiplier=2)], a_snapshot(marks={"PERP": 60_600}), {"spot:BTC": math.log(0.9)})
    assert unit_value_of(market, "PERP") == 2 * 60_600
    assert legs_of(market, "PERP") == {"BTC": pytest.approx(np.array([-2 * 6_060.0]))}


def test_a_perpetual_without_a_mark_is_worth_spot():
    assert unit_value_of(revalue([*ASSETS, a_perpetual()], a_snapshot(), {}), "PERP") == 60_000


def test_translation_of_a_contract_goes_to_the_group_of_what_it_settles_in():
    perpetual = a_perpetual(settlement="USDC")
    market = revalue([*ASSETS, perpetual], a_snapshot(), {"spot:BTC": math.log(1.1), "spot:USDC": math.log(0.9)})
    assert legs_of(market, "PERP") == {
        "BTC": pytest.approx(np.array([6_000 * 0.999 * 0.9])),
        "USDC": pytest.approx(np.array([60_000 * 0.999 * -0.1])),
    }


def test_local_and_translation_parts_in_one_group_are_one_leg():
    inverse = a_perpetual(settlement="BTC", payoff=Payoff.INVERSE, multiplier=100)
    market = revalue([*ASSETS, inverse], a_snapshot(marks={"PERP": 50_000}), {"spot:BTC": math.log(2)})
    assert unit_value_of(market, "PERP") == pytest.approx(-100 / 50_000 * 60_000)
    # -100/100,000 coins at 120,000 against -100/50,000 coins at 60,000: the dollar value does not move.
    assert list(legs_of(market, "PERP")) == ["BTC"]
    assert total_of(market, "PERP") == pytest.approx([0.0], abs=1e-9)
    assert np.count_nonzero(market.leg_instrument == market.row_of[InstrumentId("PERP")]) == 1


def test_a_future_is_spot_grown_at_the_carry_between_the_nodes():
    carry = interpolated(0.05, 0.08, 1 / 12, 0.5, YEARS)
    market = revalue([*ASSETS, a_future()], a_snapshot(), {"basis:BTC:1M": 0.01, "basis:BTC:6M": 0.03, "spot:BTC": 0.02})
    forward = 60_000 * math.exp(carry * YEARS)
    moved = forward * math.exp(0.02 + interpolated(0.01, 0.03, 1 / 12, 0.5, YEARS) * YEARS)
    assert unit_value_of(market, "FUTURE") == pytest.approx(forward, **CLOSE)
    assert total_of(market, "FUTURE") == pytest.approx([moved - forward], **CLOSE)


def test_a_marked_future_keeps_the_carry_its_nodes_leave_unexplained():
    market = revalue([*ASSETS, a_future()], a_snapshot(marks={"FUTURE": 62_000}), {"basis:BTC:1M": 0.01, "basis:BTC:6M": 0.01})
    assert unit_value_of(market, "FUTURE") == 62_000
    assert total_of(market, "FUTURE") == pytest.approx([62_000 * math.expm1(0.01 * YEARS)], **CLOSE)


# Options


def test_a_cash_paid_option_is_discounted_black_on_the_forward():
    carry = interpolated(0.05, 0.08, 1 / 12, 0.5, YEARS)
    sigma = interpolated(0.55, 0.65, 1 / 12, 0.5, YEARS)
    zero = interpolated(0.041, 0.039, 1 / 12, 1.0, YEARS)
    moves = {"spot:BTC": -0.1, "basis:BTC:1M": 0.01, "basis:BTC:6M": 0.01, "vol:BTC:1M": 0.3, "vol:BTC:6M": 0.3, "zero:USD:1M": 0.005}
    market = revalue([*ASSETS, an_option(multiplier=10)], a_snapshot(), moves)
    base = math.exp(-zero * YEARS) * black(60_000 * math.exp(carry * YEARS), 60_000, sigma, YEARS, 1)
    zero_moved = zero + interpolated(0.005, 0.0, 1 / 12, 1.0, YEARS)
    forward_moved = 60_000 * math.exp(-0.1 + (carry + 0.01) * YEARS)
    moved = math.exp(-zero_moved * YEARS) * black(forward_moved, 60_000, sigma * math.exp(0.3), YEARS, 1)
    assert unit_value_of(market, "OPTION") == pytest.approx(10 * base, **CLOSE)
    assert legs_of(market, "OPTION") == {"BTC": pytest.approx(np.array([10 * (moved - base)]), **CLOSE)}


def test_a_coin_settled_option_is_black_over_the_forward_at_the_coins_price():
    option = an_option(premium=PremiumStyle.COIN_SETTLED, right=OptionRight.PUT)
    market = revalue([*ASSETS, option], a_snapshot(without=["basis:"]), {"spot:BTC": math.log(0.8)})
    sigma = interpolated(0.55, 0.65, 1 / 12, 0.5, YEARS)
    base, moved = black(60_000, 60_000, sigma, YEARS, -1), black(48_000, 60_000, sigma, YEARS, -1)
    assert unit_value_of(market, "OPTION") == pytest.approx(base, **CLOSE)
    assert total_of(market, "OPTION") == pytest.approx([moved - base], **CLOSE)


def test_without_carry_nodes_the_forward_of_a_cash_paid_option_grows_at_the_zero_rate():
    market = revalue([*ASSETS, an_option()], a_snapshot(without=["basis:"]), {"zero:USD:1M": 0.01, "zero:USD:1Y": 0.01})
    zero = interpolated(0.041, 0.039, 1 / 12, 1.0, YEARS)
    sigma = interpolated(0.55, 0.65, 1 / 12, 0.5, YEARS)

    def price(rate: float) -> float:
        return math.exp(-rate * YEARS) * black(60_000 * math.exp(rate * YEARS), 60_000, sigma, YEARS, 1)

    assert unit_value_of(market, "OPTION") == pytest.approx(price(zero), **CLOSE)
    assert total_of(market, "OPTION") == pytest.approx([price(zero + 0.01) - price(zero)], **CLOSE)


def test_a_coin_settled_option_grows_at_no_rate_even_if_the_coin_has_a_curve():
    option = an_option(premium=PremiumStyle.COIN_SETTLED)
    plain, with_curve = (a_snapshot(rates, without=["basis:"]) for rates in ({}, {"zero:BTC:1Y": "0.05"}))
    assert unit_value_of(revalue([*ASSETS, option], with_curve, {}), "OPTION") == unit_value_of(
        revalue([*ASSETS, option], plain, {}), "OPTION"
    )


def test_without_a_zero_curve_a_cash_paid_option_is_not_discounted():
    market = revalue([*ASSETS, an_option()], a_snapshot(without=["basis:", "zero:"]), {})
    assert unit_value_of(market, "OPTION") == pytest.approx(
        black(60_000, 60_000, interpolated(0.55, 0.65, 1 / 12, 0.5, YEARS), YEARS, 1), **CLOSE
    )


def test_a_marked_option_keeps_the_ratio_of_its_own_volatility_to_the_surface():
    mark = 60_000 * black(1.0, 1.25, 0.9, YEARS, 1)  # its own volatility is 90%, the surface's some 58%
    option = an_option(strike=75_000)
    snapshot = a_snapshot(without=["basis:", "zero:"], marks={"OPTION": f"{mark:.12f}"})
    market = revalue([*ASSETS, option], snapshot, {"vol:BTC:1M": 0.5, "vol:BTC:6M": 0.5})
    moved = 60_000 * black(1.0, 1.25, 0.9 * math.exp(0.5), YEARS, 1)
    assert total_of(market, "OPTION") == pytest.approx([moved - mark], rel=1e-9)


@pytest.mark.parametrize(("right", "strike", "mark"), [("call", 50_000, 9_000), ("put", 70_000, 9_999), ("call", 50_000, 61_000)])
def test_a_mark_no_volatility_explains_is_intrinsic_plus_a_fixed_price(right, strike, mark):
    option = an_option(right=OptionRight(right), strike=strike)
    snapshot = a_snapshot(without=["basis:", "zero:"], marks={"OPTION": mark})
    market = revalue([*ASSETS, option], snapshot, {"spot:BTC": 0.01}, {"vol:BTC:1M": 0.5, "vol:BTC:6M": 0.5})
    sign = 1 if right == "call" else -1
    assert unit_value_of(market, "OPTION") == mark
    assert total_of(market, "OPTION") == pytest.approx([sign * 60_000 * math.expm1(0.01), 0.0])


# FX forwards


def test_a_forward_has_a_rate_and_a_price_leg_in_each_currency_and_no_price_leg_in_dollars():
    day = date(2026, 9, 1)
    years = years_until(day)
    zero = interpolated(0.041, 0.039, 1 / 12, 1.0, years)
    euro_zero = interpolated(0.02, 0.028, 0.25, 10.0, years)
    moves = {"fx:EUR": 0.05, "zero:USD:1M": 0.01, "zero:USD:1Y": 0.01, "zero:EUR:3M": -0.02, "zero:EUR:10Y": -0.02}
    market = revalue([*ASSETS, a_forward(delivery=day)], a_snapshot(), moves)
    discount, euro_discount = math.exp(-zero * years), math.exp(-euro_zero * years)
    assert unit_value_of(market, "FORWARD") == pytest.approx(1.1 * euro_discount - 1.12 * discount, **CLOSE)
    assert legs_of(market, "FORWARD") == {
        "EUR": pytest.approx(np.array([euro_discount * 1.1 * math.expm1(0.05)]), **CLOSE),
        "EUR-RATES": pytest.approx(np.array([euro_discount * math.expm1(0.02 * years) * 1.1 * math.exp(0.05)]), **CLOSE),
        "USD-RATES": pytest.approx(np.array([-1.12 * discount * math.expm1(-0.01 * years)]), **CLOSE),
    }


def test_a_marked_forward_keeps_what_the_curves_leave_unexplained_in_the_currency_sold():
    snapshot = a_snapshot(marks={"FORWARD": "0.07"})
    market = revalue([*ASSETS, a_forward(sold="GBP", rate="0.85")], snapshot, {"fx:GBP": 0.1}, {"fx:EUR": 0.1})
    plain = revalue([*ASSETS, a_forward(sold="GBP", rate="0.85")], a_snapshot(), {"fx:GBP": 0.1}, {"fx:EUR": 0.1})
    assert unit_value_of(market, "FORWARD") == pytest.approx(0.07 * 1.3, **CLOSE)
    residual = 0.07 - unit_value_of(plain, "FORWARD") / 1.3
    expected = total_of(plain, "FORWARD") + np.array([residual * 1.3 * math.expm1(0.1), 0.0])
    assert total_of(market, "FORWARD") == pytest.approx(expected, **CLOSE)


def test_on_its_delivery_day_a_forward_is_an_exchange_of_cash():
    market = revalue([*ASSETS, a_forward(delivery=AS_OF.date())], a_snapshot(), {"zero:USD:1M": 0.05, "fx:EUR": math.log(1.1)})
    assert unit_value_of(market, "FORWARD") == pytest.approx(1.1 - 1.12)
    assert total_of(market, "FORWARD") == pytest.approx([0.11])


# Bills and bonds


def test_a_bill_is_its_discounted_face():
    years = years_until(date(2026, 9, 1))
    market = revalue([*ASSETS, a_bill()], a_snapshot(), {"zero:USD:1M": 0.01, "zero:USD:1Y": 0.02})
    zero = interpolated(0.041, 0.039, 1 / 12, 1.0, years)
    base = math.exp(-zero * years)
    moved = math.exp(-(zero + interpolated(0.01, 0.02, 1 / 12, 1.0, years)) * years)
    assert unit_value_of(market, "BILL") == pytest.approx(base, rel=1e-14)
    assert legs_of(market, "BILL") == {"USD-RATES": pytest.approx(np.array([moved - base]), **CLOSE)}


def test_curves_are_flat_beyond_their_ends():
    early, late = date(2026, 3, 9), date(2066, 3, 1)
    bills = [a_bill("EARLY", maturity=early), a_bill("LATE", maturity=late)]
    market = revalue([*ASSETS, *bills], a_snapshot(), {"zero:USD:1M": 0.01}, {"zero:USD:30Y": 0.01})
    for name, day, rate, move in (("EARLY", early, 0.041, [-0.01, 0.0]), ("LATE", late, 0.046, [0.0, -0.01])):
        base = math.exp(-rate * years_until(day))
        assert unit_value_of(market, name) == pytest.approx(base, rel=1e-13)
        assert total_of(market, name) == pytest.approx(base * np.expm1(np.array(move) * years_until(day)), **CLOSE)


def test_a_node_between_two_others_is_read_exactly():
    maturity = date(2027, 3, 2)
    as_of = datetime(2026, 3, 2, tzinfo=UTC)
    snapshot = a_snapshot({"zero:USD:1Y": "0.07"}, as_of=as_of)
    assert unit_value_of(revalue([*ASSETS, a_bill(maturity=maturity)], snapshot, {}), "BILL") == pytest.approx(math.exp(-0.07), rel=1e-15)


def test_a_bond_in_another_currency_has_a_rate_leg_and_a_price_leg():
    bond = a_bond(settlement="EUR", per_year=1, coupon="0.03", issued=date(2025, 9, 1), maturity=date(2028, 9, 1))
    market = revalue([*ASSETS, bond], a_snapshot(), {"fx:EUR": 0.1, "zero:EUR:3M": 0.01, "zero:EUR:10Y": 0.01})

    def price(move: float) -> float:
        days = [date(2026, 9, 1), date(2027, 9, 1), date(2028, 9, 1)]
        rates = [interpolated(0.02, 0.028, 0.25, 10.0, years_until(day)) + move for day in days]
        flows = [0.03, 0.03, 1.03]
        return sum(flow * math.exp(-rate * years_until(day)) for flow, rate, day in zip(flows, rates, days, strict=True))

    assert unit_value_of(market, "BOND") == pytest.approx(price(0.0) * 1.1, rel=1e-14)
    assert legs_of(market, "BOND") == {
        "EUR": pytest.approx(np.array([price(0.0) * 1.1 * math.expm1(0.1)]), **CLOSE),
        "EUR-RATES": pytest.approx(np.array([(price(0.01) - price(0.0)) * 1.1 * math.exp(0.1)]), **CLOSE),
    }


@pytest.mark.parametrize("mark", ["0.01", "45", "97.25", "103", "1500"])
def test_a_marked_bond_is_discounted_at_a_spread_that_stays(mark):
    market = revalue(
        [*ASSETS, a_bond()], a_snapshot(marks={"BOND": mark}), {f"zero:USD:{tenor}": 0.01 for tenor in ("1M", "1Y", "5Y", "30Y")}
    )
    shifted = revalue([*ASSETS, a_bond()], a_snapshot(marks={"BOND": mark}), {"zero:USD:1M": 0.0})
    assert unit_value_of(market, "BOND") == pytest.approx(float(mark) / 100, rel=1e-12)
    assert unit_value_of(shifted, "BOND") + total_of(shifted, "BOND")[0] == pytest.approx(float(mark) / 100, rel=1e-12)
    assert total_of(market, "BOND")[0] < 0.0


def test_the_spread_of_a_marked_bill_is_the_constant_that_explains_its_mark():
    years = years_until(date(2026, 9, 1))
    market = revalue([*ASSETS, a_bill()], a_snapshot(marks={"BILL": 95}), {"zero:USD:1M": 0.02, "zero:USD:1Y": 0.02})
    assert total_of(market, "BILL") == pytest.approx([0.95 * math.expm1(-0.02 * years)], **CLOSE)


def test_a_bond_in_a_stablecoin_is_discounted_on_the_curve_of_the_currency_behind_it():
    market = revalue([*ASSETS, stablecoin("USDC"), a_bill(settlement="USDC"), a_bill("PLAIN")], a_snapshot(), {"zero:USD:1Y": 0.01})
    assert unit_value_of(market, "BILL") == pytest.approx(unit_value_of(market, "PLAIN") * 0.999, rel=1e-15)
    assert set(legs_of(market, "BILL")) == {"USD-RATES", "USDC"}


def test_a_coupon_paid_on_the_snapshots_day_is_no_longer_in_the_price():
    bond = a_bond(issued=date(2020, 3, 2), maturity=date(2028, 3, 2), coupon="0.05", per_year=1)
    day_before = a_snapshot(without=["zero:USD:1M", "zero:USD:1Y", "zero:USD:30Y"], as_of=datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC))
    same_day = a_snapshot(without=["zero:USD:1M", "zero:USD:1Y", "zero:USD:30Y"], as_of=datetime(2026, 3, 2, 0, 0, 0, tzinfo=UTC))
    before, after = (unit_value_of(revalue([*ASSETS, bond], snapshot, {}), "BOND") for snapshot in (day_before, same_day))
    assert before - after == pytest.approx(0.05, abs=1e-6)


def test_coupon_days_are_rolled_from_the_maturity_date():
    bond = a_bond(issued=date(2023, 8, 31), maturity=date(2026, 8, 31), per_year=4).terms
    days = [str(day) for day in coupon_days(bond, after=date(2024, 1, 1))]
    assert days == [
        "2024-02-29", "2024-05-31", "2024-08-31", "2024-11-30", "2025-02-28", "2025-05-31",
        "2025-08-31", "2025-11-30", "2026-02-28", "2026-05-31", "2026-08-31",
    ]  # fmt: skip


def test_no_coupon_falls_on_or_before_the_issue_date():
    bond = a_bond(issued=date(2026, 5, 15), maturity=date(2027, 5, 15)).terms
    assert [str(day) for day in coupon_days(bond, after=date(2026, 1, 1))] == ["2026-11-15", "2027-05-15"]


# Axes


def test_residual_years_are_actual_365_and_zero_without_a_maturity():
    bill = a_bill(maturity=date(2027, 3, 2))
    market = revalue([*ASSETS, a_perpetual(), a_future(expiry=EXPIRY), an_option(), a_bond(), a_forward(), bill], a_snapshot(), {})
    residual = {name: market.residual_years[row] for name, row in market.row_of.items()}
    assert residual["USD"] == residual["BTC"] == residual["PERP"] == 0.0
    assert residual["FUTURE"] == residual["OPTION"] == YEARS
    assert residual["BILL"] == pytest.approx(1.0 - 8.5 / 24 / 365)
    assert residual["BOND"] == pytest.approx(years_until(date(2034, 5, 15)))
    assert residual["FORWARD"] == pytest.approx(years_until(date(2026, 9, 1)))


def test_each_row_names_its_settlement_and_how_long_that_takes_to_translate():
    instruments = [*ASSETS, a_perpetual(settlement="USDC"), a_bond(settlement="EUR"), a_bill()]
    market = revalue(instruments, a_snapshot(), {"fx:EUR": 0.1})
    for name, settlement, price, days in (
        ("PERP", "USDC", 0.999, 3.0),
        ("BOND", "EUR", 1.1, 2.0),
        ("BILL", "USD", 1.0, 0.0),
        ("BTC", "BTC", 60_000.0, 2.0),
        ("USD", "USD", 1.0, 0.0),
    ):
        row = market.row_of[InstrumentId(name)]
        assert market.instruments[market.settlement_row[row]].instrument_id == settlement
        assert market.settlement_price[row] == price
        assert market.translation_days[row] == days


def test_groups_are_those_of_the_legs_with_their_asset_classes():
    market = revalue([*ASSETS[:2], a_perpetual(), a_bill()], a_snapshot(), {})
    assert market.groups == ("BTC", "EUR", "USD-RATES")
    assert [market.classes[row] for row in market.group_class] == ["CRYPTO", "FX", "FIXED_INCOME"]
    assert market.classes == ("CRYPTO", "FIXED_INCOME", "FX")
    assert market.leg_instrument.tolist() == sorted(market.leg_instrument.tolist())
    assert market.leg_pnl.flags.c_contiguous
    assert market.leg_pnl.dtype == np.float64


def test_a_market_of_dollars_alone_has_no_legs():
    market = revalue(ASSETS[:1], a_snapshot(), {}, {})
    assert market.leg_pnl.shape == (0, 2)
    assert market.groups == ()


@pytest.mark.parametrize("seconds", [1, 60])
def test_just_before_expiry_an_option_is_worth_what_exercise_would_bring(seconds):
    expiry = AS_OF + timedelta(seconds=seconds)
    options = [an_option("IN", strike=50_000, expiry=expiry), an_option("OUT", strike=70_000, expiry=expiry)]
    market = revalue([*ASSETS, *options], a_snapshot(), {"spot:BTC": math.log(1.25)})
    assert unit_value_of(market, "IN") == pytest.approx(10_000, rel=1e-6)
    assert unit_value_of(market, "OUT") == pytest.approx(0.0, abs=1e-9)
    assert total_of(market, "OUT") == pytest.approx([5_000], rel=1e-5)


def test_multipliers_scale_values_and_profits():
    one, ten = an_option("ONE"), an_option("TEN", multiplier=Decimal("0.1"))
    market = revalue([*ASSETS, one, ten], a_snapshot(), {"spot:BTC": -0.3})
    assert unit_value_of(market, "TEN") == pytest.approx(0.1 * unit_value_of(market, "ONE"), rel=1e-15)
    assert total_of(market, "TEN") == pytest.approx(0.1 * total_of(market, "ONE"), rel=1e-14)
