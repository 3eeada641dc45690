"""What the market says at one time: risk factors, snapshots of their levels, and their history."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, unique
from functools import cached_property
from typing import Final

from crossmargin.domain.book import check_aware
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId, SnapshotId
from crossmargin.domain.market_quality import Quality, Verdict, valid_quality
from crossmargin.domain.money import check_ledger_decimal, format_decimal
from crossmargin.domain.peg import Peg
from crossmargin.domain.worked_out_once import WorkedOutOnce


@unique
class FactorKind(Enum):
    """What a risk factor measures, and so how it moves."""

    SPOT = "spot"
    """Price of an asset, index or commodity in USD. Moves by log-return."""
    FX = "fx"
    """USD per unit of a currency. Moves by log-return."""
    ZERO = "zero"
    """Zero rate of a currency at a tenor: continuously compounded, actual/365, a fraction. Moves by difference."""
    VOL = "vol"
    """Implied volatility of an underlying at a tenor, annualised, a fraction. Moves by log-return."""
    BASIS = "basis"
    """Annualised carry of futures on an underlying at a tenor: log(forward / spot) per year. Moves by difference."""
    SPREAD = "spread"
    """Credit spread of an issuer or a rating over the zero rate at a tenor: continuously compounded, actual/365, a fraction. Moves by
    difference."""
    PRICE = "price"
    """Price in USD, for delivery at a tenor, of what may be worth less than nothing, such as oil. Moves by difference."""


LOG_KINDS: Final = frozenset({FactorKind.SPOT, FactorKind.FX, FactorKind.VOL})
RATE_KINDS: Final = frozenset({FactorKind.ZERO, FactorKind.BASIS, FactorKind.SPREAD})
"""Fractions a year."""
TENORED_KINDS: Final = RATE_KINDS | {FactorKind.VOL, FactorKind.PRICE}
DAYS_PER_YEAR: Final = 365
_TENOR: Final = re.compile(r"([1-9]\d{0,2})([DWMY])", re.ASCII)
_NAME: Final = re.compile(r"[A-Z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_TENOR_YEARS: Final = {"D": 1 / DAYS_PER_YEAR, "W": 7 / DAYS_PER_YEAR, "M": 1 / 12, "Y": 1.0}


@dataclass(frozen=True, order=True, slots=True)
class FactorId:
    """The name of a risk factor: `spot:BTC`, `fx:EUR`, `zero:USD:2Y`, `vol:BTC:1M`, `basis:BTC:3M`, `spread:IG-A:5Y`, `price:WTI:1M`."""

    kind_code: str
    name: str
    tenor: str = ""

    @classmethod
    def parse(cls, text: str) -> FactorId:
        """Return the factor that `text` names.

        Raises:
            DomainError: INVALID_IDENTIFIER for an unknown kind, a name outside the grammar, or a tenor missing or out of place.

        >>> FactorId.parse("zero:USD:2Y").tenor
        '2Y'
        """
        kind_code, _, rest = text.partition(":")
        name, _, tenor = rest.partition(":")
        kinds = {kind.value: kind for kind in FactorKind}
        wants_tenor = kind_code in kinds and kinds[kind_code] in TENORED_KINDS
        is_named = kind_code in kinds and _NAME.fullmatch(name) is not None
        # A trailing colon would be a second spelling of the same factor.
        if not is_named or wants_tenor != bool(tenor) or (tenor and not _TENOR.fullmatch(tenor)) or text.endswith(":"):
            expected = (
                "spot:NAME, fx:CURRENCY, zero:CURRENCY:TENOR, vol:NAME:TENOR, basis:NAME:TENOR, spread:NAME:TENOR or price:NAME:TENOR, "
                "a tenor like 1W, 3M or 10Y"
            )
            raise DomainError(
                Reason.INVALID_IDENTIFIER,
                f"risk factor was {text[:80]!r}; expected {expected}",
                noun="risk factor",
                value=text[:80],
                expected=expected,
            )
        return cls(kind_code, name, tenor)

    @property
    def kind(self) -> FactorKind:
        """What the factor measures."""
        return FactorKind(self.kind_code)

    @property
    def curve(self) -> str:
        """The factor's name without its tenor: all nodes of one curve or surface share it, for example `zero:USD`."""
        return f"{self.kind_code}:{self.name}"

    @property
    def tenor_years(self) -> float:
        """Length of the tenor in years, a month being a twelfth and a day 1/365; 0.0 for a factor without tenor."""
        return tenor_years(self.tenor) if self.tenor else 0.0

    def __str__(self) -> str:
        return f"{self.curve}:{self.tenor}" if self.tenor else self.curve


def tenor_years(tenor: str) -> float:
    """Return the length of a tenor such as 1W, 3M or 10Y in years.

    >>> tenor_years("6M")
    0.5
    """
    matched = _TENOR.fullmatch(tenor)
    if matched is None:
        raise ValueError(f"tenor was {tenor!r}; expected a count and D, W, M or Y")
    return int(matched[1]) * _TENOR_YEARS[matched[2]]


@dataclass(frozen=True, eq=False)
class MarketSnapshot(WorkedOutOnce):
    """Levels of the risk factors, and marks of instruments, at one moment. Immutable; its id is the hash of its content.

    Attributes:
        levels: Level of each factor in its own unit (see FactorKind).
        marks: Quoted prices of instruments, as the instrument quotes them. An instrument with a mark is worth its mark, and what the
            factors leave unexplained (its own volatility, carry or spread) is held fixed when the factors move. Without a mark it is
            worth what the factors say.
        level_quality: How far each level can be believed. One that is not named is valid: what somebody published as a whole snapshot.
        mark_quality: The same of each mark.
        pegs: What is remembered of each stablecoin. One that is not named counts at its price and is in no depeg: in a snapshot from
            before pegs were kept.
    """

    as_of: datetime
    levels: Mapping[FactorId, Decimal]
    marks: Mapping[InstrumentId, Decimal]
    level_quality: Mapping[FactorId, Quality] = field(default_factory=dict)
    mark_quality: Mapping[InstrumentId, Quality] = field(default_factory=dict)
    pegs: Mapping[InstrumentId, Peg] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_aware(self.as_of, what="as_of")
        for factor, level in self.levels.items():
            check_level(factor, level)
        for instrument_id, mark in self.marks.items():
            check_ledger_decimal(mark, what=f"mark of {instrument_id}")
        for factor, quality in self.level_quality.items():
            _check_range(f"level of {factor}", self.levels.get(factor), quality)
            check_level(factor, quality.low)
            check_level(factor, quality.high)
        for instrument_id, quality in self.mark_quality.items():
            _check_range(f"mark of {instrument_id}", self.marks.get(instrument_id), quality)

    @cached_property
    def content_hash(self) -> bytes:
        """SHA-256 over the time, all levels and marks, what is known of their quality, and all pegs, in a fixed order."""
        lines = [self.as_of.astimezone(UTC).isoformat(timespec="microseconds")]
        lines += [f"L {factor} {format_decimal(level)}" for factor, level in sorted(self.levels.items())]
        lines += [f"M {name} {format_decimal(mark)}" for name, mark in sorted(self.marks.items())]
        lines += [f"LQ {factor} {quality.line}" for factor, quality in sorted(self.level_quality.items())]
        lines += [f"MQ {name} {quality.line}" for name, quality in sorted(self.mark_quality.items())]
        lines += [f"P {name} {peg.line}" for name, peg in sorted(self.pegs.items())]
        return hashlib.sha256("\n".join(lines).encode()).digest()

    @cached_property
    def doubted_levels(self) -> Mapping[FactorId, Quality]:
        """Levels that are not valid, in the order of their names."""
        return {factor: quality for factor, quality in sorted(self.level_quality.items()) if quality.verdict is not Verdict.VALID}

    @cached_property
    def doubted_marks(self) -> Mapping[InstrumentId, Quality]:
        """Marks that are not valid, in the order of their names."""
        return {name: quality for name, quality in sorted(self.mark_quality.items()) if quality.verdict is not Verdict.VALID}

    def quality_of_level(self, factor: FactorId) -> Quality:
        """Return how far a level of this snapshot can be believed."""
        return self.level_quality.get(factor) or valid_quality(self.levels[factor], self.as_of)

    def quality_of_mark(self, instrument_id: InstrumentId) -> Quality:
        """Return how far a mark of this snapshot can be believed."""
        return self.mark_quality.get(instrument_id) or valid_quality(self.marks[instrument_id], self.as_of)

    @cached_property
    def snapshot_id(self) -> SnapshotId:
        """The first 32 hexadecimal digits of the content hash."""
        return SnapshotId(self.content_hash.hex()[:32])


@dataclass(frozen=True, eq=False)
class FactorHistory:
    """Daily levels of risk factors. Axis: `dates`, ascending and without repeats; None where a market was closed or not yet there."""

    dates: tuple[date, ...]
    levels: Mapping[FactorId, tuple[Decimal | None, ...]]

    def __post_init__(self) -> None:
        if any(later <= earlier for earlier, later in zip(self.dates, self.dates[1:], strict=False)):
            raise DomainError(Reason.INVALID_HISTORY, "dates of a history must be strictly ascending")
        for factor, column in self.levels.items():
            if len(column) != len(self.dates):
                raise DomainError(
                    Reason.INVALID_HISTORY,
                    f"history of {factor} has {len(column)} levels for {len(self.dates)} dates",
                    factor=factor,
                )
            _check_history_column(factor, self.dates, column)


def check_level(factor: FactorId, level: Decimal) -> Decimal:
    """Return a factor's level if it is possible: more than zero for what moves by log-return, within +-10 for rates, carry and spreads.

    Raises:
        DomainError: INVALID_SNAPSHOT otherwise, naming the factor.
    """
    check_ledger_decimal(level, what=f"level of {factor}")
    if factor.kind in LOG_KINDS and level <= 0:
        raise DomainError(
            Reason.INVALID_SNAPSHOT,
            f"level of {factor} was {level}; expected more than zero",
            factor=factor,
            value=level,
        )
    if factor.kind in RATE_KINDS and abs(level) > 10:
        raise DomainError(
            Reason.INVALID_SNAPSHOT,
            f"level of {factor} was {level}; expected a fraction such as 0.0425, between -10 and 10",
            factor=factor,
            value=level,
        )
    return level


def _check_range(what: str, level: Decimal | None, quality: Quality) -> None:
    if level is None or not quality.low <= level <= quality.high:
        raise DomainError(
            Reason.INVALID_SNAPSHOT,
            f"{what} was {level}; expected one between {quality.low} and {quality.high}, the ends of its range",
            value=level,
            low=quality.low,
            high=quality.high,
        )


def _check_history_column(factor: FactorId, dates: tuple[date, ...], column: tuple[Decimal | None, ...]) -> None:
    must_be_positive = factor.kind in LOG_KINDS
    for day, level in zip(dates, column, strict=True):
        if level is not None and not (level.is_finite() and (level > 0 or not must_be_positive)):
            raise DomainError(
                Reason.INVALID_HISTORY,
                f"history of {factor} has {level} on {day}; expected {'more than zero' if must_be_positive else 'a finite number'}",
                factor=factor,
                day=day,
                value=level,
            )
