"""Bills, bonds and swaps: payments on days that a schedule gives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum, unique

from crossmargin.domain.holidays import LAST_YEAR, HolidayCalendar
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.terms.checks import require, require_curve_name, require_payments_per_year, require_positive, require_rate


@unique
class DayCount(Enum):
    """What part of a year lies between two days."""

    ACT_360 = "act/360"
    ACT_365F = "act/365F"
    THIRTY_360 = "30/360"
    """Months of thirty days: the bond basis of ISDA 2006, section 4.16(f)."""
    ACT_ACT_ICMA = "act/act ICMA"
    """Days over the days of the regular period, by its share of a year: a whole period is 1 / payments per year."""


@unique
class BusinessDayRule(Enum):
    """What becomes of a schedule's day on which markets are closed."""

    UNADJUSTED = "unadjusted"
    MODIFIED_FOLLOWING = "modified following"
    """The next day that is neither weekend nor holiday of the contract's calendar, or the last one before if that is in the next month."""


@dataclass(frozen=True, slots=True)
class Bill:
    """A zero-coupon obligation. A quantity is a face amount in the settlement currency; the price is per 100 of face.

    Attributes:
        credit_curve: Issuer or rating whose spreads, `spread:NAME` at every tenor, lie on top of the zero rates; None for a government's
            own paper.
    """

    settlement: InstrumentId
    maturity_date: date
    credit_curve: str | None = None

    def __post_init__(self) -> None:
        require_curve_name("credit_curve", self.credit_curve)


@dataclass(frozen=True, slots=True)
class FixedRateBond:
    """A bond with level coupons. A quantity is a face amount; the price is dirty, per 100 of face.

    Coupons fall on `maturity_date` and every 12 / `coupons_per_year` months before it, back to `issue_date`, unadjusted; each pays
    coupon_rate / coupons_per_year.

    Attributes:
        credit_curve: As of a bill.
    """

    settlement: InstrumentId
    coupon_rate: Decimal
    coupons_per_year: int
    issue_date: date
    maturity_date: date
    credit_curve: str | None = None

    def __post_init__(self) -> None:
        require_curve_name("credit_curve", self.credit_curve)
        require_rate("coupon_rate", self.coupon_rate, may_be_negative=False)
        require_payments_per_year("coupons_per_year", self.coupons_per_year)
        require(
            self.issue_date < self.maturity_date,
            f"issue_date {self.issue_date} is not before maturity_date {self.maturity_date}",
        )


@dataclass(frozen=True, slots=True)
class FloatingRateNote:
    """A note that pays the rate of its currency plus a spread. A quantity is a face amount; the price is dirty, per 100 of face.

    Coupon periods end on `maturity_date` and every 12 / `coupons_per_year` months before it, back to `issue_date`. The rate of a
    period is fixed when it begins and paid when it ends.

    Attributes:
        spread_rate: Paid on top of the rate, per year; of any sign.
        fixed_rate: What the period that contains `rate_fixed_on` pays per year, the spread included. No rate is stated by a
            day before the issue date. What nobody has stated is projected from the curve.
        credit_curve: As of a bill.
        calendar: Whose holidays move a day by the rule.
    """

    settlement: InstrumentId
    spread_rate: Decimal
    fixed_rate: Decimal
    rate_fixed_on: date
    coupons_per_year: int
    day_count: DayCount
    business_days: BusinessDayRule
    issue_date: date
    maturity_date: date
    credit_curve: str | None = None
    calendar: HolidayCalendar = HolidayCalendar.WEEKENDS

    def __post_init__(self) -> None:
        _check_calendar(self.calendar, self.business_days, self.maturity_date)
        require_curve_name("credit_curve", self.credit_curve)
        require_rate("spread_rate", self.spread_rate)
        require_rate("fixed_rate", self.fixed_rate)
        require_payments_per_year("coupons_per_year", self.coupons_per_year)
        require(
            self.issue_date < self.maturity_date,
            f"issue_date {self.issue_date} is not before maturity_date {self.maturity_date}",
        )
        require(
            self.rate_fixed_on < self.maturity_date,
            f"rate_fixed_on {self.rate_fixed_on} is not before maturity_date {self.maturity_date}",
        )


@dataclass(frozen=True, slots=True)
class InterestRateSwap:
    """A fixed rate against the compounded overnight rate. A quantity is a notional: positive pays fixed and receives floating.

    Both legs pay on `maturity_date` and every 12 / `payments_per_year` months before it, back to `start_date`. The price is a present
    value per unit of notional and may have either sign.

    Attributes:
        accrued_fraction: What the overnight rate has compounded to in the period that contains `accrued_until`, from the start of that
            period to that day, as a fraction of notional: 0.01 when one has become 1.01. 0 before the first period.
        accrued_until: From this day on, or from the start of the current period if that is later, the curve's shortest rate stands in.
        calendar: Whose holidays move a day by the rule.
    """

    settlement: InstrumentId
    fixed_rate: Decimal
    payments_per_year: int
    day_count: DayCount
    business_days: BusinessDayRule
    start_date: date
    maturity_date: date
    accrued_fraction: Decimal
    accrued_until: date
    calendar: HolidayCalendar = HolidayCalendar.WEEKENDS

    def __post_init__(self) -> None:
        _check_calendar(self.calendar, self.business_days, self.maturity_date)
        require_rate("fixed_rate", self.fixed_rate)
        require_rate("accrued_fraction", self.accrued_fraction)
        require_payments_per_year("payments_per_year", self.payments_per_year)
        require(
            self.start_date < self.maturity_date,
            f"start_date {self.start_date} is not before maturity_date {self.maturity_date}",
        )


@dataclass(frozen=True, slots=True)
class CashFlow:
    """One payment of a fixed amount of an asset on a day; negative is paid by the holder."""

    asset: InstrumentId
    amount: Decimal
    payment_date: date

    def __post_init__(self) -> None:
        require_positive("absolute amount of a cash flow", abs(self.amount))


@dataclass(frozen=True, slots=True)
class CashFlows:
    """A bespoke contract: known payments in one or more currencies. A quantity of 1 receives every flow once.

    The price is the present value of one, in `settlement`, and may have either sign.
    """

    settlement: InstrumentId
    flows: tuple[CashFlow, ...]

    def __post_init__(self) -> None:
        require(1 <= len(self.flows) <= 1000, f"a contract of cash flows had {len(self.flows)}; expected 1 to 1000")


def _check_calendar(calendar: HolidayCalendar, rule: BusinessDayRule, last: date) -> None:
    if calendar is HolidayCalendar.WEEKENDS:
        return
    require(
        rule is not BusinessDayRule.UNADJUSTED,
        f"calendar {calendar.value} moves no day while days stay where they are; set the business day rule, or leave the calendar out",
    )
    require(last.year <= LAST_YEAR, f"maturity_date {last} is after {LAST_YEAR}, the last year whose holidays are known")
