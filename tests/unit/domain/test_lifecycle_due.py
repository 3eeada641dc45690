"""What the terms promise can be booked from its day on, and everything that ends is expected to."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.lifecycle import check_event
from crossmargin.domain.lifecycle_due import expected_end, expected_payments
from crossmargin.domain.lifecycle_event import ContractPayment, Coupon, LifecycleEvent, ending_event
from tests.unit.domain import instruments as the

LONG_AGO, FAR = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
RATE_STATED = date(2026, 5, 15)
"""Of the note's coupons the one whose rate is in its terms."""
PAYING = (the.BOND, the.NOTE, the.SWAP)


@pytest.mark.parametrize("instrument", PAYING, ids=the.name_of)
def test_a_payment_that_is_expected_is_one_that_can_be_booked_under_that_name(instrument):
    payments = expected_payments(instrument, after=LONG_AGO, until=FAR)
    assert payments
    for payment in payments:
        day = payment.due.date()
        rate = None if instrument is the.BOND else Decimal("0.01")
        happening = ContractPayment(day, rate) if instrument is the.SWAP else Coupon(day, None if day == RATE_STATED else rate)
        event = LifecycleEvent(instrument.instrument_id, payment.due, happening)
        check_event(event, instrument)
        assert payment.name == event.name


def test_payments_are_those_after_one_time_and_by_another():
    every = [payment.due for payment in expected_payments(the.BOND, after=LONG_AGO, until=FAR)]
    one, other = every[1], every[3]
    assert [payment.due for payment in expected_payments(the.BOND, after=one, until=other)] == every[2:4]
    assert expected_payments(the.BOND, after=one, until=every[2] - timedelta(microseconds=1)) == ()


@pytest.mark.parametrize("instrument", the.EVERY_KIND, ids=the.name_of)
def test_whatever_has_an_end_is_expected_to_end(instrument):
    end = expected_end(instrument)
    word = ending_event(instrument.terms)
    assert (end is not None) == bool(word)
    if end is not None:
        assert end.name == f"{word} {instrument.instrument_id}"
        assert all(payment.due < end.due for payment in expected_payments(instrument, after=LONG_AGO, until=FAR))


def test_ends_are_at_the_times_from_which_they_can_be_booked():
    ends = {each.instrument_id: expected_end(each).due for each in (the.BOND, the.CASH_OPTION, the.NDF, the.FLOWS)}
    assert ends == {
        "UST-BOND": datetime(2031, 5, 15, tzinfo=UTC),
        "BTC-CALL": the.EXPIRY,
        "EURUSD-NDF": datetime(2026, 8, 28, tzinfo=UTC),
        "BESPOKE": datetime(2026, 9, 1, tzinfo=UTC),
    }
