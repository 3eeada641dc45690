"""Bills, bonds, notes, swaps and contracts of known payments."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Final

from crossmargin.api.v1 import reference_service_pb2
from crossmargin_client.values.exact import Exact, exact_text
from crossmargin_client.values.time import date_of

ACT_360: Final = reference_service_pb2.DAY_COUNT_ACT_360
ACT_365F: Final = reference_service_pb2.DAY_COUNT_ACT_365F
THIRTY_360: Final = reference_service_pb2.DAY_COUNT_THIRTY_360
ACT_ACT_ICMA: Final = reference_service_pb2.DAY_COUNT_ACT_ACT_ICMA
UNADJUSTED: Final = reference_service_pb2.BUSINESS_DAY_RULE_UNSPECIFIED
MODIFIED_FOLLOWING: Final = reference_service_pb2.BUSINESS_DAY_RULE_MODIFIED_FOLLOWING
WEEKENDS: Final = reference_service_pb2.HOLIDAY_CALENDAR_UNSPECIFIED
TARGET: Final = reference_service_pb2.HOLIDAY_CALENDAR_TARGET
US_GOVERNMENT_BONDS: Final = reference_service_pb2.HOLIDAY_CALENDAR_US_GOVERNMENT_BONDS
LONDON: Final = reference_service_pb2.HOLIDAY_CALENDAR_LONDON
TOKYO: Final = reference_service_pb2.HOLIDAY_CALENDAR_TOKYO


def bill(
    instrument_id: str,
    *,
    settlement: str,
    matures_on: date,
    credit_curve: str = "",
    places: int = 2,
    collateral_class: str = "",
    description: str = "",
) -> reference_service_pb2.Instrument:
    """Return a zero-coupon obligation; a quantity is a face amount, the price is per 100 of face.

    `credit_curve` names the issuer or rating of the risk factors spread:NAME:TENOR; empty for a government's paper.
    """
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        collateral_class=collateral_class,
        description=description,
        bill=reference_service_pb2.BillTerms(
            settlement=settlement, maturity_date=date_of(matures_on, field="matures_on"), credit_curve=credit_curve
        ),
    )


def fixed_rate_bond(
    instrument_id: str,
    *,
    settlement: str,
    coupon_rate: Exact,
    coupons_per_year: int,
    issued_on: date,
    matures_on: date,
    credit_curve: str = "",
    places: int = 2,
    collateral_class: str = "",
    description: str = "",
) -> reference_service_pb2.Instrument:
    """Return a bond with level coupons. `coupon_rate` is a fraction per year; a quantity is a face amount, the price dirty per 100.

    `credit_curve` as of a bill.
    """
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        collateral_class=collateral_class,
        description=description,
        fixed_rate_bond=reference_service_pb2.FixedRateBondTerms(
            settlement=settlement,
            coupon_rate=exact_text(coupon_rate, field="coupon_rate"),
            coupons_per_year=coupons_per_year,
            issue_date=date_of(issued_on, field="issued_on"),
            maturity_date=date_of(matures_on, field="matures_on"),
            credit_curve=credit_curve,
        ),
    )


def floating_rate_note(
    instrument_id: str,
    *,
    settlement: str,
    spread_rate: Exact,
    fixed_rate: Exact,
    rate_fixed_on: date,
    coupons_per_year: int,
    issued_on: date,
    matures_on: date,
    day_count: reference_service_pb2.DayCount.ValueType = ACT_360,
    business_days: reference_service_pb2.BusinessDayRule.ValueType = UNADJUSTED,
    calendar: reference_service_pb2.HolidayCalendar.ValueType = WEEKENDS,
    credit_curve: str = "",
    places: int = 2,
    collateral_class: str = "",
    description: str = "",
) -> reference_service_pb2.Instrument:
    """Return a note that pays the rate of its currency plus `spread_rate`; `credit_curve` as of a bill.

    `fixed_rate` is what the period that contains `rate_fixed_on` pays per year, spread included.
    """
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        collateral_class=collateral_class,
        description=description,
        floating_rate_note=reference_service_pb2.FloatingRateNoteTerms(
            settlement=settlement,
            spread_rate=exact_text(spread_rate, field="spread_rate"),
            fixed_rate=exact_text(fixed_rate, field="fixed_rate"),
            rate_fix_date=date_of(rate_fixed_on, field="rate_fixed_on"),
            coupons_per_year=coupons_per_year,
            day_count=day_count,
            business_day_rule=business_days,
            calendar=calendar,
            issue_date=date_of(issued_on, field="issued_on"),
            maturity_date=date_of(matures_on, field="matures_on"),
            credit_curve=credit_curve,
        ),
    )


def interest_rate_swap(
    instrument_id: str,
    *,
    settlement: str,
    fixed_rate: Exact,
    payments_per_year: int,
    starts_on: date,
    matures_on: date,
    accrued_fraction: Exact = 0,
    accrued_until: date | None = None,
    day_count: reference_service_pb2.DayCount.ValueType = ACT_360,
    business_days: reference_service_pb2.BusinessDayRule.ValueType = UNADJUSTED,
    calendar: reference_service_pb2.HolidayCalendar.ValueType = WEEKENDS,
    places: int = 2,
    description: str = "",
) -> reference_service_pb2.Instrument:
    """Return a swap whose positive quantity pays `fixed_rate` and receives the compounded overnight rate.

    `accrued_fraction` is what the overnight rate has compounded to in the current period up to `accrued_until`, the start when absent.
    """
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        description=description,
        interest_rate_swap=reference_service_pb2.InterestRateSwapTerms(
            settlement=settlement,
            fixed_rate=exact_text(fixed_rate, field="fixed_rate"),
            payments_per_year=payments_per_year,
            day_count=day_count,
            business_day_rule=business_days,
            calendar=calendar,
            start_date=date_of(starts_on, field="starts_on"),
            maturity_date=date_of(matures_on, field="matures_on"),
            accrued_fraction=exact_text(accrued_fraction, field="accrued_fraction"),
            accrue_date=date_of(accrued_until or starts_on, field="accrued_until"),
        ),
    )


def cash_flows(
    instrument_id: str, flows: Iterable[tuple[str, Exact, date]], *, settlement: str, places: int = 0, description: str = ""
) -> reference_service_pb2.Instrument:
    """Return a contract of known payments, each an asset, an amount (negative is paid) and a day; its price is in `settlement`."""
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        description=description,
        cash_flows=reference_service_pb2.CashFlowsTerms(
            settlement=settlement,
            flows=[
                reference_service_pb2.CashFlow(
                    asset=asset, amount=exact_text(amount, field="amount"), payment_date=date_of(day, field="day of a flow")
                )
                for asset, amount, day in flows
            ],
        ),
    )
