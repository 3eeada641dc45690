"""Instruments survive the way to the domain and back, whatever their kind."""

from __future__ import annotations

from datetime import UTC, datetime
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
days = st.dates().map(lambda day: Date(year=day.year, month=day.month, day=day.day))
payoffs = st.sampled_from([pb.PAYOFF_LINEAR, pb.PAYOFF_INVERSE])
rights = st.sampled_from([pb.OPTION_RIGHT_CALL, pb.OPTION_RIGHT_PUT])
rates = st.decimals(min_value=0, max_value="0.999999999999999999", places=18).map(format_decimal)


@st.composite
def options(draw) -> pb.EuropeanOptionTerms:
    underlying = draw(names)
    premium = draw(st.sampled_from([pb.PREMIUM_STYLE_CASH_PAID, pb.PREMIUM_STYLE_COIN_SETTLED]))
    return pb.EuropeanOptionTerms(
        underlying=underlying,
        settlement=underlying if premium == pb.PREMIUM_STYLE_COIN_SETTLED else draw(names),
        multiplier=draw(amounts),
        right=draw(rights),
        strike=draw(amounts),
        expire_time=draw(moments),
        premium_style=premium,
    )


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
