"""Instruments on the wire: for each kind, how its terms and its message correspond field by field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from google.protobuf.message import Message

from crossmargin.adapters.grpc_server.wire.holidays import CALENDARS
from crossmargin.adapters.grpc_server.wire.values import (
    date_from_message,
    date_to_message,
    inverse,
    moment_from_message,
    moment_to_message,
    printable,
)
from crossmargin.api.v1 import reference_service_pb2 as pb
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import (
    AmericanOption,
    Bill,
    BondFuture,
    BusinessDayRule,
    Cash,
    CashFlow,
    CashFlows,
    CryptoAsset,
    DatedFuture,
    DayCount,
    EuropeanOption,
    FixedRateBond,
    FloatingRateNote,
    FxForward,
    FxOption,
    Instrument,
    InterestRateSwap,
    NonDeliverableForward,
    OptionRight,
    Payoff,
    Perpetual,
    PremiumStyle,
    Stablecoin,
)
from crossmargin.domain.money import format_decimal, parse_decimal


def instrument_from_message(message: pb.Instrument) -> Instrument:
    """Return the instrument of a message; DomainError when its terms contradict one another."""
    kind = str(message.WhichOneof("terms"))
    return Instrument(
        instrument_id=InstrumentId(message.instrument_id),
        terms=_SHAPES[kind].read(getattr(message, kind), f"instrument.{kind}"),
        quantity_places=message.quantity_places,
        collateral_class=printable(message.collateral_class, what="instrument.collateral_class") or None,
        description=printable(message.description, what="instrument.description"),
    )


def instrument_to_message(instrument: Instrument) -> pb.Instrument:
    """Return the message of an instrument."""
    kind = _KIND_OF_TERMS[type(instrument.terms)]
    terms: dict[str, Any] = {kind: _SHAPES[kind].write(instrument.terms)}
    return pb.Instrument(
        instrument_id=instrument.instrument_id,
        quantity_places=instrument.quantity_places,
        collateral_class=instrument.collateral_class or "",
        description=instrument.description,
        **terms,
    )


@dataclass(frozen=True, slots=True)
class _Way:
    """The two ways of a value; `read` is told the path of the field, for its errors."""

    read: Callable[[Any, str], Any]
    write: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Shape:
    """A type of the domain and its message.

    Attributes:
        ways: The way of each field, by its name in the domain.
        wire_names: Names on the wire where they differ.
        optional: Fields that are None in the domain and absent on the wire.
    """

    terms: type
    message: Callable[..., Message]
    ways: Mapping[str, _Way] = field(default_factory=dict)
    wire_names: Mapping[str, str] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()

    def read(self, message: Any, path: str) -> Any:  # noqa: ANN401 - a message and its type, both of any kind
        return self.terms(**{name: self._read_field(name, message, path) for name in self.ways})

    def write(self, terms: object) -> Message:
        values = {name: getattr(terms, name) for name in self.ways}
        given = {name: value for name, value in values.items() if not (name in self.optional and value is None)}
        return self.message(**{self._wire(name): self.ways[name].write(value) for name, value in given.items()})

    def _read_field(self, name: str, message: Any, path: str) -> Any:  # noqa: ANN401 - a field of any type
        wire = self._wire(name)
        if name in self.optional and not message.HasField(wire):
            return None
        return self.ways[name].read(getattr(message, wire), f"{path}.{wire}")

    def _wire(self, name: str) -> str:
        return self.wire_names.get(name, name)


def _enum(values: Mapping[Any, Enum]) -> _Way:
    numbers = inverse(values)
    return _Way(lambda number, _: values[number], lambda value: numbers[value])


def _nested(shape: _Shape) -> _Way:
    return _Way(shape.read, shape.write)


def _many(shape: _Shape) -> _Way:
    return _Way(
        lambda messages, path: tuple(shape.read(message, f"{path}[{place}]") for place, message in enumerate(messages)),
        lambda items: [shape.write(item) for item in items],
    )


_AS_IT_IS: Final = _Way(lambda value, _: value, lambda value: value)
_CURVE: Final = _Way(lambda name, _: name or None, lambda name: name or "")
_WORDS: Final = _Way(lambda text, path: printable(text, what=path), lambda text: text)
_NAME: Final = _Way(lambda text, _: InstrumentId(text), lambda name: name)
_DECIMAL: Final = _Way(lambda text, path: parse_decimal(text, what=path), format_decimal)
_DAY: Final = _Way(lambda message, path: date_from_message(message, what=path), date_to_message)
_MOMENT: Final = _Way(lambda message, path: moment_from_message(message, what=path), moment_to_message)
_PAYOFF: Final = _enum({pb.PAYOFF_LINEAR: Payoff.LINEAR, pb.PAYOFF_INVERSE: Payoff.INVERSE})
_RIGHT: Final = _enum({pb.OPTION_RIGHT_CALL: OptionRight.CALL, pb.OPTION_RIGHT_PUT: OptionRight.PUT})
_PREMIUM: Final = _enum(
    {
        pb.PREMIUM_STYLE_CASH_PAID: PremiumStyle.CASH_PAID,
        pb.PREMIUM_STYLE_COIN_SETTLED: PremiumStyle.COIN_SETTLED,
        pb.PREMIUM_STYLE_MARGINED: PremiumStyle.MARGINED,
    }
)
_DAY_COUNT: Final = _enum(
    {
        pb.DAY_COUNT_ACT_360: DayCount.ACT_360,
        pb.DAY_COUNT_ACT_365F: DayCount.ACT_365F,
        pb.DAY_COUNT_THIRTY_360: DayCount.THIRTY_360,
        pb.DAY_COUNT_ACT_ACT_ICMA: DayCount.ACT_ACT_ICMA,
    }
)
_BUSINESS_DAYS: Final = _enum(
    {
        pb.BUSINESS_DAY_RULE_UNSPECIFIED: BusinessDayRule.UNADJUSTED,
        pb.BUSINESS_DAY_RULE_MODIFIED_FOLLOWING: BusinessDayRule.MODIFIED_FOLLOWING,
    }
)
_CALENDAR: Final = _enum(CALENDARS)
_CONTRACT: Final = {"underlying": _NAME, "settlement": _NAME, "multiplier": _DECIMAL}
_EXPIRY: Final = {"expiry": "expire_time"}
_BOND: Final = _Shape(
    FixedRateBond,
    pb.FixedRateBondTerms,
    {
        "settlement": _NAME,
        "coupon_rate": _DECIMAL,
        "coupons_per_year": _AS_IT_IS,
        "issue_date": _DAY,
        "maturity_date": _DAY,
        "credit_curve": _CURVE,
    },
)
_CASH_FLOW: Final = _Shape(CashFlow, pb.CashFlow, {"asset": _NAME, "amount": _DECIMAL, "payment_date": _DAY})
_SHAPES: Final[Mapping[str, _Shape]] = {
    "cash": _Shape(Cash, pb.CashTerms, {"currency": _AS_IT_IS}),
    "stablecoin": _Shape(Stablecoin, pb.StablecoinTerms, {"pegged_to": _AS_IT_IS, "issuer": _WORDS}),
    "crypto_asset": _Shape(CryptoAsset, pb.CryptoAssetTerms),
    "perpetual": _Shape(Perpetual, pb.PerpetualTerms, {**_CONTRACT, "payoff": _PAYOFF}),
    "dated_future": _Shape(
        DatedFuture, pb.DatedFutureTerms, {**_CONTRACT, "payoff": _PAYOFF, "expiry": _MOMENT, "price_may_be_negative": _AS_IT_IS}, _EXPIRY
    ),
    "european_option": _Shape(
        EuropeanOption,
        pb.EuropeanOptionTerms,
        {**_CONTRACT, "right": _RIGHT, "strike": _DECIMAL, "expiry": _MOMENT, "premium": _PREMIUM, "future_expiry": _MOMENT},
        {**_EXPIRY, "premium": "premium_style", "future_expiry": "future_expire_time"},
        frozenset({"future_expiry"}),
    ),
    "american_option": _Shape(
        AmericanOption, pb.AmericanOptionTerms, {**_CONTRACT, "right": _RIGHT, "strike": _DECIMAL, "expiry": _MOMENT}, _EXPIRY
    ),
    "fx_option": _Shape(
        FxOption,
        pb.FxOptionTerms,
        {"currency": _NAME, "settlement": _NAME, "right": _RIGHT, "strike": _DECIMAL, "expiry": _MOMENT},
        _EXPIRY,
    ),
    "fx_forward": _Shape(FxForward, pb.FxForwardTerms, {"bought": _NAME, "sold": _NAME, "contract_rate": _DECIMAL, "delivery_date": _DAY}),
    "non_deliverable_forward": _Shape(
        NonDeliverableForward,
        pb.NonDeliverableForwardTerms,
        {
            "bought": _NAME,
            "sold": _NAME,
            "settlement": _NAME,
            "contract_rate": _DECIMAL,
            "fixing_date": _DAY,
            "settlement_date": _DAY,
        },
    ),
    "bill": _Shape(Bill, pb.BillTerms, {"settlement": _NAME, "maturity_date": _DAY, "credit_curve": _CURVE}),
    "fixed_rate_bond": _BOND,
    "floating_rate_note": _Shape(
        FloatingRateNote,
        pb.FloatingRateNoteTerms,
        {
            "settlement": _NAME,
            "spread_rate": _DECIMAL,
            "fixed_rate": _DECIMAL,
            "rate_fixed_on": _DAY,
            "coupons_per_year": _AS_IT_IS,
            "day_count": _DAY_COUNT,
            "business_days": _BUSINESS_DAYS,
            "issue_date": _DAY,
            "maturity_date": _DAY,
            "credit_curve": _CURVE,
            "calendar": _CALENDAR,
        },
        {"rate_fixed_on": "rate_fix_date", "business_days": "business_day_rule"},
    ),
    "interest_rate_swap": _Shape(
        InterestRateSwap,
        pb.InterestRateSwapTerms,
        {
            "settlement": _NAME,
            "fixed_rate": _DECIMAL,
            "payments_per_year": _AS_IT_IS,
            "day_count": _DAY_COUNT,
            "business_days": _BUSINESS_DAYS,
            "start_date": _DAY,
            "maturity_date": _DAY,
            "accrued_fraction": _DECIMAL,
            "accrued_until": _DAY,
            "calendar": _CALENDAR,
        },
        {"business_days": "business_day_rule", "accrued_until": "accrue_date"},
    ),
    "bond_future": _Shape(
        BondFuture,
        pb.BondFutureTerms,
        {
            "settlement": _NAME,
            "multiplier": _DECIMAL,
            "delivery_date": _DAY,
            "conversion_factor": _DECIMAL,
            "deliverable": _nested(_BOND),
        },
    ),
    "cash_flows": _Shape(CashFlows, pb.CashFlowsTerms, {"settlement": _NAME, "flows": _many(_CASH_FLOW)}),
}
"""By the field of the `terms` oneof."""
_KIND_OF_TERMS: Final = {shape.terms: kind for kind, shape in _SHAPES.items()}
