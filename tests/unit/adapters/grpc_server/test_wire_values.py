"""Names, times, dates and fractions on the wire."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.adapters.grpc_server.wire.values import (
    account_ref_from_name,
    book_id_from_text,
    date_from_message,
    date_to_message,
    format_fraction,
    inverse,
    moment_from_message,
    moment_to_message,
)
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.money import DECIMAL_GRAMMAR

YEAR_1 = -62_135_596_800
YEAR_10000 = 253_402_300_800


def reason_of(work) -> tuple[Reason, str]:
    with pytest.raises(DomainError) as refused:
        work()
    return refused.value.reason, refused.value.facts.get("field", "")


@settings(deadline=None)
@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_is_the_same_after_the_wire_to_the_microsecond(moment):
    message = moment_to_message(moment)
    assert 0 <= message.nanos < 1_000_000_000
    assert moment_from_message(message, what="t") == moment
    assert moment_from_message(message, what="t").tzinfo is UTC


def test_a_time_of_another_zone_is_sent_in_utc():
    moment = datetime(2026, 3, 2, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    assert moment_from_message(moment_to_message(moment), what="t") == datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [(0, 1), (0, 999_999_999), (0, 1_500), (0, -1000), (0, 1_000_000_000), (YEAR_1 - 1, 0), (YEAR_10000, 0), (2**62, 0), (-(2**62), 0)],
)
def test_a_time_that_cannot_be_stored_as_it_is_is_refused(seconds, nanos):
    message = Timestamp(seconds=seconds, nanos=nanos)
    assert reason_of(lambda: moment_from_message(message, what="trades[3].execute_time")) == (
        Reason.INVALID_TIMESTAMP,
        "trades[3].execute_time",
    )


@pytest.mark.parametrize(("seconds", "nanos"), [(YEAR_1, 0), (YEAR_10000 - 1, 999_999_000), (0, 1000), (-1, 999_999_000)])
def test_the_first_and_the_last_time_are_taken(seconds, nanos):
    message = Timestamp(seconds=seconds, nanos=nanos)
    assert moment_to_message(moment_from_message(message, what="t")) == message


@settings(deadline=None)
@given(st.dates())
def test_a_date_is_the_same_after_the_wire(day):
    assert date_from_message(date_to_message(day), what="d") == day


@pytest.mark.parametrize(
    ("year", "month", "day"), [(0, 1, 1), (2026, 0, 1), (2026, 1, 0), (2026, 2, 29), (2026, 13, 1), (10_000, 1, 1), (-1, 1, 1)]
)
def test_a_date_that_is_no_day_is_refused_by_name(year, month, day):
    message = Date(year=year, month=month, day=day)
    assert reason_of(lambda: date_from_message(message, what="dates[7]")) == (Reason.INVALID_ARGUMENT, "dates[7]")


def test_a_leap_day_is_a_day():
    assert date_from_message(Date(year=2028, month=2, day=29), what="d") == date(2028, 2, 29)


def test_an_account_name_is_read_into_its_parts():
    ref = account_ref_from_name("clients/alpha/accounts/core", what="account")
    assert (ref.client_id, ref.account_id, str(ref)) == ("alpha", "core", "clients/alpha/accounts/core")


@pytest.mark.parametrize(
    "name", ["", "alpha", "clients/alpha", "clients/alpha/books/core", "users/alpha/accounts/core", "clients/alpha/accounts/core/x"]
)
def test_any_other_name_is_refused(name):
    assert reason_of(lambda: account_ref_from_name(name, what="account"))[0] is Reason.INVALID_IDENTIFIER


def test_no_book_is_the_main_book():
    assert (book_id_from_text(""), book_id_from_text("basis-desk")) == ("main", "basis-desk")


@settings(deadline=None)
@given(st.decimals(min_value=-1000, max_value=1000, allow_nan=False))
def test_a_computed_fraction_is_a_plain_decimal_and_close(value):
    text = format_fraction(value)
    assert DECIMAL_GRAMMAR.fullmatch(text)
    assert abs(Decimal(text) - value) <= Decimal("5e-13")


def test_two_keys_of_one_value_cannot_be_told_apart():
    with pytest.raises(ValueError, match="same value"):
        inverse({1: "a", 2: "a"})
