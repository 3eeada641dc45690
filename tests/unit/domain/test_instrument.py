"""Terms that contradict themselves are refused, and a price turns into money as each kind quotes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import (
    Cash,
    CashFlow,
    CashFlows,
    FxForward,
    Instrument,
    Payoff,
    PremiumStyle,
    Terms,
    check_trade_price,
    consideration,
)
from tests.unit.domain import instruments as the
from tests.unit.domain.strategies import decimals

D = Decimal


def refusal(build, reason=Reason.INVALID_INSTRUMENT):
    with pytest.raises(DomainError) as caught:
        build()
    assert caught.value.reason is reason
    return caught.value


def test_the_examples_have_every_kind_of_terms():
    assert {type(instrument.terms) for instrument in the.EVERY_KIND} == set(get_args(Terms))


@pytest.mark.parametrize("currency", ["usd", "US", "USDC", "", "US1", "ÜSD", "ＵＳＤ", "U D"])
def test_a_currency_is_three_capital_ascii_letters(currency):
    assert Cash("USD").currency == "USD"
    refusal(lambda: Cash(currency))


@pytest.mark.parametrize("instrument", the.CONTRACTS, ids=the.name_of)
def test_a_multiplier_is_more_than_zero_and_exact(instrument):
    assert replace(instrument.terms, multiplier=D("1e-18")).multiplier == D("1e-18")
    for multiplier in (D(0), D(-1)):
        refusal(lambda multiplier=multiplier: replace(instrument.terms, multiplier=multiplier))
    for multiplier in (D("NaN"), D("Infinity"), D("1e-19"), D("1e20")):
        refusal(lambda multiplier=multiplier: replace(instrument.terms, multiplier=multiplier), Reason.INVALID_DECIMAL)


@pytest.mark.parametrize("instrument", the.OPTIONS, ids=the.name_of)
@pytest.mark.parametrize("strike", [D(0), D(-1)])
def test_a_strike_is_more_than_zero(strike, instrument):
    refusal(lambda: replace(instrument.terms, strike=strike))


@pytest.mark.parametrize("instrument", [the.FX_FORWARD, the.NDF], ids=the.name_of)
@pytest.mark.parametrize("rate", [D(0), D("-1.1")])
def test_a_contract_rate_is_more_than_zero(rate, instrument):
    refusal(lambda: replace(instrument.terms, contract_rate=rate))


@pytest.mark.parametrize("instrument", [the.FUTURE, *the.OPTIONS], ids=the.name_of)
def test_an_expiry_has_a_time_zone(instrument):
    error = refusal(lambda: replace(instrument.terms, expiry=datetime(2026, 9, 25, 8)), Reason.INVALID_TIMESTAMP)  # noqa: DTZ001
    assert error.facts["field"] == "expiry"


def test_a_coin_settled_option_is_settled_in_its_underlying():
    assert the.option(premium=PremiumStyle.COIN_SETTLED, settlement=the.BTC).settlement == "BTC"
    refusal(lambda: the.option(premium=PremiumStyle.COIN_SETTLED, settlement=the.USD))


def test_an_fx_forward_exchanges_two_currencies():
    refusal(lambda: FxForward(the.USD, the.USD, D(1), date(2026, 9, 1)))


@pytest.mark.parametrize("instrument", [the.NDF, the.FX_OPTION], ids=the.name_of)
def test_an_ndf_and_an_fx_option_are_of_two_currencies(instrument):
    first, second = ("bought", "sold") if instrument is the.NDF else ("currency", "settlement")
    refusal(lambda: replace(instrument.terms, **{first: getattr(instrument.terms, second)}))


def test_an_ndf_is_paid_when_it_is_fixed_or_later():
    fixing = the.ndf().fixing_date
    assert the.ndf(settlement_date=fixing).settlement_date == fixing
    refusal(lambda: the.ndf(settlement_date=date(2026, 8, 27)))


def test_an_option_on_a_future_ends_with_the_future_or_before_and_is_not_settled_in_coins():
    early = datetime(2026, 9, 25, 7, 59, tzinfo=UTC)
    assert the.FUTURE_OPTION.terms.future_expiry == the.EXPIRY
    refusal(lambda: replace(the.FUTURE_OPTION.terms, future_expiry=early))
    refusal(lambda: replace(the.COIN_OPTION.terms, future_expiry=the.EXPIRY))
    naive = early.replace(tzinfo=None)
    refusal(lambda: replace(the.FUTURE_OPTION.terms, future_expiry=naive), Reason.INVALID_TIMESTAMP)


def test_an_american_option_is_paid_in_another_asset_than_its_underlying():
    refusal(lambda: replace(the.AMERICAN_OPTION.terms, settlement=the.BTC))


@pytest.mark.parametrize("delivery", [date(2021, 5, 14), date(2031, 5, 15)])
def test_a_bond_is_delivered_while_it_lives(delivery):
    assert the.bond_future(delivery_date=date(2021, 5, 15)).delivery_date == date(2021, 5, 15)
    refusal(lambda: the.bond_future(delivery_date=delivery))


def test_a_bond_future_settles_in_the_currency_of_its_bond():
    refusal(lambda: replace(the.bond_future(), settlement=the.EUR))


@pytest.mark.parametrize("factor", [D(0), D(-1)])
def test_a_conversion_factor_is_more_than_zero(factor):
    refusal(lambda: the.bond_future(conversion_factor=factor))


@pytest.mark.parametrize(("build", "name"), [(the.note, "spread_rate"), (the.note, "fixed_rate"), (the.swap, "fixed_rate")])
def test_a_rate_is_a_fraction_of_any_sign_and_not_a_percent(build, name):
    assert getattr(build(**{name: D("-0.005")}), name) == D("-0.005")
    for rate in ("1", "-1", "4.25"):
        refusal(lambda rate=rate: build(**{name: D(rate)}))


def test_notes_and_swaps_end_after_they_begin_and_pay_every_whole_month():
    refusal(lambda: the.note(maturity_date=date(2024, 2, 15)))
    refusal(lambda: the.swap(maturity_date=date(2025, 6, 1)))
    refusal(lambda: the.note(coupons_per_year=3))
    refusal(lambda: the.swap(payments_per_year=6))
    refusal(lambda: the.note(rate_fixed_on=date(2029, 2, 15)))
    assert the.note(rate_fixed_on=date(2024, 2, 14)).rate_fixed_on < the.note().issue_date


def test_a_contract_of_cash_flows_pays_something():
    day = date(2026, 9, 1)
    assert CashFlows(the.USD, (CashFlow(the.USD, D(-1), day),) * 1000).settlement == the.USD
    refusal(lambda: CashFlow(the.USD, D(0), day))
    refusal(lambda: CashFlows(the.USD, ()))
    refusal(lambda: CashFlows(the.USD, (CashFlow(the.USD, D(1), day),) * 1001))


@pytest.mark.parametrize("rate", [D(0), D("0.0425"), D("0.999999")])
def test_a_coupon_rate_is_a_fraction_from_zero_to_below_one(rate):
    assert the.bond(coupon_rate=rate).coupon_rate == rate


@pytest.mark.parametrize(("rate", "reason"), [("-0.01", "INVALID_INSTRUMENT"), ("1", "INVALID_INSTRUMENT"), ("NaN", "INVALID_DECIMAL")])
def test_a_coupon_rate_of_any_other_size_is_refused(rate, reason):
    refusal(lambda: the.bond(coupon_rate=D(rate)), Reason[reason])


@pytest.mark.parametrize("count", range(-1, 14))
def test_coupons_come_once_twice_four_or_twelve_times_a_year(count):
    if count in {1, 2, 4, 12}:
        assert the.bond(coupons_per_year=count).coupons_per_year == count
    else:
        refusal(lambda: the.bond(coupons_per_year=count))


def test_a_bond_matures_after_it_is_issued():
    day = date(2026, 3, 2)
    assert the.bond(issue_date=day, maturity_date=date(2026, 3, 3)).issue_date == day
    refusal(lambda: the.bond(issue_date=day, maturity_date=day))


@pytest.mark.parametrize(("places", "is_fine"), [(-1, False), (0, True), (18, True), (19, False)])
def test_a_quantity_has_0_to_18_places(places, is_fine):
    def build():
        return Instrument(the.USD, Cash("USD"), places)

    if is_fine:
        assert build().quantity_places == places
    else:
        refusal(build)


def test_a_description_has_at_most_200_characters():
    assert Instrument(the.USD, Cash("USD"), 2, description="x" * 200)
    refusal(lambda: Instrument(the.USD, Cash("USD"), 2, description="x" * 201))


@pytest.mark.parametrize("instrument", the.EVERY_KIND, ids=the.name_of)
def test_only_money_and_coins_are_assets_and_only_futures_perpetuals_and_margined_options_are_margined(instrument):
    assert instrument.is_asset == (instrument in the.ASSETS)
    assert instrument.is_margined == (instrument in the.MARGINED)


@pytest.mark.parametrize("instrument", the.ASSETS, ids=the.name_of)
def test_an_asset_settles_in_itself_and_refers_to_nothing(instrument):
    assert instrument.settlement == instrument.instrument_id
    assert instrument.references() == frozenset()


@pytest.mark.parametrize(
    ("instrument", "settlement"),
    [
        (the.PERPETUAL, "USD"),
        (the.INVERSE_PERPETUAL, "BTC"),
        (the.FUTURE, "USD"),
        (the.INVERSE_FUTURE, "BTC"),
        (the.CASH_OPTION, "USD"),
        (the.COIN_OPTION, "BTC"),
        (the.BILL, "USD"),
        (the.BOND, "USD"),
        (the.NOTE, "USD"),
        (the.SWAP, "USD"),
        (the.BOND_FUTURE, "USD"),
        (the.AMERICAN_OPTION, "USD"),
        (the.MARGINED_OPTION, "USD"),
    ],
    ids=the.name_of,
)
def test_a_contract_or_bond_refers_to_what_it_settles_in(instrument, settlement):
    assert instrument.settlement == settlement
    assert instrument.references() == {InstrumentId(settlement)}


def test_an_fx_forward_settles_in_what_it_sells_and_refers_to_both_currencies():
    assert the.FX_FORWARD.settlement == "USD"
    assert the.FX_FORWARD.references() == {the.EUR, the.USD}


def test_kinds_of_several_currencies_refer_to_all_of_them():
    assert the.FX_OPTION.references() == {the.EUR, the.USD}
    assert replace(the.NDF, terms=the.ndf(settlement=the.BTC)).references() == {the.EUR, the.USD, the.BTC}
    assert the.FLOWS.references() == {the.EUR, the.USD}
    assert [each.settlement for each in (the.FX_OPTION, the.NDF, the.FLOWS)] == [the.USD] * 3


@pytest.mark.parametrize(
    ("instrument", "quantity", "price", "cost"),
    [
        (the.CASH, "3", "1.5", "4.5"),
        (the.STABLECOIN, "1000", "0.999", "999"),
        (the.COIN, "2", "60000", "120000"),
        (the.COIN, "-2", "60000", "-120000"),
        (the.PERPETUAL, "3", "60000", "1800000"),
        (the.FUTURE, "-3", "60000", "-1800000"),
        (the.INVERSE_PERPETUAL, "5", "50000", "-0.01"),
        (the.INVERSE_FUTURE, "-5", "50000", "0.01"),
        (the.CASH_OPTION, "2", "1500", "30000"),
        (the.CASH_OPTION, "2", "0", "0"),
        (the.COIN_OPTION, "2", "0.05", "1"),
        (the.FX_FORWARD, "1000000", "-0.002", "-2000"),
        (the.BILL, "1000000", "98.5", "985000"),
        (the.BOND, "-1000", "101.25", "-1012.5"),
        (the.NOTE, "1000", "99.5", "995"),
        (the.SWAP, "-1000000", "0.02", "-20000"),
        (the.NDF, "1000000", "-0.002", "-2000"),
        (the.FLOWS, "2", "-1.25", "-2.5"),
        (the.BOND_FUTURE, "3", "110.5", "331500"),
        (the.FX_OPTION, "1000000", "0.0125", "12500"),
        (the.AMERICAN_OPTION, "2", "1500", "30000"),
        (the.MARGINED_OPTION, "2", "1500", "30000"),
    ],
    ids=the.name_of,
)
def test_what_a_trade_costs_in_its_settlement_asset(instrument, quantity, price, cost):
    assert consideration(instrument, quantity=D(quantity), price=D(price)) == D(cost)


def test_what_a_trade_costs_keeps_more_digits_than_the_ledger():
    """38 digits times 28: the ordinary context would keep 28 of them."""
    cost = consideration(the.COIN, quantity=D("1.000000000000000001"), price=D("99999999999.999999999999999999"))
    assert cost == D("100000000000.000000099999999998999999999999999999")


@pytest.mark.parametrize("instrument", the.INVERSE, ids=the.name_of)
@given(
    quantity=decimals(-(10**25), 10**25),
    entry=st.integers(1, 10**9).map(lambda cents: D(cents) / 100),
    mark=st.integers(1, 10**9).map(lambda cents: D(cents) / 100),
)
def test_value_less_cost_of_an_inverse_contract_is_the_difference_of_reciprocals(instrument, quantity, entry, mark):
    """quantity x multiplier x (1/entry - 1/mark) coins, to the precision of the decimal context."""
    value = Fraction(consideration(instrument, quantity=quantity, price=mark))
    cost = Fraction(consideration(instrument, quantity=quantity, price=entry))
    coins = Fraction(quantity) * Fraction(instrument.terms.multiplier) * (1 / Fraction(entry) - 1 / Fraction(mark))
    # Two divisions round in the 60th digit, and a value here has at most 22 digits before the point.
    assert abs((value - cost) - coins) <= Fraction(1, 10**36)


@pytest.mark.parametrize("instrument", [i for i in the.EVERY_KIND if i not in the.INVERSE], ids=the.name_of)
@given(quantity=decimals(-(10**25), 10**25), price=decimals(1, 10**25))
def test_value_less_cost_of_everything_else_follows_the_price(instrument, quantity, price):
    cost = consideration(instrument, quantity=quantity, price=price)
    assert cost == consideration(instrument, quantity=quantity.copy_negate(), price=price).copy_negate()
    per_unit = consideration(instrument, quantity=D(1), price=D(1))
    assert Fraction(cost) == Fraction(quantity) * Fraction(price) * Fraction(per_unit)


@pytest.mark.parametrize("instrument", the.EVERY_KIND, ids=the.name_of)
def test_every_kind_trades_at_a_price_above_zero(instrument):
    assert check_trade_price(instrument, D("1e-18")) == D("1e-18")


@pytest.mark.parametrize("instrument", the.EVERY_KIND, ids=the.name_of)
@pytest.mark.parametrize("price", [D(0), D("-0.5")])
def test_only_a_present_value_is_negative_and_only_it_and_an_option_is_zero(instrument, price):
    is_free_option = instrument in the.OPTIONS and price == 0
    if instrument in the.AT_PRESENT_VALUE or is_free_option:
        assert check_trade_price(instrument, price) == price
    else:
        error = refusal(lambda: check_trade_price(instrument, price), Reason.INVALID_PRICE)
        assert error.facts["instrument"] == instrument.instrument_id


@pytest.mark.parametrize("instrument", the.EVERY_KIND, ids=the.name_of)
@pytest.mark.parametrize("price", [D("NaN"), D("Infinity"), D("1e-19"), D("1e20")])
def test_a_price_the_ledger_cannot_hold_is_refused_for_every_kind(instrument, price):
    refusal(lambda: check_trade_price(instrument, price), Reason.INVALID_DECIMAL)


def test_payoffs_and_expiries_are_part_of_what_makes_a_contract_itself():
    assert replace(the.PERPETUAL.terms, payoff=Payoff.INVERSE) != the.PERPETUAL.terms
    assert replace(the.FUTURE.terms, expiry=datetime(2026, 12, 25, 8, tzinfo=UTC)) != the.FUTURE.terms
