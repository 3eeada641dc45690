"""Builders take numbers and times that say exactly what they are, and refuse the others in words."""

from __future__ import annotations

import inspect
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from crossmargin.api.v1 import reference_service_pb2
from crossmargin_client.values import (
    ACT_360,
    CALL,
    INVERSE,
    MARGINED,
    MODIFIED_FOLLOWING,
    PUT,
    TARGET,
    US_GOVERNMENT_BONDS,
    account_name,
    american_option,
    bill,
    bond_future,
    cash,
    cash_flows,
    crypto_asset,
    date_of,
    dated_future,
    decimal_of,
    european_option,
    exact_text,
    fixed_rate_bond,
    floating_rate_note,
    fx_forward,
    fx_option,
    interest_rate_swap,
    moment_of,
    non_deliverable_forward,
    perpetual,
    stablecoin,
    timestamp_of,
    trade,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Decimal("1250.50"), "1250.5"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-8"), "0.00000001"),
        (Decimal("-0.0"), "0"),
        (7, "7"),
        ("1e3", "1000"),
        ("-12.30", "-12.3"),
        (10**19, "1" + "0" * 19),
    ],
)
def test_a_number_is_written_plainly_and_exactly(number, text):
    assert exact_text(number, field="price") == text


def test_a_float_is_refused_and_the_message_says_why_and_what_to_write():
    with pytest.raises(TypeError, match=r"price was the float 0\.1, which is binary .* write Decimal\('0\.1'\) or '0\.1'"):
        exact_text(0.1, field="price")


@pytest.mark.parametrize("wrong", [True, None, b"1", [1]])
def test_what_is_not_a_number_is_refused(wrong):
    with pytest.raises(TypeError, match="price was a"):
        exact_text(wrong, field="price")


@pytest.mark.parametrize("wrong", ["", "ten", "NaN", "Infinity", Decimal("-inf"), Decimal("sNaN")])
def test_text_that_spells_no_finite_number_is_refused(wrong):
    with pytest.raises(ValueError, match="price was"):
        exact_text(wrong, field="price")


def test_a_naive_time_is_refused_and_the_message_names_the_field_and_the_remedy():
    naive = NOON.replace(tzinfo=None)
    with pytest.raises(ValueError, match=r"executed_at was 2026-03-01T12:00:00 without a time zone; write executed_at=datetime\("):
        trade("BTC", 1, 2, executed_at=naive)


def test_a_time_keeps_its_moment_whatever_its_zone():
    in_paris = NOON.astimezone(timezone(timedelta(hours=2)))
    assert timestamp_of(in_paris, field="t") == timestamp_of(NOON, field="t")
    assert moment_of(timestamp_of(in_paris, field="t")) == NOON


def test_a_datetime_is_no_day():
    with pytest.raises(TypeError, match="depends on a time zone"):
        date_of(NOON, field="matures_on")


def test_an_answers_number_may_be_infinite_or_left_empty():
    assert decimal_of("inf") == Decimal("Infinity")
    assert decimal_of("") == 0
    assert decimal_of("0.25") == Decimal("0.25")


def test_a_trade_carries_everything_it_was_given():
    built = trade("BTC", Decimal("-1.50"), "91000", executed_at=NOON, settlement="USD", book="desk-2", reference="t-1")
    assert (built.instrument_id, built.quantity, built.price, built.settlement) == ("BTC", "-1.5", "91000", "USD")
    assert (built.book_id, built.reference, moment_of(built.execute_time)) == ("desk-2", "t-1", NOON)


UST = fixed_rate_bond(
    "UST", settlement="USD", coupon_rate="0.04125", coupons_per_year=2, issued_on=date(2026, 11, 15), matures_on=date(2036, 11, 15)
)
CORPORATE = fixed_rate_bond(
    "ACME",
    settlement="USD",
    coupon_rate="0.055",
    coupons_per_year=2,
    issued_on=date(2026, 11, 15),
    matures_on=date(2036, 11, 15),
    credit_curve="IG-A",
)
INSTRUMENTS = {
    "cash": cash("USD", collateral_class="USD"),
    "stablecoin": stablecoin("RLUSD", pegged_to="USD", issuer="Ripple"),
    "crypto_asset": crypto_asset("BTC", collateral_class="BTC"),
    "perpetual": perpetual("BTC-PERP", underlying="BTC", settlement="BTC", multiplier=100, payoff=INVERSE),
    "dated_future": dated_future("CL", underlying="WTI", settlement="USD", expires_at=NOON, multiplier=1000, price_may_be_negative=True),
    "european_option": european_option(
        "BTC-C", underlying="BTC", settlement="USD", right=CALL, strike=100_000, expires_at=NOON, premium=MARGINED, future_expires_at=NOON
    ),
    "american_option": american_option("BTC-A", underlying="BTC", settlement="USD", right=PUT, strike=100_000, expires_at=NOON),
    "fx_option": fx_option("EUR-C", currency="EUR", settlement="USD", right=CALL, strike="1.1", expires_at=NOON),
    "non_deliverable_forward": non_deliverable_forward(
        "NDF", bought="USD", sold="BRL", settlement="USD", contract_rate="5.4", fixes_on=date(2027, 2, 17), settles_on=date(2027, 2, 19)
    ),
    "floating_rate_note": floating_rate_note(
        "FRN",
        settlement="USD",
        spread_rate="0.0025",
        fixed_rate="0.043",
        rate_fixed_on=date(2026, 2, 16),
        coupons_per_year=4,
        issued_on=date(2024, 2, 15),
        matures_on=date(2029, 2, 15),
        business_days=MODIFIED_FOLLOWING,
        calendar=US_GOVERNMENT_BONDS,
        credit_curve="IG-A",
    ),
    "interest_rate_swap": interest_rate_swap(
        "SWAP",
        settlement="USD",
        fixed_rate="-0.001",
        payments_per_year=1,
        starts_on=date(2025, 6, 1),
        matures_on=date(2035, 6, 1),
        accrued_fraction="0.03",
        accrued_until=date(2026, 3, 1),
        business_days=MODIFIED_FOLLOWING,
        calendar=TARGET,
    ),
    "bond_future": bond_future("FUT", deliverable=UST, delivers_on=date(2027, 6, 30), conversion_factor="0.8125"),
    "cash_flows": cash_flows("OTC", [("EUR", -5, date(2027, 1, 1)), ("USD", "5.5", date(2027, 1, 1))], settlement="USD"),
    "fx_forward": fx_forward("EURUSD", bought="EUR", sold="USD", contract_rate="1.09", delivers_on=date(2027, 2, 19)),
    "bill": bill("CP", settlement="USD", matures_on=date(2027, 5, 20), credit_curve="RIPPLE"),
    "fixed_rate_bond": CORPORATE,
}


def test_every_kind_of_instrument_has_a_builder():
    kinds = {kind.name for kind in reference_service_pb2.Instrument.DESCRIPTOR.oneofs_by_name["terms"].fields}
    assert set(INSTRUMENTS) == kinds
    assert {kind: built.WhichOneof("terms") for kind, built in INSTRUMENTS.items()} == {kind: kind for kind in kinds}


def test_every_field_of_the_terms_is_filled():
    for kind, built in INSTRUMENTS.items():
        terms = getattr(built, kind)
        assert {field.name for field, _ in terms.ListFields()} == {field.name for field in terms.DESCRIPTOR.fields}, kind


def test_an_option_settled_in_its_underlying_is_coin_settled_and_another_is_paid_in_cash_unless_it_says_otherwise():
    in_dollars = european_option("BTC-C", underlying="BTC", settlement="USD", right=CALL, strike=1, expires_at=NOON)
    in_coins = european_option("BTC-C", underlying="BTC", settlement="BTC", right=CALL, strike=1, expires_at=NOON)
    assert in_coins.european_option.premium_style == reference_service_pb2.PREMIUM_STYLE_COIN_SETTLED
    assert in_dollars.european_option.premium_style == reference_service_pb2.PREMIUM_STYLE_CASH_PAID
    assert INSTRUMENTS["european_option"].european_option.premium_style == reference_service_pb2.PREMIUM_STYLE_MARGINED
    assert not in_dollars.european_option.HasField("future_expire_time")


def test_a_swap_that_has_not_started_has_accrued_nothing_until_its_start():
    start = date(2026, 6, 1)
    swap = interest_rate_swap(
        "S", settlement="USD", fixed_rate=0, payments_per_year=1, starts_on=start, matures_on=date(2030, 6, 1), day_count=ACT_360
    ).interest_rate_swap
    assert (swap.accrued_fraction, swap.accrue_date) == ("0", date_of(start, field="start"))


def test_no_builder_takes_a_float():
    """Every parameter that is an exact number refuses a float, so that none slips in unseen."""
    exact = [
        (builder, name)
        for builder in (
            trade,
            perpetual,
            dated_future,
            european_option,
            fx_forward,
            fixed_rate_bond,
            american_option,
            fx_option,
            non_deliverable_forward,
            floating_rate_note,
            interest_rate_swap,
            bond_future,
        )
        for name, parameter in inspect.signature(builder).parameters.items()
        if parameter.annotation == "Exact"
    ]
    assert len(exact) == 18
    given = {
        "instrument_id": "X", "quantity": 1, "price": 1, "executed_at": NOON, "underlying": "BTC", "settlement": "USD", "multiplier": 1,
        "expires_at": NOON, "right": CALL, "strike": 1, "bought": "EUR", "sold": "USD", "contract_rate": 1, "delivers_on": date(2027, 1, 1),
        "coupon_rate": 0, "coupons_per_year": 1, "issued_on": date(2026, 1, 1), "matures_on": date(2027, 1, 1),
        "currency": "EUR", "fixes_on": date(2027, 1, 1), "settles_on": date(2027, 1, 1), "spread_rate": 0, "fixed_rate": 0,
        "rate_fixed_on": date(2026, 2, 1), "payments_per_year": 1, "starts_on": date(2026, 1, 1), "accrued_fraction": 0,
        "deliverable": UST, "conversion_factor": 1,
    }  # fmt: skip
    for builder, name in exact:
        arguments = {each: given[each] for each in inspect.signature(builder).parameters if each in given}
        builder(**arguments)
        with pytest.raises(TypeError, match=f"{name} was the float"):
            builder(**{**arguments, name: 0.5})


def test_a_cash_flow_takes_no_float():
    with pytest.raises(TypeError, match="amount was the float"):
        cash_flows("OTC", [("USD", 0.5, date(2027, 1, 1))], settlement="USD")


def test_the_name_of_an_account():
    assert account_name("alpha", "core") == "clients/alpha/accounts/core"
