"""Instruments survive the way to the domain and back, whatever their kind."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.adapters.grpc_server.wire.instrument import instrument_from_message, instrument_to_message
from crossmargin.api.v1 import reference_service_pb2 as pb
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.money import format_decimal


def timestamp(moment: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(moment)
    return message


names = st.from_regex(r"[A-Z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?", fullmatch=True)
currencies = st.from_regex(r"[A-Z]{3}", fullmatch=True)
words = st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126), min_size=1, max_size=60)
amounts = st.decimals(min_value="1e-18", max_value="99999999999999999999", places=18, allow_nan=False).map(format_decimal)
moments = st.datetimes(timezones=st.just(UTC)).map(timestamp)
# Until the last year whose holidays are known.
days = st.dates(max_value=date(2199, 12, 31)).map(lambda day: Date(year=day.year, month=day.month, day=day.day))
payoffs = st.sampled_from([pb.PAYOFF_LINEAR, pb.PAYOFF_INVERSE])
rights = st.sampled_from([pb.OPTION_RIGHT_CALL, pb.OPTION_RIGHT_PUT])
two_names = st.lists(names, min_size=2, max_size=2, unique=True)
per_year = st.sampled_from([1, 2, 4, 12])
day_counts = st.sampled_from([value for value in pb.DayCount.values() if value])
# A calendar moves days by a rule only.
rules = st.one_of(
    st.builds(lambda rule: {"business_day_rule": rule}, st.sampled_from(pb.BusinessDayRule.values())),
    st.builds(
        lambda calendar: {"business_day_rule": pb.BUSINESS_DAY_RULE_MODIFIED_FOLLOWING, "calendar": calendar},
        st.sampled_from(pb.HolidayCalendar.values()),
    ),
)
signed_rates = st.decimals(min_value="-0.999999999999999999", max_value="0.999999999999999999", places=18).map(format_decimal)
rates = st.decimals(min_value=0, max_value="0.999999999999999999", places=18).map(format_decimal)


def sorted_days(count: int) -> st.SearchStrategy[list[Date]]:
    """Different days, ascending."""
    drawn = st.lists(st.dates(max_value=date(2199, 12, 31)), min_size=count, max_size=count, unique=True).map(sorted)
    return drawn.map(lambda ordered: [Date(year=day.year, month=day.month, day=day.day) for day in ordered])


@st.composite
def options(draw) -> pb.EuropeanOptionTerms:
    underlying = draw(names)
    premium = draw(st.sampled_from([pb.PREMIUM_STYLE_CASH_PAID, pb.PREMIUM_STYLE_COIN_SETTLED, pb.PREMIUM_STYLE_MARGINED]))
    expiry, later = sorted(draw(st.lists(st.datetimes(timezones=st.just(UTC)), min_size=2, max_size=2)))
    is_on_future = premium != pb.PREMIUM_STYLE_COIN_SETTLED and draw(st.booleans())
    return pb.EuropeanOptionTerms(
        underlying=underlying,
        settlement=underlying if premium == pb.PREMIUM_STYLE_COIN_SETTLED else draw(names),
        multiplier=draw(amounts),
        right=draw(rights),
        strike=draw(amounts),
        expire_time=timestamp(expiry),
        premium_style=premium,
        future_expire_time=timestamp(later) if is_on_future else None,
    )


@st.composite
def american_options(draw) -> pb.AmericanOptionTerms:
    underlying, settlement = draw(two_names)
    return pb.AmericanOptionTerms(
        underlying=underlying,
        settlement=settlement,
        multiplier=draw(amounts),
        right=draw(rights),
        strike=draw(amounts),
        expire_time=draw(moments),
    )


@st.composite
def fx_options(draw) -> pb.FxOptionTerms:
    currency, settlement = draw(two_names)
    return pb.FxOptionTerms(currency=currency, settlement=settlement, right=draw(rights), strike=draw(amounts), expire_time=draw(moments))


@st.composite
def non_deliverable_forwards(draw) -> pb.NonDeliverableForwardTerms:
    bought, sold = draw(two_names)
    fixing, payment = draw(sorted_days(2))
    return pb.NonDeliverableForwardTerms(
        bought=bought, sold=sold, settlement=draw(names), contract_rate=draw(amounts), fixing_date=fixing, settlement_date=payment
    )


@st.composite
def notes(draw) -> pb.FloatingRateNoteTerms:
    issue, fixed, maturity = draw(sorted_days(3))
    return pb.FloatingRateNoteTerms(
        settlement=draw(names),
        spread_rate=draw(signed_rates),
        fixed_rate=draw(signed_rates),
        rate_fix_date=fixed,
        coupons_per_year=draw(per_year),
        day_count=draw(day_counts),
        **draw(rules),
        issue_date=issue,
        maturity_date=maturity,
    )


@st.composite
def swaps(draw) -> pb.InterestRateSwapTerms:
    start, accrued, maturity = draw(sorted_days(3))
    return pb.InterestRateSwapTerms(
        settlement=draw(names),
        fixed_rate=draw(signed_rates),
        payments_per_year=draw(per_year),
        day_count=draw(day_counts),
        **draw(rules),
        start_date=start,
        maturity_date=maturity,
        accrued_fraction=draw(signed_rates),
        accrue_date=accrued,
    )


@st.composite
def bond_futures(draw) -> pb.BondFutureTerms:
    issue, delivery, maturity = draw(sorted_days(3))
    deliverable = pb.FixedRateBondTerms(
        settlement=draw(names), coupon_rate=draw(rates), coupons_per_year=draw(per_year), issue_date=issue, maturity_date=maturity
    )
    return pb.BondFutureTerms(
        settlement=deliverable.settlement,
        multiplier=draw(amounts),
        delivery_date=delivery,
        conversion_factor=draw(amounts),
        deliverable=deliverable,
    )


flows = st.builds(pb.CashFlow, asset=names, amount=st.one_of(amounts, amounts.map(lambda text: f"-{text}")), payment_date=days)


@st.composite
def forwards(draw) -> pb.FxForwardTerms:
    bought, sold = draw(st.lists(names, min_size=2, max_size=2, unique=True))
    return pb.FxForwardTerms(bought=bought, sold=sold, contract_rate=draw(amounts), delivery_date=draw(days))


@st.composite
def bonds(draw) -> pb.FixedRateBondTerms:
    issue, maturity = sorted(draw(st.lists(st.dates(), min_size=2, max_size=2, unique=True)))
    return pb.FixedRateBondTerms(
        settlement=draw(names),
        coupon_rate=draw(rates),
        coupons_per_year=draw(st.sampled_from([1, 2, 4, 12])),
        issue_date=Date(year=issue.year, month=issue.month, day=issue.day),
        maturity_date=Date(year=maturity.year, month=maturity.month, day=maturity.day),
    )


TERMS = {
    "cash": st.builds(pb.CashTerms, currency=currencies),
    "stablecoin": st.builds(pb.StablecoinTerms, pegged_to=currencies, issuer=words),
    "crypto_asset": st.just(pb.CryptoAssetTerms()),
    "perpetual": st.builds(pb.PerpetualTerms, underlying=names, settlement=names, multiplier=amounts, payoff=payoffs),
    "dated_future": st.builds(
        pb.DatedFutureTerms, underlying=names, settlement=names, multiplier=amounts, payoff=payoffs, expire_time=moments
    ),
    "european_option": options(),
    "fx_forward": forwards(),
    "bill": st.builds(pb.BillTerms, settlement=names, maturity_date=days),
    "fixed_rate_bond": bonds(),
    "american_option": american_options(),
    "fx_option": fx_options(),
    "non_deliverable_forward": non_deliverable_forwards(),
    "floating_rate_note": notes(),
    "interest_rate_swap": swaps(),
    "bond_future": bond_futures(),
    "cash_flows": st.builds(pb.CashFlowsTerms, settlement=names, flows=st.lists(flows, min_size=1, max_size=5)),
}


def test_every_kind_of_the_api_is_tried_here():
    assert set(TERMS) == {field.name for field in pb.Instrument.DESCRIPTOR.oneofs_by_name["terms"].fields}


@pytest.mark.parametrize("kind", TERMS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_message_comes_back_as_it_went(kind, data):
    message = pb.Instrument(
        instrument_id=data.draw(names),
        quantity_places=data.draw(st.integers(0, 18)),
        collateral_class=data.draw(st.sampled_from(["", "BTC", "TREASURY"])),
        description=data.draw(st.one_of(st.just(""), words)),
    )
    getattr(message, kind).CopyFrom(data.draw(TERMS[kind]))
    assert message.WhichOneof("terms") == kind
    assert instrument_to_message(instrument_from_message(message)) == message


def test_no_class_on_the_wire_means_never_collateral():
    instrument = instrument_from_message(pb.Instrument(instrument_id="BTC", crypto_asset=pb.CryptoAssetTerms()))
    assert instrument.collateral_class is None


def test_decimals_are_exact():
    terms = pb.PerpetualTerms(underlying="BTC", settlement="USD", multiplier="0.000000000000000001", payoff=pb.PAYOFF_INVERSE)
    instrument = instrument_from_message(pb.Instrument(instrument_id="P", perpetual=terms))
    assert instrument.terms.multiplier == Decimal("1e-18")


@pytest.mark.parametrize("field", ["description", "collateral_class"])
def test_what_cannot_be_printed_is_refused_by_name(field):
    message = pb.Instrument(instrument_id="BTC", crypto_asset=pb.CryptoAssetTerms(), **{field: "a\x00b"})
    with pytest.raises(DomainError) as refused:
        instrument_from_message(message)
    assert (refused.value.reason, refused.value.facts["field"]) == (Reason.INVALID_ARGUMENT, f"instrument.{field}")
