"""Arrays in words are read by PostgreSQL as what they were made of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crossmargin.adapters.postgres.array_words import bytes_array, moment_array, number_array, text_array

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=18)
MOMENTS = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - the zone is the strategy's
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30))]),
)


@pytest.fixture(scope="module")
def read(module_database_url):
    with psycopg.connect(module_database_url, autocommit=True) as connection:
        yield lambda words, kind: connection.execute(f"SELECT %s::{kind}[]".encode(), (words,)).fetchone()[0]


@given(texts=st.lists(TEXTS, max_size=5), byte_strings=st.lists(st.binary(max_size=40), max_size=5))
@example(texts=["NULL", "", '"', "\\", "{}", ",", " a ", "'"], byte_strings=[b""])
@settings(max_examples=40, deadline=None)
def test_words_are_read_as_they_were(read, texts, byte_strings):
    assert read(text_array(texts), "text") == texts
    assert read(bytes_array(byte_strings), "bytea") == byte_strings


@given(amounts=st.lists(AMOUNTS, max_size=5), numbers=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5))
@example(amounts=[Decimal("1E+3"), Decimal("-0.50")], numbers=[])
@settings(max_examples=40, deadline=None)
def test_numbers_are_read_with_all_their_digits(read, amounts, numbers):
    assert read(number_array(amounts), "numeric") == amounts
    assert read(number_array(numbers), "bigint") == numbers


@given(moments=st.lists(MOMENTS, max_size=5))
@settings(max_examples=20, deadline=None)
def test_moments_are_read_as_the_same_ones(read, moments):
    assert read(moment_array(moments), "timestamptz") == moments
