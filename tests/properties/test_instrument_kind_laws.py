"""Laws between kinds of instruments: what replicates what, in every scenario."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crossmargin.domain.instrument import DayCount, Instrument, OptionRight, PremiumStyle
from crossmargin.domain.market import MarketSnapshot
from crossmargin.engine.revaluation import RevaluedMarket
from crossmargin.engine.revaluation.american_exercise import american_price
from tests.properties.test_revaluation_laws import (
    coins,
    days_ahead,
    drawn_scenarios,
    moneys,
    multipliers,
    prices,
    revalued,
    rights,
    seeds,
    size_of,
    snapshots,
)
from tests.unit.engine.revaluation.markets import (
    AS_OF,
    a_bill,
    a_bond,
    a_bond_future,
    a_forward,
    a_note,
    a_snapshot,
    a_swap,
    an_american_option,
    an_fx_option,
    an_ndf,
    an_option,
    legs_of,
    scenarios,
    total_of,
    unit_value_of,
)

FEW = settings(max_examples=40, deadline=None)
STRIKES = st.integers(500, 200_000)


def values(market: RevaluedMarket, name: str) -> np.ndarray:
    base = unit_value_of(market, name)
    return np.concatenate([[base], base + total_of(market, name)])


def midnight(days: int) -> datetime:
    return datetime(AS_OF.year, AS_OF.month, AS_OF.day, tzinfo=UTC) + timedelta(days=days)


@FEW
@given(snapshots(), st.tuples(moneys, prices(0.0001, 0.12), st.integers(0, 900), st.sampled_from([1, 2, 4])), seeds)
def test_a_swap_is_a_floating_note_less_a_fixed_rate_bond(snapshot, drawn_terms, seed):
    money, rate, days, per_year = drawn_terms
    start = AS_OF.date() + timedelta(days=days)
    maturity = start.replace(year=start.year + 7, day=min(start.day, 28))
    start = maturity.replace(year=maturity.year - 7)
    when = {"issued": start, "maturity": maturity, "per_year": per_year, "settlement": money}
    held = [
        a_swap(fixed=rate, day_count=DayCount.ACT_ACT_ICMA, start=start, maturity=maturity, per_year=per_year, settlement=money, accrued=0),
        a_note(spread=0, fixed_on=start - timedelta(days=1), **when),
        a_bond(coupon=rate, **when),
    ]
    market = revalued(snapshot, drawn_scenarios(snapshot, seed), *held)
    replica = values(market, "NOTE") - values(market, "BOND")
    np.testing.assert_allclose(values(market, "SWAP"), replica, rtol=0, atol=1e-13 * size_of(market, "NOTE", "BOND") * 10)


@FEW
@given(snapshots(), st.permutations(["USD", "EUR", "GBP"]), prices(0.5, 2), days_ahead, seeds)
def test_an_ndf_is_the_deliverable_forward_leg_by_leg(snapshot, currencies, rate, days, seed):
    bought, sold, third = currencies
    day = AS_OF.date() + timedelta(days=days)
    held = [
        a_forward(bought=bought, sold=sold, rate=rate, delivery=day),
        an_ndf(bought=bought, sold=sold, settlement=third, rate=rate, fixing=day, payment=day),
    ]
    market = revalued(snapshot, drawn_scenarios(snapshot, seed), *held)
    forward, ndf = legs_of(market, "FORWARD"), legs_of(market, "NDF")
    assert forward.keys() == ndf.keys()
    for group in forward:
        np.testing.assert_array_equal(forward[group], ndf[group])


@FEW
@given(snapshots(), st.sampled_from([("EUR", "USD"), ("USD", "EUR"), ("EUR", "GBP")]), prices(0.5, 2), days_ahead, seeds)
def test_an_fx_call_less_the_put_is_the_forward_in_every_scenario(snapshot, pair, strike, days, seed):
    currency, settlement = pair
    expiry = midnight(days)
    held = [
        *(
            an_fx_option(right.name, right=right, strike=strike, currency=currency, settlement=settlement, expiry=expiry)
            for right in OptionRight
        ),
        a_forward(bought=currency, sold=settlement, rate=strike, delivery=expiry.date()),
    ]
    market = revalued(snapshot, drawn_scenarios(snapshot, seed), *held)
    difference = values(market, "CALL") - values(market, "PUT")
    np.testing.assert_allclose(difference, values(market, "FORWARD"), rtol=0, atol=1e-13 * 30)


@FEW
@given(snapshots(), st.tuples(coins, rights, STRIKES), st.integers(1, 800), seeds)
def test_an_american_option_is_worth_the_european_one_and_exercise_at_least(snapshot, contract, days, seed):
    underlying, right, strike = contract
    terms = {"right": right, "strike": strike, "expiry": AS_OF + timedelta(days=days + 1), "underlying": underlying}
    drawn = drawn_scenarios(snapshot, seed)
    market = revalued(snapshot, drawn, an_american_option(**terms), an_option("EUROPEAN", **terms))
    american, european = values(market, "AMERICAN"), values(market, "EUROPEAN")
    slack = 1e-12 * max(strike, values(market, underlying).max())
    assert (american >= european - slack).all()
    sign = 1.0 if right is OptionRight.CALL else -1.0
    assert (american >= sign * (values(market, underlying) - strike) - slack).all()


@FEW
@given(snapshots(), st.tuples(coins, rights, STRIKES, multipliers), st.booleans(), seeds)
def test_without_rates_a_margined_option_gains_what_a_paid_up_one_does(snapshot, contract, is_on_future, seed):
    underlying, right, strike, multiplier = contract
    rateless = MarketSnapshot(snapshot.as_of, {k: v for k, v in snapshot.levels.items() if k.kind_code != "zero"}, {})
    expiry = AS_OF + timedelta(days=60)
    terms = {"right": right, "strike": strike, "underlying": underlying, "multiplier": multiplier, "expiry": expiry}
    if is_on_future:
        terms["future_expiry"] = expiry + timedelta(days=30)
    held = [an_option("PAID", **terms), an_option("MARGINED", premium=PremiumStyle.MARGINED, **terms)]
    market = revalued(rateless, drawn_scenarios(rateless, seed), *held)
    np.testing.assert_array_equal(total_of(market, "PAID"), total_of(market, "MARGINED"))


@FEW
@given(snapshots(), prices(0, 0.12), prices(0.5, 1.5), st.integers(1, 700), seeds)
def test_a_bond_future_is_the_forward_price_of_its_bond(snapshot, coupon, factor, days, seed):
    """The bond less bills for the coupons before delivery, over the bill that matures then: what a short forward bond pays."""
    delivery = AS_OF.date() + timedelta(days=days)
    bond = a_bond(coupon=coupon, maturity=date(2034, 5, 15))
    coupon_days = [date(year, month, 15) for year in range(2026, 2029) for month in (5, 11)]
    bills = [a_bill(f"BILL-{day}", maturity=day) for day in coupon_days if AS_OF.date() < day <= delivery]
    held = [bond, a_bond_future(deliverable=bond, delivery=delivery, factor=factor), a_bill("DELIVERY", maturity=delivery), *bills]
    market = revalued(snapshot, drawn_scenarios(snapshot, seed), *held)
    before = sum(float(coupon) / 2 * values(market, bill.instrument_id) for bill in bills)
    forward = 100 * (values(market, "BOND") - before) / values(market, "DELIVERY")
    hedge = 1000 * (forward - forward[0]) / float(factor)
    np.testing.assert_allclose(total_of(market, "BOND-FUTURE"), hedge[1:], rtol=0, atol=1e-12 * size_of(market, "BOND-FUTURE"))


def every_option(right: OptionRight, strike: int) -> list[Instrument]:
    return [
        an_option("CASH", right=right, strike=strike),
        an_option("COIN", right=right, strike=strike, premium=PremiumStyle.COIN_SETTLED),
        an_option("MARGINED", right=right, strike=strike, premium=PremiumStyle.MARGINED),
        an_american_option("AMERICAN", right=right, strike=strike),
        an_fx_option("FX", right=right, strike=Decimal(strike) / 50_000),
    ]


@FEW
@given(snapshots(), rights, STRIKES, st.floats(0, 1.2), seeds)
def test_whatever_its_mark_no_option_is_worth_less_than_nothing_in_any_scenario(snapshot, right, strike, ratio, seed):
    """Marks below intrinsic value leave a negative price that no volatility explains."""
    held = every_option(right, strike)
    plain = revalued(snapshot, drawn_scenarios(snapshot, seed), *held)
    per_settlement = {each.instrument_id: unit_value_of(plain, each.instrument_id) for each in held}
    marks = {
        each.instrument_id: Decimal(f"{per_settlement[each.instrument_id] / plain.settlement_price[row] * ratio:.15f}")
        for each in held
        for row in [plain.row_of[each.instrument_id]]
    }
    market = revalued(MarketSnapshot(snapshot.as_of, snapshot.levels, marks), drawn_scenarios(snapshot, seed), *held)
    for option in held:
        found = values(market, option.instrument_id)
        assert (found >= -1e-11 * (1.0 + np.abs(found).max() + size_of(market, option.instrument_id))).all()


@pytest.mark.parametrize("right", OptionRight)
def test_a_mark_below_intrinsic_is_kept_and_goes_to_zero_and_no_further(right):
    strike = 40_000 if right is OptionRight.CALL else 90_000
    names = {"CASH": 10_000, "AMERICAN": 10_000, "MARGINED": 10_000}
    held = [each for each in every_option(right, strike) if each.instrument_id in names]
    snapshot = a_snapshot(without=["basis:", "zero:"], marks=names)
    sign = 1 if right is OptionRight.CALL else -1
    drawn = scenarios(snapshot, {"spot:BTC": -0.05 * sign}, {"spot:BTC": -0.5 * sign})
    market = revalued(snapshot, drawn, *held)
    for name, mark in names.items():
        assert values(market, name)[0] == mark
        assert values(market, name)[1] == pytest.approx(mark + sign * 60_000 * np.expm1(-0.05 * sign), rel=1e-9)
        assert values(market, name)[2] == pytest.approx(0.0, abs=1e-9)


@FEW
@given(snapshots(), rights, seeds)
def test_far_in_the_money_options_are_exercised_and_far_out_worth_nothing(snapshot, right, seed):
    """An FX option is its forward or nothing; an American option is exercised or worth nothing."""
    sign = 1.0 if right is OptionRight.CALL else -1.0
    deep, out = ("0.000001", "1000000") if right is OptionRight.CALL else ("1000000", "0.000001")
    expiry = midnight(20)
    held = [
        an_fx_option("FX-IN", right=right, strike=deep, expiry=expiry),
        an_fx_option("FX-OUT", right=right, strike=out, expiry=expiry),
        a_forward(rate=deep, delivery=expiry.date()),
        an_american_option("IN", right=right, strike=Decimal(deep) * 10**6 if right is OptionRight.PUT else deep, expiry=expiry),
        an_american_option("OUT", right=right, strike=Decimal(out) * 10**6 if right is OptionRight.CALL else out, expiry=expiry),
    ]
    market = revalued(snapshot, drawn_scenarios(snapshot, seed), *held)
    np.testing.assert_allclose(values(market, "FX-IN"), sign * values(market, "FORWARD"), rtol=1e-11)
    np.testing.assert_array_equal(values(market, "FX-OUT"), 0.0)
    np.testing.assert_allclose(values(market, "OUT"), 0.0, atol=1e-30)
    assert (values(market, "IN") > 0.0).all()


@FEW
@given(rights, st.floats(0, 0.1), st.floats(0, 1), st.floats(50, 200), st.floats(0.01, 3))
@example(OptionRight.PUT, 5e-324, 1.0, 50.0, 1.0)
def test_without_volatility_an_american_option_is_worth_exercise_now_or_at_expiry_and_no_more_than_without_interest(
    right, rate, share, strike, years
):
    """The path of the price is known then. A put is worth less the more interest waiting costs, a call the more income it forgoes."""
    sign = 1.0 if right is OptionRight.CALL else -1.0
    carry = rate - 0.1 * share if right is OptionRight.CALL else rate + 0.2 * (0.5 - share)
    price = american_price(spot=100.0, strike=strike, years=years, rate=rate, carry=carry, volatility=0.0, sign=sign)[0]
    paid = sign * np.array([100.0 - strike, np.exp(-rate * years) * (100.0 * np.exp(carry * years) - strike)])
    income = rate - carry
    growth, owed = (100.0, strike * np.exp(-rate * years)) if sign > 0 else (100.0 * np.exp(-max(income, 0.0) * years), strike)
    assert price >= max(paid.max(), 0.0) - 1e-9
    assert price <= max(sign * (growth - owed), paid.max(), 0.0) + 0.1
