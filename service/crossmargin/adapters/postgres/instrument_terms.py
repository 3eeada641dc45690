"""Instrument terms as JSON and back: amounts as decimal strings, dates and times in ISO 8601."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final, get_type_hints

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import (
    Bill,
    Cash,
    CryptoAsset,
    DatedFuture,
    EuropeanOption,
    FixedRateBond,
    FxForward,
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
}
_KIND_OF: Final = {terms: kind for kind, terms in KINDS.items()}
_READERS: Final[Mapping[type, Callable[[Any], Any]]] = {
    str: str,
    int: int,
    Decimal: Decimal,
    date: date.fromisoformat,
    datetime: datetime.fromisoformat,
    InstrumentId: InstrumentId,
    OptionRight: OptionRight,
    Payoff: Payoff,
    PremiumStyle: PremiumStyle,
}
# Looked up when the module is loaded, so that a new kind with a field that nobody can read back stops the start.
_FIELD_READERS: Final = {
    kind: {field.name: _READERS[get_type_hints(terms)[field.name]] for field in fields(terms)} for kind, terms in KINDS.items()
}


def terms_to_json(terms: Terms) -> tuple[str, dict[str, str | int]]:
    """Return the kind's name and its terms, ready for JSON."""
    return _KIND_OF[type(terms)], {field.name: _plain(getattr(terms, field.name)) for field in fields(terms)}


def terms_from_json(kind: str, document: Mapping[str, Any]) -> Terms:
    """Return the terms that `terms_to_json` wrote."""
    return KINDS[kind](**{name: read(document[name]) for name, read in _FIELD_READERS[kind].items()})


def _plain(value: object) -> str | int:
    match value:
        case Decimal():
            return format_decimal(value)
        case datetime() | date():
            return value.isoformat()
        case Enum():
            return str(value.value)
        case int():
            return value
        case _:
            return str(value)
