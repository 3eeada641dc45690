"""What valuing an instrument gives: claims on assets, in the base state of the market and in every scenario."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum, unique
from typing import TypeAlias, TypeVar

import numpy as np

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.lifecycle_event import ending_event
from crossmargin.domain.risk_parameters import OffsetGroup
from crossmargin.engine.axes import ByBase, ByState
from crossmargin.engine.revaluation.shocked_market import ShockedMarket

KindOfTerms = TypeVar("KindOfTerms")
Subject = TypeVar("Subject")
Product = TypeVar("Product")


@unique
class BasisKind(IntEnum):
    """Whether risk factors move an instrument's price against the spot price of what it is on."""

    FACTORED = 0
    """They do, or it is the spot itself."""
    PERPETUAL = 1
    """A perpetual: it moves with spot one for one."""
    DATED = 2
    """A future or option on an underlying whose carry has no factors."""


@dataclass(frozen=True, eq=False)
class Claim:
    """What one unit of an instrument is worth in one asset.

    Attributes:
        asset: The money or coin that `amount` counts.
        amount: [M] units of the asset.
        group: Offset group that a change of the amount belongs to; None for an amount that never changes. A change of the asset's own
            price belongs to the asset's group and is added by the caller.
        exposure: [B] units of the asset that the amount moves like: its derivative by the logarithm of the group's price. None for the
            amount itself, which is what has to be traded of a bond or a payment.
    """

    asset: InstrumentId
    amount: ByState
    group: OffsetGroup | None
    exposure: ByBase | None = None


@dataclass(frozen=True, eq=False)
class Valuation:
    """One unit of an instrument: its value is the sum of its claims.

    Attributes:
        residual_years: Actual/365, 0 without a maturity.
        notional: [B] units of the settlement asset; None for the absolute value in it.
        group: Offset group of what the instrument is on; None for that of its first claim, or of its settlement asset's price.
        peg_price: [B] what a holding of a stablecoin counts at, in the currency it is pegged to; None for anything else.
        used_fraction: What a holding counts at over the price: below 1 for a stablecoin whose slow price is below it.
        has_run_out: Whether a depeg has lasted for longer than a stablecoin may be collateral.
    """

    claims: tuple[Claim, ...]
    residual_years: float = 0.0
    notional: ByBase | None = None
    basis: BasisKind = BasisKind.FACTORED
    is_option: bool = False
    group: OffsetGroup | None = None
    peg_price: ByBase | None = None
    used_fraction: float = 1.0
    has_run_out: bool = False


Outcome: TypeAlias = Valuation | DomainError
Revaluer: TypeAlias = Callable[[Sequence[Instrument], ShockedMarket], list[Outcome]]
"""Values instruments of one kind together; the outcomes are in the order of the instruments."""
CurvesOf: TypeAlias = Callable[[Instrument, Mapping[InstrumentId, Instrument]], frozenset[str]]
"""Names the curves an instrument is valued from, given the assets by id; its settlement assets' own prices go without saying."""


def one_by_one(revalue: Callable[[Instrument, ShockedMarket], Valuation]) -> Revaluer:
    """Return a revaluer for a kind whose instruments share no work; the failure of one leaves the others alone."""

    def revalue_all(instruments: Sequence[Instrument], market: ShockedMarket) -> list[Outcome]:
        return [attempt(revalue, instrument, market) for instrument in instruments]

    return revalue_all


def attempt(work: Callable[[Subject, ShockedMarket], Product], subject: Subject, market: ShockedMarket) -> Product | DomainError:
    """Return what `work` returns, or the DomainError it raises, without its traceback: that would keep every array on the way alive."""
    try:
        return work(subject, market)
    except DomainError as error:
        return error.with_traceback(None)


def meeting_mark(claims: Sequence[Claim], instrument: Instrument, market: ShockedMarket) -> tuple[Claim, ...]:
    """Return the claims with what a mark, a present value per unit, leaves unexplained as a fixed amount of the settlement asset."""
    mark = market.mark(instrument)
    if mark is None:
        return tuple(claims)
    worth = sum(float(claim.amount[0] * market.price(claim.asset)[0]) for claim in claims)
    unexplained = mark - worth / float(market.price(instrument.settlement)[0])
    return (*claims, Claim(instrument.settlement, np.full_like(claims[0].amount, unexplained), None))


def terms_of(instrument: Instrument, kind: type[KindOfTerms]) -> KindOfTerms:
    """Return the terms of an instrument that is known to be of `kind`."""
    if not isinstance(instrument.terms, kind):
        raise TypeError(f"{instrument.instrument_id} is a {type(instrument.terms).__name__}, not a {kind.__name__}")
    return instrument.terms


def expired(instrument: Instrument, *, ended: date | datetime, as_of: datetime) -> DomainError:
    """Return the error for an instrument that ended before the snapshot; it says which event is missing from the books."""
    missing = ending_event(instrument.terms)
    return DomainError(
        Reason.INSTRUMENT_EXPIRED,
        f"{instrument.instrument_id} ended {ended.isoformat()} and the market snapshot is of {as_of.isoformat()}; book its {missing}, as "
        f"with: crossmargin book lifecycle {missing.split()[0]} {instrument.instrument_id}",
        instrument=instrument.instrument_id,
        ended=ended.isoformat(),
        as_of=as_of.isoformat(),
        missing_event=missing,
    )
