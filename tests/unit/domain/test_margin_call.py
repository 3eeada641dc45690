"""What moves when posted margin is not what is required."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.margin_call import CallAmount, CallDirection, CallTerms, call_amount
from crossmargin.domain.money import exact_sum

D = Decimal
PLAIN = CallTerms(threshold=D(0), minimum_transfer_amount=D(0), rounding_unit=D(0))
NOTHING = CallAmount(CallDirection.NONE, D(0))
amounts = st.decimals(0, D("99999999999999999999"), places=18)
terms = st.builds(
    CallTerms, threshold=st.decimals(0, 1000, places=2), minimum_transfer_amount=st.decimals(0, 1000, places=2), rounding_unit=amounts
)


def call(required, posted, **changes):
    return call_amount(required=D(required), posted=D(posted), terms=replace(PLAIN, **{name: D(value) for name, value in changes.items()}))


def test_the_difference_moves_either_way():
    assert call("100", "60") == CallAmount(CallDirection.DELIVER, D(40))
    assert call("60", "100") == CallAmount(CallDirection.RETURN, D(40))
    assert call("100", "100") == NOTHING


def test_only_what_is_above_the_threshold_is_asked_for():
    assert call("100", "0", threshold="70") == CallAmount(CallDirection.DELIVER, D(30))
    assert call("60", "10", threshold="70") == CallAmount(CallDirection.RETURN, D(10))


@pytest.mark.parametrize(("required", "moves"), [("110", True), ("109.99", False), ("90", True), ("90.01", False)])
def test_a_difference_of_exactly_the_minimum_transfer_amount_moves(required, moves):
    assert (call(required, "100", minimum_transfer_amount="10") != NOTHING) == moves


def test_a_deficit_below_the_minimum_is_not_rounded_over_it():
    assert call("109", "100", minimum_transfer_amount="10", rounding_unit="10") == NOTHING


def test_deliveries_round_up_and_returns_down_and_multiples_stay():
    assert call("101", "0", rounding_unit="10").amount == D(110)
    assert call("0", "109", rounding_unit="10").amount == D(100)
    assert call("110", "0", rounding_unit="10").amount == call("0", "110", rounding_unit="10").amount == D(110)


def test_a_return_that_rounds_to_nothing_is_none():
    assert call("0", "9", rounding_unit="10") == NOTHING


def test_all_38_digits_are_kept():
    assert call("99999999999999999999.999999999999999999", "0.000000000000000001").amount == D("99999999999999999999.999999999999999998")
    # A third of the largest amount has no end: a quotient would be rounded, and with it the multiple.
    assert call("99999999999999999999.000000000000000001", "0", rounding_unit="3").amount == D("100000000000000000002")


@given(amounts, amounts, terms)
def test_what_moves_is_the_difference_within_one_rounding_unit_against_the_client(required, posted, agreed):
    moved = call_amount(required=required, posted=posted, terms=agreed)
    missing = exact_sum((max(D(0), exact_sum((required, -agreed.threshold))), posted.copy_negate()))
    if moved.direction is CallDirection.DELIVER:
        assert 0 <= exact_sum((moved.amount, missing.copy_negate())) < (agreed.rounding_unit or D("1e-18"))
    elif moved.direction is CallDirection.RETURN:
        assert 0 <= exact_sum((missing.copy_negate(), moved.amount.copy_negate())) < (agreed.rounding_unit or D("1e-18"))
    else:
        assert not missing or missing.copy_abs() < max(agreed.minimum_transfer_amount, agreed.rounding_unit)
    assert (moved.amount == 0) == (moved.direction is CallDirection.NONE)


@given(amounts, amounts, terms)
def test_after_a_transfer_nothing_more_is_asked_for(required, posted, agreed):
    moved = call_amount(required=required, posted=posted, terms=agreed)
    signed = {CallDirection.DELIVER: moved.amount, CallDirection.RETURN: moved.amount.copy_negate(), CallDirection.NONE: D(0)}
    after = exact_sum((posted, signed[moved.direction]))
    if after < D("1e20"):
        assert call_amount(required=required, posted=after, terms=agreed).direction is not CallDirection.DELIVER


@pytest.mark.parametrize("name", ["threshold", "minimum_transfer_amount", "rounding_unit"])
def test_terms_below_zero_are_refused(name):
    with pytest.raises(DomainError) as caught:
        replace(PLAIN, **{name: D("-0.01")})
    assert caught.value.reason is Reason.INVALID_ARGUMENT


@pytest.mark.parametrize(("required", "posted"), [("-1", "0"), ("0", "-1")])
def test_amounts_below_zero_are_refused(required, posted):
    with pytest.raises(DomainError) as caught:
        call(required, posted)
    assert caught.value.reason is Reason.INVALID_ARGUMENT


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "1e20", "1e-19"])
def test_amounts_that_the_ledger_cannot_hold_are_refused(amount):
    with pytest.raises(DomainError) as caught:
        call(amount, "0")
    assert caught.value.reason is Reason.INVALID_DECIMAL
