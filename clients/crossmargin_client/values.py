"""Trades, instruments and names built from native values: exact numbers, and times that have a zone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final, TypeAlias

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date

from crossmargin.api.v1 import (
    account_service_pb2,
    book_service_pb2,
    collateral_service_pb2,
    margin_service_pb2,
    market_service_pb2,
    reconciliation_service_pb2,
    reference_service_pb2,
    risk_service_pb2,
)

Exact: TypeAlias = Decimal | int | str
"""A number that says exactly what it is."""

RISKED: Final = collateral_service_pb2.COLLATERAL_POLICY_RISKED
PLEDGED: Final = collateral_service_pb2.COLLATERAL_POLICY_PLEDGED
IMMEDIATE: Final = margin_service_pb2.RESERVATION_KIND_IMMEDIATE
RESTING: Final = margin_service_pb2.RESERVATION_KIND_RESTING
AUTO: Final = collateral_service_pb2.COLLATERAL_POLICY_AUTO
EXPECTED_SHORTFALL: Final = account_service_pb2.METHODOLOGY_EXPECTED_SHORTFALL
SPAN_GRID: Final = account_service_pb2.METHODOLOGY_SPAN_GRID
TIMS_GRID: Final = account_service_pb2.METHODOLOGY_TIMS_GRID
STANDARD_SCHEDULE: Final = account_service_pb2.METHODOLOGY_STANDARD_SCHEDULE
RATIO: Final = account_service_pb2.METHODOLOGY_RATIO
LINEAR: Final = reference_service_pb2.PAYOFF_LINEAR
INVERSE: Final = reference_service_pb2.PAYOFF_INVERSE
CALL: Final = reference_service_pb2.OPTION_RIGHT_CALL
PUT: Final = reference_service_pb2.OPTION_RIGHT_PUT
CASH_PAID: Final = reference_service_pb2.PREMIUM_STYLE_CASH_PAID
COIN_SETTLED: Final = reference_service_pb2.PREMIUM_STYLE_COIN_SETTLED
MARGINED: Final = reference_service_pb2.PREMIUM_STYLE_MARGINED
ACT_360: Final = reference_service_pb2.DAY_COUNT_ACT_360
ACT_365F: Final = reference_service_pb2.DAY_COUNT_ACT_365F
THIRTY_360: Final = reference_service_pb2.DAY_COUNT_THIRTY_360
ACT_ACT_ICMA: Final = reference_service_pb2.DAY_COUNT_ACT_ACT_ICMA
UNADJUSTED: Final = reference_service_pb2.BUSINESS_DAY_RULE_UNSPECIFIED
MODIFIED_FOLLOWING: Final = reference_service_pb2.BUSINESS_DAY_RULE_MODIFIED_FOLLOWING


def account_name(client_id: str, account_id: str) -> str:
    """Return the resource name of an account.

    >>> account_name("alpha", "core")
    'clients/alpha/accounts/core'
    """
    return f"clients/{client_id}/accounts/{account_id}"


def decimal_of(text: str) -> Decimal:
    """Return the number in a field of an answer: `inf` for an infinite utilization, zero for a field that was left empty."""
    return Decimal(text or "0")


def exact_text(value: Exact, *, field: str) -> str:
    """Return the wire text of a number: no exponent, no trailing zeros after the point.

    Raises:
        TypeError: For a float, which is not the number it was written as, and for what is not a number.
        ValueError: For text that spells no finite number.

    >>> exact_text("1250.50", field="price")
    '1250.5'
    """
    if isinstance(value, float):
        raise TypeError(
            f"{field} was the float {value!r}, which is binary and not exactly the number it was written as; "
            f"write Decimal({str(value)!r}) or {str(value)!r}"
        )
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, str)):
        raise TypeError(f"{field} was a {type(value).__name__}; expected a Decimal, an int or a str")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError(f"{field} was {value!r}; expected a decimal number such as '-1250.75'") from None
    if not number.is_finite():
        raise ValueError(f"{field} was {value}; expected a finite number")
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def timestamp_of(moment: datetime, *, field: str) -> Timestamp:
    """Return the wire form of a moment.

    Raises:
        ValueError: For a moment without a time zone, which means another moment in every place.
    """
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError(
            f"{field} was {moment.isoformat()} without a time zone; write {field}=datetime(..., tzinfo=UTC) or "
            f"moment.astimezone(), for example {moment.replace(tzinfo=UTC).isoformat()}"
        )
    wire = Timestamp()
    wire.FromDatetime(moment)
    return wire


def moment_of(wire: Timestamp) -> datetime:
    """Return a moment of an answer, in UTC."""
    return wire.ToDatetime(tzinfo=UTC)


def date_of(day: date, *, field: str) -> Date:
    """Return the wire form of a day.

    Raises:
        TypeError: For a datetime, whose day depends on a time zone.
    """
    if isinstance(day, datetime):
        raise TypeError(f"{field} was the datetime {day.isoformat()}; expected a date: which day it is depends on a time zone")
    return Date(year=day.year, month=day.month, day=day.day)


def statement_line(
    account: str, instrument_id: str, quantity: Exact, *, value: Exact | None = None, external_reference: str = ""
) -> reconciliation_service_pb2.StatementLine:
    """Return what a statement says of one holding.

    Args:
        account: Full name of the account.
        instrument_id: What is held.
        quantity: Signed, in units of the instrument, over all books of the account.
        value: What it is worth in the eyes of who says so; None when nothing is said.
        external_reference: Their own name for it; kept, never interpreted.
    """
    return reconciliation_service_pb2.StatementLine(
        account=account,
        instrument_id=instrument_id,
        quantity=exact_text(quantity, field="quantity"),
        value="" if value is None else exact_text(value, field="value"),
        external_reference=external_reference,
    )


def inventory_item(
    instrument_id: str,
    quantity: Exact,
    *,
    cost_rate: Exact = 0,
    lot_size: Exact | None = None,
    minimum_transfer: Exact | None = None,
) -> collateral_service_pb2.InventoryItem:
    """Return what a client could deliver of one instrument.

    Args:
        instrument_id: Cash, a stablecoin, a coin, a bill or a bond.
        quantity: Most that can be delivered, in units of the instrument.
        cost_rate: What a dollar of its market value costs to deliver, a fraction over a period that is the same for all items.
        lot_size: Deliveries are whole multiples of it.
        minimum_transfer: Less than this is not delivered.
    """
    return collateral_service_pb2.InventoryItem(
        instrument_id=instrument_id,
        quantity=exact_text(quantity, field="quantity"),
        cost_rate=exact_text(cost_rate, field="cost_rate"),
        lot_size="" if lot_size is None else exact_text(lot_size, field="lot_size"),
        minimum_transfer="" if minimum_transfer is None else exact_text(minimum_transfer, field="minimum_transfer"),
    )


def trade(
    instrument_id: str,
    quantity: Exact,
    price: Exact,
    *,
    executed_at: datetime,
    settlement: str = "",
    book: str = "",
    reference: str = "",
    settle_date: date | None = None,
    reservation: int = 0,
) -> book_service_pb2.Trade:
    """Return an executed trade.

    Args:
        instrument_id: What was traded.
        quantity: Signed; positive buys. In units of the instrument: coins, contracts, currency, face amount.
        price: As the instrument quotes: settlement currency per unit; bonds and bills dirty per 100 of face; coin-settled options in
            coins; FX options per unit of currency; forwards, swaps and contracts of cash flows present value per unit.
        executed_at: When it was executed, with a time zone.
        settlement: What is paid when cash, a stablecoin or a coin is traded, such as USD; empty for what names its own.
        book: Desk or strategy; empty for the account's main book.
        reference: The caller's own name for it; kept, never interpreted.
        settle_date: Day on which it is settled with the street; None when that is done at once. It is in the positions either way.
        reservation: Number of the reservation of the order that it fills; 0 if there is none.
    """
    return book_service_pb2.Trade(
        book_id=book,
        instrument_id=instrument_id,
        quantity=exact_text(quantity, field="quantity"),
        price=exact_text(price, field="price"),
        settlement=settlement,
        execute_time=timestamp_of(executed_at, field="executed_at"),
        reference=reference,
        settle_date=None if settle_date is None else date_of(settle_date, field="settle_date"),
        reservation=reservation,
    )


def quote(subject: str, value: Exact, *, sequence: int, observed_at: datetime) -> market_service_pb2.Quote:
    """Return what a source has seen: the level of a risk factor or the price of an instrument, under the source's own number.

    Args:
        subject: A factor such as spot:BTC, or an instrument such as BTC-USD-PERP.
        value: Level or price as the factor or instrument quotes.
        sequence: From 1, strictly increasing over all that the source says.
        observed_at: When the source saw it, with a time zone; not more than a second ahead of the service.
    """
    return market_service_pb2.Quote(
        subject=subject,
        value=exact_text(value, field=f"quote of {subject}"),
        sequence=sequence,
        observe_time=timestamp_of(observed_at, field="observed_at"),
    )


def order(
    instrument_id: str,
    quantity: Exact,
    price: Exact,
    *,
    lifetime: timedelta,
    immediate: bool = False,
    settlement: str = "",
    book: str = "",
    reference: str = "",
) -> margin_service_pb2.Order:
    """Return an order to reserve margin for.

    Args:
        instrument_id: What is to be traded.
        quantity: Signed; positive buys.
        price: The worst at which it may fill.
        lifetime: How long it can be open, grace for its last fill included; whole seconds.
        immediate: True for one that fills at once or is gone (IOC, FOK), and counts no more when its time is over; False for a resting
            one, which counts until it has filled or is released.
        settlement: What is paid when cash, a stablecoin or a coin is traded, such as USD; empty for what names its own.
        book: Desk or strategy; empty for the account's main book.
        reference: The caller's own name for it.
    """
    wire = Duration()
    wire.FromTimedelta(lifetime)
    return margin_service_pb2.Order(
        book_id=book,
        instrument_id=instrument_id,
        quantity=exact_text(quantity, field="quantity"),
        price=exact_text(price, field="price"),
        settlement=settlement,
        kind=IMMEDIATE if immediate else RESTING,
        lifetime=wire,
        reference=reference,
    )


def exposure_limits(
    scope: str,
    *,
    gross: Exact | None = None,
    net: Exact | None = None,
    order_notional: Exact | None = None,
    groups: Mapping[str, Exact] | None = None,
) -> account_service_pb2.ExposureLimits:
    """Return limits in base currency for clients/{client}, or for clients/{client}/accounts/{account}; None where there is no limit."""
    return account_service_pb2.ExposureLimits(
        scope=scope,
        gross="" if gross is None else exact_text(gross, field="gross"),
        net="" if net is None else exact_text(net, field="net"),
        order_notional="" if order_notional is None else exact_text(order_notional, field="order_notional"),
        groups={name: exact_text(limit, field=f"groups[{name}]") for name, limit in (groups or {}).items()},
    )


def cash(currency: str, *, places: int = 2, collateral_class: str = "", description: str = "") -> reference_service_pb2.Instrument:
    """Return money in a currency; its instrument id is the currency's code. `places` are the digits after the point of a quantity."""
    return reference_service_pb2.Instrument(
        instrument_id=currency,
        quantity_places=places,
        collateral_class=collateral_class,
        description=description,
        cash=reference_service_pb2.CashTerms(currency=currency),
    )


def stablecoin(
    instrument_id: str, *, pegged_to: str, issuer: str, places: int = 6, collateral_class: str = "", description: str = ""
) -> reference_service_pb2.Instrument:
    """Return a token meant to be worth one unit of a currency; its price is the risk factor spot:INSTRUMENT."""
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        collateral_class=collateral_class,
        description=description,
        stablecoin=reference_service_pb2.StablecoinTerms(pegged_to=pegged_to, issuer=issuer),
    )


def crypto_asset(
    instrument_id: str, *, places: int = 8, collateral_class: str = "", description: str = ""
) -> reference_service_pb2.Instrument:
    """Return a coin or token held outright; its price is the risk factor spot:INSTRUMENT."""
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        collateral_class=collateral_class,
        description=description,
        crypto_asset=reference_service_pb2.CryptoAssetTerms(),
    )


def perpetual(
    instrument_id: str,
    *,
    underlying: str,
    settlement: str,
    multiplier: Exact = 1,
    payoff: reference_service_pb2.Payoff.ValueType = LINEAR,
    places: int = 3,
    description: str = "",
) -> reference_service_pb2.Instrument:
    """Return a perpetual swap. `multiplier` is in units of the underlying (linear) or of the quote currency (inverse) per contract."""
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        description=description,
        perpetual=reference_service_pb2.PerpetualTerms(
            underlying=underlying, settlement=settlement, multiplier=exact_text(multiplier, field="multiplier"), payoff=payoff
        ),
    )


def dated_future(
    instrument_id: str,
    *,
    underlying: str,
    settlement: str,
    expires_at: datetime,
    multiplier: Exact = 1,
    payoff: reference_service_pb2.Payoff.ValueType = LINEAR,
    price_may_be_negative: bool = False,
    places: int = 3,
    description: str = "",
) -> reference_service_pb2.Instrument:
    """Return a future with an expiry; `multiplier` as for a perpetual.

    Where the price may be negative, as of oil, it follows the risk factors price:UNDERLYING:TENOR.
    """
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        description=description,
        dated_future=reference_service_pb2.DatedFutureTerms(
            underlying=underlying,
            settlement=settlement,
            multiplier=exact_text(multiplier, field="multiplier"),
            payoff=payoff,
            expire_time=timestamp_of(expires_at, field="expires_at"),
            price_may_be_negative=price_may_be_negative,
        ),
    )


def european_option(
    instrument_id: str,
    *,
    underlying: str,
    settlement: str,
    right: reference_service_pb2.OptionRight.ValueType,
    strike: Exact,
    expires_at: datetime,
    premium: reference_service_pb2.PremiumStyle.ValueType | None = None,
    future_expires_at: datetime | None = None,
    multiplier: Exact = 1,
    places: int = 1,
    description: str = "",
) -> reference_service_pb2.Instrument:
    """Return an option exercised at expiry only, on spot or, given when that expires, on a dated future.

    Without a `premium` style it is coin-settled when it settles in its underlying, paid in cash otherwise; MARGINED pays no premium.
    """
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        description=description,
        european_option=reference_service_pb2.EuropeanOptionTerms(
            underlying=underlying,
            settlement=settlement,
            multiplier=exact_text(multiplier, field="multiplier"),
            right=right,
            strike=exact_text(strike, field="strike"),
            expire_time=timestamp_of(expires_at, field="expires_at"),
            premium_style=premium or (COIN_SETTLED if settlement == underlying else CASH_PAID),
            future_expire_time=timestamp_of(future_expires_at, field="future_expires_at") if future_expires_at else None,
        ),
    )


def american_option(
    instrument_id: str,
    *,
    underlying: str,
    settlement: str,
    right: reference_service_pb2.OptionRight.ValueType,
    strike: Exact,
    expires_at: datetime,
    multiplier: Exact = 1,
    places: int = 1,
    description: str = "",
) -> reference_service_pb2.Instrument:
    """Return an option that may be exercised at any time up to its expiry, paid in cash."""
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        description=description,
        american_option=reference_service_pb2.AmericanOptionTerms(
            underlying=underlying,
            settlement=settlement,
            multiplier=exact_text(multiplier, field="multiplier"),
            right=right,
            strike=exact_text(strike, field="strike"),
            expire_time=timestamp_of(expires_at, field="expires_at"),
        ),
    )


def fx_option(
    instrument_id: str,
    *,
    currency: str,
    settlement: str,
    right: reference_service_pb2.OptionRight.ValueType,
    strike: Exact,
    expires_at: datetime,
    places: int = 2,
    description: str = "",
) -> reference_service_pb2.Instrument:
    """Return a right to buy (call) or sell (put) one unit of `currency` for `strike` units of `settlement`."""
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        description=description,
        fx_option=reference_service_pb2.FxOptionTerms(
            currency=currency,
            settlement=settlement,
            right=right,
            strike=exact_text(strike, field="strike"),
            expire_time=timestamp_of(expires_at, field="expires_at"),
        ),
    )


def fx_forward(
    instrument_id: str, *, bought: str, sold: str, contract_rate: Exact, delivers_on: date, places: int = 2, description: str = ""
) -> reference_service_pb2.Instrument:
    """Return an agreement to receive one unit of `bought` for `contract_rate` units of `sold` on a day."""
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        description=description,
        fx_forward=reference_service_pb2.FxForwardTerms(
            bought=bought,
            sold=sold,
            contract_rate=exact_text(contract_rate, field="contract_rate"),
            delivery_date=date_of(delivers_on, field="delivers_on"),
        ),
    )


def non_deliverable_forward(
    instrument_id: str,
    *,
    bought: str,
    sold: str,
    settlement: str,
    contract_rate: Exact,
    fixes_on: date,
    settles_on: date,
    places: int = 2,
    description: str = "",
) -> reference_service_pb2.Instrument:
    """Return an FX forward of which only the difference is paid, in `settlement`, at the rates of the fixing day."""
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        description=description,
        non_deliverable_forward=reference_service_pb2.NonDeliverableForwardTerms(
            bought=bought,
            sold=sold,
            settlement=settlement,
            contract_rate=exact_text(contract_rate, field="contract_rate"),
            fixing_date=date_of(fixes_on, field="fixes_on"),
            settlement_date=date_of(settles_on, field="settles_on"),
        ),
    )


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
            start_date=date_of(starts_on, field="starts_on"),
            maturity_date=date_of(matures_on, field="matures_on"),
            accrued_fraction=exact_text(accrued_fraction, field="accrued_fraction"),
            accrue_date=date_of(accrued_until or starts_on, field="accrued_until"),
        ),
    )


def bond_future(
    instrument_id: str,
    *,
    deliverable: reference_service_pb2.Instrument,
    delivers_on: date,
    conversion_factor: Exact,
    multiplier: Exact = 1000,
    places: int = 0,
    description: str = "",
) -> reference_service_pb2.Instrument:
    """Return a future on the fixed-rate bond that is cheapest to deliver. `multiplier` is money for one point of price."""
    return reference_service_pb2.Instrument(
        instrument_id=instrument_id,
        quantity_places=places,
        description=description,
        bond_future=reference_service_pb2.BondFutureTerms(
            settlement=deliverable.fixed_rate_bond.settlement,
            multiplier=exact_text(multiplier, field="multiplier"),
            delivery_date=date_of(delivers_on, field="delivers_on"),
            conversion_factor=exact_text(conversion_factor, field="conversion_factor"),
            deliverable=deliverable.fixed_rate_bond,
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


def stress_shock(
    size: Exact, *, factor: str = "", curve: str = "", group: str = "", asset_class: str = "", kind: str = ""
) -> risk_service_pb2.StressShock:
    """Return something to move: one factor, all nodes of a curve, or all factors of a kind in an offset group or an asset class.

    `size` is a simple return for prices, exchange rates and volatilities, otherwise a difference; `kind` is for a group or a class, whose
    prices and exchange rates move if it is empty.
    """
    named = {"factor": factor, "curve": curve, "group_id": group, "asset_class": asset_class}
    given = {name: value for name, value in named.items() if value}
    if len(given) != 1:
        raise ValueError(f"a shock was of {', '.join(given) or 'nothing'}; expected one of factor, curve, group and asset_class")
    return risk_service_pb2.StressShock(**given, factor_kind=kind, size=exact_text(size, field="size"))


def ad_hoc_scenario(
    name: str, shocks: Iterable[risk_service_pb2.StressShock], *, both_directions: bool = False
) -> risk_service_pb2.AdHocScenario:
    """Return a scenario of one's own; with `both_directions` its opposite is run as well."""
    return risk_service_pb2.AdHocScenario(name=name, shocks=shocks, both_directions=both_directions)
