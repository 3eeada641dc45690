"""Instruments on the wire: one line of the table for each kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import Message

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
    Bill,
    Cash,
    CryptoAsset,
    DatedFuture,
    EuropeanOption,
    FixedRateBond,
    FxForward,
    Instrument,
    OptionRight,
    Payoff,
    Perpetual,
    PremiumStyle,
    Stablecoin,
    Terms,
)
from crossmargin.domain.money import format_decimal, parse_decimal

_PAYOFFS: Final = {pb.PAYOFF_LINEAR: Payoff.LINEAR, pb.PAYOFF_INVERSE: Payoff.INVERSE}
_PAYOFF_VALUES: Final = inverse(_PAYOFFS)
_RIGHTS: Final = {pb.OPTION_RIGHT_CALL: OptionRight.CALL, pb.OPTION_RIGHT_PUT: OptionRight.PUT}
_RIGHT_VALUES: Final = inverse(_RIGHTS)
_PREMIUMS: Final = {
    pb.PREMIUM_STYLE_CASH_PAID: PremiumStyle.CASH_PAID,
    pb.PREMIUM_STYLE_COIN_SETTLED: PremiumStyle.COIN_SETTLED,
}
_PREMIUM_VALUES: Final = inverse(_PREMIUMS)


def instrument_from_message(message: pb.Instrument) -> Instrument:
    """Return the instrument of a message; DomainError when its terms contradict one another."""
    kind = _KIND_OF_FIELD[str(message.WhichOneof("terms"))]
    return Instrument(
        instrument_id=InstrumentId(message.instrument_id),
        terms=kind.read(getattr(message, kind.field)),
        quantity_places=message.quantity_places,
        collateral_class=printable(message.collateral_class, what="instrument.collateral_class") or None,
        description=printable(message.description, what="instrument.description"),
    )


def instrument_to_message(instrument: Instrument) -> pb.Instrument:
    """Return the message of an instrument."""
    kind = _KIND_OF_TERMS[type(instrument.terms)]
    terms: dict[str, Any] = {kind.field: kind.write(instrument.terms)}
    return pb.Instrument(
        instrument_id=instrument.instrument_id,
        quantity_places=instrument.quantity_places,
        collateral_class=instrument.collateral_class or "",
        description=instrument.description,
        **terms,
    )


def _read_stablecoin(message: pb.StablecoinTerms) -> Terms:
    return Stablecoin(message.pegged_to, printable(message.issuer, what="instrument.stablecoin.issuer"))


def _write_stablecoin(terms: Stablecoin) -> Message:
    return pb.StablecoinTerms(pegged_to=terms.pegged_to, issuer=terms.issuer)


def _read_perpetual(message: pb.PerpetualTerms) -> Terms:
    return Perpetual(
        underlying=InstrumentId(message.underlying),
        settlement=InstrumentId(message.settlement),
        multiplier=parse_decimal(message.multiplier, what="instrument.perpetual.multiplier"),
        payoff=_PAYOFFS[message.payoff],
    )


def _write_perpetual(terms: Perpetual) -> Message:
    return pb.PerpetualTerms(
        underlying=terms.underlying,
        settlement=terms.settlement,
        multiplier=format_decimal(terms.multiplier),
        payoff=_PAYOFF_VALUES[terms.payoff],
    )


def _read_dated_future(message: pb.DatedFutureTerms) -> Terms:
    return DatedFuture(
        underlying=InstrumentId(message.underlying),
        settlement=InstrumentId(message.settlement),
        multiplier=parse_decimal(message.multiplier, what="instrument.dated_future.multiplier"),
        payoff=_PAYOFFS[message.payoff],
        expiry=moment_from_message(message.expire_time, what="instrument.dated_future.expire_time"),
    )


def _write_dated_future(terms: DatedFuture) -> Message:
    return pb.DatedFutureTerms(
        underlying=terms.underlying,
        settlement=terms.settlement,
        multiplier=format_decimal(terms.multiplier),
        payoff=_PAYOFF_VALUES[terms.payoff],
        expire_time=moment_to_message(terms.expiry),
    )


def _read_european_option(message: pb.EuropeanOptionTerms) -> Terms:
    return EuropeanOption(
        underlying=InstrumentId(message.underlying),
        settlement=InstrumentId(message.settlement),
        multiplier=parse_decimal(message.multiplier, what="instrument.european_option.multiplier"),
        right=_RIGHTS[message.right],
        strike=parse_decimal(message.strike, what="instrument.european_option.strike"),
        expiry=moment_from_message(message.expire_time, what="instrument.european_option.expire_time"),
        premium=_PREMIUMS[message.premium_style],
    )


def _write_european_option(terms: EuropeanOption) -> Message:
    return pb.EuropeanOptionTerms(
        underlying=terms.underlying,
        settlement=terms.settlement,
        multiplier=format_decimal(terms.multiplier),
        right=_RIGHT_VALUES[terms.right],
        strike=format_decimal(terms.strike),
        expire_time=moment_to_message(terms.expiry),
        premium_style=_PREMIUM_VALUES[terms.premium],
    )


def _read_fx_forward(message: pb.FxForwardTerms) -> Terms:
    return FxForward(
        bought=InstrumentId(message.bought),
        sold=InstrumentId(message.sold),
        contract_rate=parse_decimal(message.contract_rate, what="instrument.fx_forward.contract_rate"),
        delivery_date=date_from_message(message.delivery_date, what="instrument.fx_forward.delivery_date"),
    )


def _write_fx_forward(terms: FxForward) -> Message:
    return pb.FxForwardTerms(
        bought=terms.bought,
        sold=terms.sold,
        contract_rate=format_decimal(terms.contract_rate),
        delivery_date=date_to_message(terms.delivery_date),
    )


def _read_bill(message: pb.BillTerms) -> Terms:
    return Bill(InstrumentId(message.settlement), date_from_message(message.maturity_date, what="instrument.bill.maturity_date"))


def _write_bill(terms: Bill) -> Message:
    return pb.BillTerms(settlement=terms.settlement, maturity_date=date_to_message(terms.maturity_date))


def _read_fixed_rate_bond(message: pb.FixedRateBondTerms) -> Terms:
    return FixedRateBond(
        settlement=InstrumentId(message.settlement),
        coupon_rate=parse_decimal(message.coupon_rate, what="instrument.fixed_rate_bond.coupon_rate"),
        coupons_per_year=message.coupons_per_year,
        issue_date=date_from_message(message.issue_date, what="instrument.fixed_rate_bond.issue_date"),
        maturity_date=date_from_message(message.maturity_date, what="instrument.fixed_rate_bond.maturity_date"),
    )


def _write_fixed_rate_bond(terms: FixedRateBond) -> Message:
    return pb.FixedRateBondTerms(
        settlement=terms.settlement,
        coupon_rate=format_decimal(terms.coupon_rate),
        coupons_per_year=terms.coupons_per_year,
        issue_date=date_to_message(terms.issue_date),
        maturity_date=date_to_message(terms.maturity_date),
    )


@dataclass(frozen=True, slots=True)
class _Kind:
    """A field of the `terms` oneof, the type it becomes, and the two ways."""

    field: str
    terms: type
    read: Callable[[Any], Terms]
    write: Callable[[Any], Message]


_KINDS: Final = (
    _Kind("cash", Cash, lambda message: Cash(message.currency), lambda terms: pb.CashTerms(currency=terms.currency)),
    _Kind("stablecoin", Stablecoin, _read_stablecoin, _write_stablecoin),
    _Kind("crypto_asset", CryptoAsset, lambda _: CryptoAsset(), lambda _: pb.CryptoAssetTerms()),
    _Kind("perpetual", Perpetual, _read_perpetual, _write_perpetual),
    _Kind("dated_future", DatedFuture, _read_dated_future, _write_dated_future),
    _Kind("european_option", EuropeanOption, _read_european_option, _write_european_option),
    _Kind("fx_forward", FxForward, _read_fx_forward, _write_fx_forward),
    _Kind("bill", Bill, _read_bill, _write_bill),
    _Kind("fixed_rate_bond", FixedRateBond, _read_fixed_rate_bond, _write_fixed_rate_bond),
)
_KIND_OF_FIELD: Final = {kind.field: kind for kind in _KINDS}
_KIND_OF_TERMS: Final = {kind.terms: kind for kind in _KINDS}
