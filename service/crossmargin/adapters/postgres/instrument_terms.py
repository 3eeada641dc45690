"""Instrument terms as JSON and back: amounts as decimal strings, dates and times in ISO 8601."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

from crossmargin.domain.holidays import HolidayCalendar
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import (
    AmericanOption,
    Bill,
    BondFuture,
    BusinessDayRule,
    Cash,
    CashFlows,
    CryptoAsset,
    DatedFuture,
    DayCount,
    EuropeanOption,
    FixedRateBond,
    FloatingRateNote,
    FxForward,
    FxOption,
    InterestRateSwap,
    NonDeliverableForward,
    OptionRight,
    Payoff,
    Perpetual,
    PremiumStyle,
    Stablecoin,
    Terms,
)
from crossmargin.domain.money import format_decimal

KINDS: Final[Mapping[str, type[Terms]]] = {
    "cash": Cash,
    "stablecoin": Stablecoin,
    "crypto_asset": CryptoAsset,
    "perpetual": Perpetual,
    "dated_future": DatedFuture,
    "european_option": EuropeanOption,
    "fx_forward": FxForward,
    "bill": Bill,
    "fixed_rate_bond": FixedRateBond,
    "american_option": AmericanOption,
    "fx_option": FxOption,
    "non_deliverable_forward": NonDeliverableForward,
    "floating_rate_note": FloatingRateNote,
    "interest_rate_swap": InterestRateSwap,
    "bond_future": BondFuture,
    "cash_flows": CashFlows,
}
_KIND_OF: Final = {terms: kind for kind, terms in KINDS.items()}
_READERS: Final[Mapping[type, Callable[[Any], Any]]] = {
    str: str,
    int: int,
    bool: bool,
    Decimal: Decimal,
    date: date.fromisoformat,
    datetime: datetime.fromisoformat,
    InstrumentId: InstrumentId,
    OptionRight: OptionRight,
    Payoff: Payoff,
    PremiumStyle: PremiumStyle,
    DayCount: DayCount,
    BusinessDayRule: BusinessDayRule,
    HolidayCalendar: HolidayCalendar,
}


def terms_to_json(terms: Terms) -> tuple[str, dict[str, Any]]:
    """Return the kind's name and its terms, ready for JSON."""
    return _KIND_OF[type(terms)], _fields_to_json(terms)


def terms_from_json(kind: str, document: Mapping[str, Any]) -> Terms:
    """Return the terms that `terms_to_json` wrote. A field that it did not write, because it came later, has its default."""
    terms: Terms = _KIND_READERS[kind](document)
    return terms


def _fields_to_json(value: Any) -> dict[str, Any]:  # noqa: ANN401 - a dataclass of any type
    return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}


def _plain(value: Any) -> Any:  # noqa: ANN401 - a field of any type, as JSON
    match value:
        case None | int() | str():
            return value
        case Decimal():
            return format_decimal(value)
        case datetime() | date():
            return value.isoformat()
        case Enum():
            return value.value
        case tuple():
            return [_plain(item) for item in value]
        case _:
            return _fields_to_json(value)


def _reader_of(hint: Any) -> Callable[[Any], Any]:  # noqa: ANN401 - a type hint
    """Return what reads a value of a type back: a plain one, one that may be absent, a tuple, or a dataclass of such."""
    if get_origin(hint) is tuple:
        read_item = _reader_of(get_args(hint)[0])
        return lambda items: tuple(read_item(item) for item in items)
    if get_origin(hint) is UnionType:
        (present,) = (each for each in get_args(hint) if each is not NoneType)
        read_present = _reader_of(present)
        return lambda value: None if value is None else read_present(value)
    return _dataclass_reader(hint) if is_dataclass(hint) else _READERS[hint]


def _dataclass_reader(kind: Any) -> Callable[[Mapping[str, Any]], Any]:  # noqa: ANN401 - a dataclass
    readers = {field.name: _reader_of(get_type_hints(kind)[field.name]) for field in fields(kind)}
    return lambda document: kind(**{name: read(document[name]) for name, read in readers.items() if name in document})


# Looked up when the module is loaded, so that a new kind with a field that nobody can read back stops the start.
_KIND_READERS: Final = {kind: _dataclass_reader(terms) for kind, terms in KINDS.items()}
