"""Decimals are read, written and rounded exactly, or refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.money import (
    CENT,
    DECIMAL_GRAMMAR,
    EXACT,
    check_ledger_decimal,
    check_scale,
    exact_sum,
    format_decimal,
    parse_decimal,
    round_down_to_cent,
    round_up_to_cent,
)
from tests.unit.domain.strategies import ledger_decimals

LARGEST = "99999999999999999999.999999999999999999"


def refusal(check, *arguments, **keywords):
    with pytest.raises(DomainError) as caught:
        check(*arguments, **keywords)
    assert caught.value.reason is Reason.INVALID_DECIMAL
    return caught.value


@pytest.mark.parametrize(
    "text", ["0", "1", "-1", "0.5", "-0.000000000000000001", "1250.75", "1.10", "12345678901234567890", LARGEST, "-" + LARGEST]
)
def test_a_plain_decimal_is_read_as_it_is_spelled(text):
    assert parse_decimal(text, what="quantity") == Decimal(text)


@pytest.mark.parametrize("text", ["-0", "-0.00", "0.0"])
def test_zero_has_no_sign_and_no_places(text):
    assert str(parse_decimal(text, what="quantity")) == "0"


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "-", ".", "NaN", "sNaN", "Infinity", "-inf", "1e5", "1E5", "0x10", "1_000", "1,000", "+1", "--1"),
        *("01", "-01", "00", "00.5", ".5", "1.", "1.5.5", " 1", "1 ", "1\n", "1\x00", "$1", "1 000"),
        *("٣", "１", "1٫5", "−1", "1.٥"),
        *("1" * 21, "1" * 40, "0." + "1" * 19, "1" * 21 + ".5"),
    ],
)
def test_anything_but_a_plain_decimal_is_refused(text):
    error = refusal(parse_decimal, text, what="price")
    assert error.facts["field"] == "price"
    assert error.message.startswith("price was ")


def test_20_digits_before_and_18_after_the_point_are_the_most_that_is_read():
    assert parse_decimal("1" * 20 + "." + "1" * 18, what="quantity") == Decimal("1" * 20 + "." + "1" * 18)
    refusal(parse_decimal, "1" * 21, what="quantity")
    refusal(parse_decimal, "1." + "1" * 19, what="quantity")


@given(st.from_regex(DECIMAL_GRAMMAR, fullmatch=True))
def test_whatever_the_grammar_reads_the_ledger_holds(text):
    value = parse_decimal(text, what="quantity")
    assert check_ledger_decimal(value, what="quantity") == Decimal(text)


@pytest.mark.parametrize("text", ["NaN", "sNaN", "Infinity", "-Infinity", "1e20", "-1e20", "1e-19", "1.0000000000000000001", "1e500"])
def test_what_the_ledger_cannot_hold_exactly_is_refused(text):
    refusal(check_ledger_decimal, Decimal(text), what="quantity")


@pytest.mark.parametrize("text", [LARGEST, "-" + LARGEST, "1e-18", "9.9e19", "1.000000000000000000000"])
def test_the_ends_of_what_the_ledger_holds_are_accepted(text):
    assert check_ledger_decimal(Decimal(text), what="quantity") == Decimal(text)


@pytest.mark.parametrize(("text", "places"), [("1.25", 2), ("1.2500", 2), ("-1.25", 2), ("100", 0), ("1e3", 0), (LARGEST, 18)])
def test_a_value_within_its_scale_is_returned_unchanged(text, places):
    assert check_scale(Decimal(text), places=places, what="quantity") == Decimal(text)


@pytest.mark.parametrize(("text", "places"), [("1.251", 2), ("-0.001", 2), ("0.5", 0), ("1e-18", 17), ("Infinity", 2)])
def test_digits_beyond_the_scale_are_refused_and_never_rounded(text, places):
    assert refusal(check_scale, Decimal(text), places=places, what="quantity").facts["places"] == str(places)


@given(ledger_decimals)
def test_what_is_written_reads_back_and_is_canonical(value):
    text = format_decimal(value)
    assert parse_decimal(text, what="quantity") == value
    assert format_decimal(Decimal(text)) == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("100.500", "100.5"),
        ("1E+3", "1000"),
        ("-0", "0"),
        ("0E-18", "0"),
        ("1000", "1000"),
        ("-1.0", "-1"),
        ("1E-18", "0." + "0" * 17 + "1"),
    ],
)
def test_text_has_no_exponent_and_no_trailing_zeros(text, written):
    assert format_decimal(Decimal(text)) == written


@pytest.mark.parametrize(
    ("text", "up", "down"),
    [
        ("1.25", "1.25", "1.25"),
        ("1.251", "1.26", "1.25"),
        ("1.259999999999999999", "1.26", "1.25"),
        ("1.250000000000000001", "1.26", "1.25"),
        ("-1.251", "-1.25", "-1.26"),
        ("-1.25", "-1.25", "-1.25"),
        ("0", "0", "0"),
        ("-0.001", "0", "-0.01"),
        ("0.001", "0.01", "0"),
        ("12345678901234567890.001", "12345678901234567890.01", "12345678901234567890.00"),
    ],
)
def test_requirements_round_up_and_values_down_and_exact_cents_stay(text, up, down):
    assert round_up_to_cent(Decimal(text)) == Decimal(up)
    assert round_down_to_cent(Decimal(text)) == Decimal(down)


@given(ledger_decimals)
def test_rounding_is_against_the_client_and_by_less_than_a_cent(value):
    up, down = round_up_to_cent(value), round_down_to_cent(value)
    assert down <= value <= up
    assert exact_sum((up, -CENT)) < value < exact_sum((down, CENT))  # ordinary + would round to 28 digits


@given(st.lists(ledger_decimals, max_size=5))
def test_a_sum_keeps_every_digit(values):
    assert exact_sum(values) == Decimal(sum(int(value.scaleb(18, EXACT)) for value in values)).scaleb(-18, EXACT)
