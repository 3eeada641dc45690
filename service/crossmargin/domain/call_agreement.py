"""What was agreed with a client about margin calls: what moves, and by when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final, TypeAlias

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.holidays import HolidayCalendar, is_holiday
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId
from crossmargin.domain.margin_call import CallTerms
from crossmargin.domain.money import format_decimal

LONGEST_DUE_DAYS: Final = 5
_SATURDAY: Final = 5
Agreements: TypeAlias = Mapping[tuple[ClientId, AccountId | None], "CallAgreement"]


@dataclass(frozen=True, slots=True)
class CallAgreement:
    """The terms of margin calls of one client or account.

    Attributes:
        account_id: The account; None for all accounts of the client that have no terms of their own.
        cut_off: A call issued at this time of day, in UTC, or later counts as issued on the next day.
        due_days: Days after the day of issue. due_time: Time of day, in UTC, at which it is due then.
        on_business_days: Whether only Monday to Friday are days; a call at a weekend then counts as issued on Monday.
        calendar: Whose holidays are no business days either; it takes `on_business_days`.
        set_by: Who set them, both of them; empty for terms that nobody set. set_at: By the clock of the storage.
    """

    client_id: ClientId
    account_id: AccountId | None
    terms: CallTerms
    cut_off: time
    due_days: int
    due_time: time
    on_business_days: bool
    calendar: HolidayCalendar = HolidayCalendar.WEEKENDS
    set_by: str = ""
    set_at: datetime | None = None

    def __post_init__(self) -> None:
        for name, moment in (("cut_off", self.cut_off), ("due_time", self.due_time)):
            if moment.tzinfo is not None:
                raise _refusal(name, moment, "a time of day without a zone; it is UTC")
        if not 0 <= self.due_days <= LONGEST_DUE_DAYS:
            raise _refusal("due_days", self.due_days, f"0 to {LONGEST_DUE_DAYS}")
        if self.calendar is not HolidayCalendar.WEEKENDS and not self.on_business_days:
            raise _refusal("calendar", self.calendar.value, "none where every day counts; or set business_days")
        if self.due_days == 0 and self.due_time <= self.cut_off:
            raise _refusal("due_time", self.due_time, f"later than cut_off {self.cut_off:%H:%M}, when it is due on the day of issue")

    @property
    def scope(self) -> str:
        """What they are about: `clients/alpha`, or `clients/alpha/accounts/core`."""
        client = f"clients/{self.client_id}"
        return client if self.account_id is None else f"{client}/accounts/{self.account_id}"

    @property
    def words(self) -> str:
        """All that somebody asks for who wants to set them, in words."""
        threshold, least, unit = (
            format_decimal(amount) for amount in (self.terms.threshold, self.terms.minimum_transfer_amount, self.terms.rounding_unit)
        )
        days = "business days" if self.on_business_days else "days"
        if self.calendar is not HolidayCalendar.WEEKENDS:
            days = f"{days} of {self.calendar.value}"
        return (
            f"set call terms of {self.scope}: threshold {threshold}, minimum transfer {least}, rounded to {unit}, "
            f"cut-off {self.cut_off:%H:%M}, due {self.due_days} {days} later at {self.due_time:%H:%M} UTC"
        )

    def due_at(self, issued_at: datetime) -> datetime:
        """Return when a call is due that is issued at a time.

        >>> terms = CallTerms(Decimal(0), Decimal(0), Decimal(0))
        >>> agreed = CallAgreement(ClientId("alpha"), None, terms, time(16), 1, time(12), on_business_days=True)
        >>> str(agreed.due_at(datetime(2026, 3, 6, 16, tzinfo=UTC)))
        '2026-03-10 12:00:00+00:00'

        Good Friday and Easter Monday are none where the calendar says so:

        >>> from dataclasses import replace
        >>> str(replace(agreed, calendar=HolidayCalendar.TARGET).due_at(datetime(2026, 4, 2, 12, tzinfo=UTC)))
        '2026-04-07 12:00:00+00:00'
        """
        moment = issued_at.astimezone(UTC)
        day = self._at_least(moment.date())
        if day == moment.date() and moment.time() >= self.cut_off:
            day = self._at_least(day + timedelta(days=1))
        for _ in range(self.due_days):
            day = self._at_least(day + timedelta(days=1))
        return datetime.combine(day, self.due_time, UTC)

    def _at_least(self, day: date) -> date:
        while self.on_business_days and (day.weekday() >= _SATURDAY or is_holiday(day, self.calendar)):
            day += timedelta(days=1)
        return day


def house_agreement(client_id: ClientId) -> CallAgreement:
    """Return what holds where nothing was agreed: whole thousands, due the next day at 16:00 UTC, weekends included."""
    terms = CallTerms(threshold=Decimal(0), minimum_transfer_amount=Decimal(1_000), rounding_unit=Decimal(1_000))
    return CallAgreement(client_id, None, terms, cut_off=time(16), due_days=1, due_time=time(16), on_business_days=False)


def agreement_of(ref: AccountRef, agreements: Agreements) -> CallAgreement:
    """Return the terms of an account: its own, or those of its client, or those of the house."""
    own = agreements.get((ref.client_id, ref.account_id)) or agreements.get((ref.client_id, None))
    return own or house_agreement(ref.client_id)


def _refusal(name: str, value: object, expected: str) -> DomainError:
    return DomainError(Reason.INVALID_ARGUMENT, f"{name} was {value}; expected {expected}", field=name, value=value, expected=expected)
