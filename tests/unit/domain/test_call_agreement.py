"""When a call is due, and whose terms hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crossmargin.domain.call_agreement import CallAgreement, agreement_of, house_agreement
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.holidays import HolidayCalendar, is_holiday
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId
from crossmargin.domain.margin_call import CallTerms

ALPHA = ClientId("alpha")
CORE = AccountRef(ALPHA, AccountId("core"))
TERMS = CallTerms(Decimal(0), Decimal(500_000), Decimal(10_000))
AGREED = CallAgreement(ALPHA, None, TERMS, time(14), 1, time(12), on_business_days=True)


def moment(*parts):
    return datetime(*parts, tzinfo=UTC)


def at(day, hour=9, minute=0):
    """A moment of March 2026, whose first day is a Sunday."""
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("issued", "due"),
    [
        (at(2, 13, 59), at(3, 12)),
        (at(2, 14), at(4, 12)),
        (at(6, 9), at(9, 12)),
        (at(6, 14), at(10, 12)),
        (at(7, 23), at(10, 12)),
        (at(8, 1), at(10, 12)),
    ],
)
def test_a_call_is_due_some_business_days_after_the_day_it_counts_for(issued, due):
    assert AGREED.due_at(issued) == due


@pytest.mark.parametrize(
    ("calendar", "issued", "due"),
    [
        # Good Friday was 3 April 2026, and Easter Monday the 6th.
        (HolidayCalendar.WEEKENDS, moment(2026, 4, 2, 9), moment(2026, 4, 3, 12)),
        (HolidayCalendar.TARGET, moment(2026, 4, 2, 9), moment(2026, 4, 7, 12)),
        (HolidayCalendar.TARGET, moment(2026, 4, 3, 9), moment(2026, 4, 8, 12)),
        (HolidayCalendar.LONDON, moment(2026, 4, 2, 13, 59), moment(2026, 4, 7, 12)),
        (HolidayCalendar.LONDON, moment(2026, 4, 2, 14), moment(2026, 4, 8, 12)),
        # The fourth of July of 2026 is a Saturday: nobody pays on the Friday before it in dollars, but in euros.
        (HolidayCalendar.US_GOVERNMENT_BONDS, moment(2026, 7, 2, 9), moment(2026, 7, 6, 12)),
        (HolidayCalendar.TARGET, moment(2026, 7, 2, 9), moment(2026, 7, 3, 12)),
        # The golden week of Japan: 29 April, and 4 to 6 May.
        (HolidayCalendar.TOKYO, moment(2026, 4, 28, 9), moment(2026, 4, 30, 12)),
        (HolidayCalendar.TOKYO, moment(2026, 5, 1, 9), moment(2026, 5, 7, 12)),
        # New Year's Day, a Thursday in 2026.
        (HolidayCalendar.LONDON, moment(2025, 12, 31, 9), moment(2026, 1, 2, 12)),
    ],
    ids=str,
)
def test_a_holiday_of_the_calendar_that_was_agreed_is_no_business_day(calendar, issued, due):
    agreed = replace(AGREED, calendar=calendar)
    assert agreed.due_at(issued) == due


def test_terms_without_a_calendar_mean_what_they_meant():
    """Every hour of three years: the days of Monday to Friday, as they were counted before calendars could be named."""
    for hour in range(0, 24 * 365 * 3, 5):
        issued = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
        day = issued.date()
        late = day.weekday() > 4 or issued.time() >= AGREED.cut_off
        first = weekday_from(day if day.weekday() > 4 else day + timedelta(days=late))
        assert AGREED.due_at(issued) == datetime.combine(weekday_from(first + timedelta(days=1)), time(12), UTC)


def weekday_from(day):
    return day + timedelta(days=(7 - day.weekday()) % 7 if day.weekday() > 4 else 0)


def test_without_business_days_weekends_are_days():
    everyday = replace(AGREED, on_business_days=False)
    assert everyday.due_at(at(7, 9)) == at(8, 12)
    assert everyday.due_at(at(7, 15)) == at(9, 12)


def test_a_call_may_be_due_on_the_day_of_issue():
    same_day = replace(AGREED, due_days=0, due_time=time(18))
    assert same_day.due_at(at(2, 13)) == at(2, 18)
    assert same_day.due_at(at(6, 15)) == at(9, 18)


def test_the_zone_of_the_issue_changes_nothing():
    """A minute before the cut-off in UTC it is late in the evening in Tokyo, and the next day in Auckland."""
    for hours in (9, 13):
        abroad = at(2, 13, 59).astimezone(timezone(timedelta(hours=hours)))
        assert AGREED.due_at(abroad) == AGREED.due_at(at(2, 13, 59)) == at(3, 12)


def test_where_nothing_was_agreed_calls_are_whole_thousands_and_due_the_next_day_at_four():
    nothing, thousand, four = Decimal(0), Decimal(1_000), time(16)
    assert house_agreement(ALPHA) == CallAgreement(
        ALPHA, None, CallTerms(nothing, thousand, thousand), four, 1, four, on_business_days=False
    )


def test_a_call_may_be_due_five_days_later_at_most():
    assert replace(AGREED, due_days=5).due_at(at(2, 9)) == at(9, 12)


def test_a_call_is_always_due_after_it_was_issued():
    for agreed in (AGREED, replace(AGREED, due_days=0, due_time=time(14, 1)), house_agreement(ALPHA)):
        for hour in range(24 * 8):
            issued = at(1, 0) + timedelta(hours=hour)
            assert agreed.due_at(issued) > issued


def test_terms_of_the_account_come_before_those_of_the_client_and_those_before_the_house():
    own = replace(AGREED, account_id=CORE.account_id)
    both = {(ALPHA, None): AGREED, (ALPHA, CORE.account_id): own}
    assert agreement_of(CORE, both) is own
    assert agreement_of(AccountRef(ALPHA, AccountId("other")), both) is AGREED
    assert agreement_of(AccountRef(ClientId("beta"), AccountId("core")), both) == house_agreement(ClientId("beta"))


def test_the_words_name_everything_that_two_persons_agree_on():
    assert AGREED.words == (
        "set call terms of clients/alpha: threshold 0, minimum transfer 500000, rounded to 10000, "
        "cut-off 14:00, due 1 business days later at 12:00 UTC"
    )
    changed = [
        replace(AGREED, account_id=CORE.account_id),
        replace(AGREED, terms=replace(TERMS, threshold=Decimal(1))),
        replace(AGREED, terms=replace(TERMS, minimum_transfer_amount=Decimal(1))),
        replace(AGREED, terms=replace(TERMS, rounding_unit=Decimal(1))),
        replace(AGREED, cut_off=time(13)),
        replace(AGREED, due_days=2),
        replace(AGREED, due_time=time(13)),
        replace(AGREED, on_business_days=False),
        *(replace(AGREED, calendar=each) for each in HolidayCalendar if each is not HolidayCalendar.WEEKENDS),
    ]
    assert len({AGREED.words, *(each.words for each in changed)}) == 13
    assert "due 1 business days of TARGET later" in replace(AGREED, calendar=HolidayCalendar.TARGET).words


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"due_days": 6}, "due_days"),
        ({"due_days": -1}, "due_days"),
        ({"due_days": 0}, "due_time"),
        ({"due_days": 0, "due_time": time(14)}, "due_time"),
        ({"due_time": time(14, tzinfo=UTC)}, "due_time"),
        ({"cut_off": time(14, tzinfo=UTC)}, "cut_off"),
        ({"calendar": HolidayCalendar.LONDON, "on_business_days": False}, "calendar"),
    ],
)
def test_terms_that_cannot_be_are_refused_by_name(changes, name):
    with pytest.raises(DomainError) as refused:
        replace(AGREED, **changes)
    assert (refused.value.reason, refused.value.facts["field"]) == (Reason.INVALID_ARGUMENT, name)


TIMES = st.times(timezones=st.none())
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2028, 12, 31), timezones=st.timezones())  # noqa: DTZ001 - the zone is drawn


@st.composite
def agreements(draw):
    cut_off, due_time, days = draw(TIMES), draw(TIMES), draw(st.integers(0, 5))
    assume(days or due_time > cut_off)
    calendar = draw(st.sampled_from(HolidayCalendar))
    on_business_days = draw(st.booleans()) or calendar is not HolidayCalendar.WEEKENDS
    return CallAgreement(ALPHA, None, TERMS, cut_off, days, due_time, on_business_days=on_business_days, calendar=calendar)


@given(agreements(), MOMENTS, st.timedeltas(timedelta(0), timedelta(days=9)))
def test_a_call_is_due_after_its_issue_on_a_day_that_counts_and_never_before_one_that_was_issued_earlier(agreed, issued, later):
    """In every zone of the world and through every change of its clocks, because days and times are those of UTC."""
    issued = issued.astimezone(UTC)
    due = agreed.due_at(issued)
    assert due > issued
    assert (due.time(), due.tzinfo) == (agreed.due_time, UTC)
    assert agreed.due_at(issued + later) >= due
    closed = [
        day for n in range((due.date() - issued.date()).days + 1) if is_closed(day := issued.date() + timedelta(days=n), agreed.calendar)
    ]
    days = (due.date() - issued.date()).days - (len(closed) if agreed.on_business_days else 0)
    assert days <= agreed.due_days + 1
    assert not agreed.on_business_days or not is_closed(due.date(), agreed.calendar)


def is_closed(day, calendar):
    return day.weekday() > 4 or is_holiday(day, calendar)


@given(agreements(), MOMENTS)
def test_a_call_is_due_at_the_same_moment_whatever_zone_its_issue_is_told_in(agreed, issued):
    assert agreed.due_at(issued) == agreed.due_at(issued.astimezone(UTC))
