"""Quotes: what is refused at the door, and how a source's numbers are read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId, SourceId
from crossmargin.domain.instrument import Instrument, Payoff, Perpetual
from crossmargin.domain.market import FactorId
from crossmargin.domain.quote import Quote, SourceProgress, check_quote, new_sequences, subject_from_text

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
FEED = SourceId("feed-a")
PERP = InstrumentId("BTC-PERP")
LISTED = {PERP: Instrument(PERP, Perpetual(InstrumentId("BTC"), InstrumentId("USD"), Decimal(1), Payoff.LINEAR), 3)}


def a_quote(subject="spot:BTC", value="60000", *, after=timedelta(0)):
    return Quote(FEED, subject_from_text(subject), Decimal(value), 7, NOW + after)


def refusal(quote):
    with pytest.raises(DomainError) as refused:
        check_quote(quote, received_at=NOW, instruments=LISTED)
    return refused.value


@pytest.mark.parametrize(
    ("subject", "value"), [("spot:BTC", "60000"), ("zero:USD:2Y", "-0.004"), ("basis:BTC:3M", "0"), ("BTC-PERP", "60010.5")]
)
def test_what_can_be_is_taken_as_it_is(subject, value):
    assert check_quote(a_quote(subject, value), received_at=NOW, instruments=LISTED) == a_quote(subject, value)


@pytest.mark.parametrize(
    ("subject", "value", "reason"),
    [
        ("spot:BTC", "0", Reason.INVALID_SNAPSHOT),
        ("fx:EUR", "-1.1", Reason.INVALID_SNAPSHOT),
        ("vol:BTC:1M", "0", Reason.INVALID_SNAPSHOT),
        ("zero:USD:2Y", "42.5", Reason.INVALID_SNAPSHOT),
        ("spot:BTC", "NaN", Reason.INVALID_DECIMAL),
        ("spot:BTC", "Infinity", Reason.INVALID_DECIMAL),
        ("BTC-PERP", "-60000", Reason.INVALID_PRICE),
        ("ETH-PERP", "2000", Reason.UNKNOWN_INSTRUMENT),
    ],
)
def test_what_cannot_be_is_refused_by_name(subject, value, reason):
    error = refusal(a_quote(subject, value))
    assert error.reason is reason
    assert subject in error.message


def test_a_time_more_than_a_second_ahead_is_refused_and_says_by_how_much():
    assert check_quote(a_quote(after=timedelta(seconds=1)), received_at=NOW, instruments={})
    error = refusal(a_quote(after=timedelta(seconds=1, microseconds=1)))
    assert (error.reason, error.facts["sequence"]) == (Reason.INVALID_TIMESTAMP, "7")
    assert refusal(a_quote(after=timedelta(seconds=61.5))).facts["ahead_s"] == "61.500"


def test_a_time_without_a_zone_is_refused():
    naive = replace(a_quote(), observed_at=datetime(2026, 3, 2, 12))  # noqa: DTZ001 - the point of the test
    assert refusal(naive).reason is Reason.INVALID_TIMESTAMP


def test_a_subject_is_a_factor_exactly_when_it_has_a_colon():
    assert subject_from_text("spot:BTC") == FactorId.parse("spot:BTC")
    assert subject_from_text("BTC-PERP") == PERP
    with pytest.raises(DomainError):
        subject_from_text("spit:BTC")


def test_gaps_are_counted_and_the_first_sequence_of_all_misses_none():
    started = SourceProgress(FEED).after([41, 42])
    assert started == SourceProgress(FEED, 42, 0)
    assert started.after([43, 47, 48, 45]) == SourceProgress(FEED, 48, 3)


@given(st.integers(0, 20), st.lists(st.integers(1, 30), max_size=15))
def test_new_sequences_ascend_from_what_was_said_before(last, sequences):
    fresh = new_sequences(last, sequences)
    assert fresh == sorted(set(fresh))
    assert all(sequence > last for sequence in fresh)
    assert max([last, *sequences]) == max([last, *fresh])
    assert new_sequences(max([last, *fresh]), sequences) == []
