"""A stablecoin and what it is pegged to: the price that is trusted on the way up, and the clock on a lost peg."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, InvalidOperation
from typing import Final

from crossmargin.domain.book import check_aware
from crossmargin.domain.depeg_parameters import DepegParameters
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.money import LEDGER_UNIT, check_ledger_decimal, format_decimal

_DOWN: Final = Context(prec=60, rounding=ROUND_FLOOR, traps=[InvalidOperation])
_UP: Final = Context(prec=60, rounding=ROUND_CEILING, traps=[InvalidOperation])
_DAY: Final = timedelta(days=1)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Peg:
    """What is remembered of one stablecoin from snapshot to snapshot. Prices are in what it is pegged to.

    Attributes:
        slow_price: Follows the price down at once and up at a limited rate; never above it.
        below_since: Snapshot at which the depeg began that is not over yet; None while there is none.
        back_since: Snapshot from which on the price has been back at its line without a break, while the depeg is not over yet.
    """

    slow_price: Decimal
    below_since: datetime | None = None
    back_since: datetime | None = None

    def __post_init__(self) -> None:
        check_ledger_decimal(self.slow_price, what="slow price of a stablecoin")
        for moment in (self.below_since, self.back_since):
            if moment is not None:
                check_aware(moment, what="clock of a depeg")
        if self.slow_price <= 0 or (self.back_since is not None and (self.below_since is None or self.back_since < self.below_since)):
            raise DomainError(
                Reason.INVALID_SNAPSHOT,
                f"peg of a stablecoin was {self.line}; expected a slow price above zero, and a recovery after the depeg that it ends",
                value=self.line,
            )

    @property
    def line(self) -> str:
        """Everything in one line, for the hash of a snapshot."""
        return f"{format_decimal(self.slow_price)} {_moment(self.below_since)} {_moment(self.back_since)}"

    def depegged_for(self, now: datetime) -> timedelta:
        """Return how long the depeg has lasted by a moment; nothing when there is none. It stands still while the price is back."""
        if self.below_since is None:
            return timedelta(0)
        return max(timedelta(0), (self.back_since or now) - self.below_since)

    def has_run_out(self, now: datetime, rules: DepegParameters) -> bool:
        """Return whether the depeg has lasted for longer than a stablecoin may be collateral."""
        return rules.longest_hours is not None and _hours(self.depegged_for(now)) > rules.longest_hours

    def standing(self, now: datetime, rules: DepegParameters) -> PegStanding:
        """Return how the coin stands at a moment."""
        is_lost = self.slow_price < rules.ineligible_price or self.has_run_out(now, rules)
        return PegStanding(self.slow_price, self.depegged_for(now), is_lost)


@dataclass(frozen=True, slots=True)
class PegStanding:
    """How a stablecoin stands at one moment, under the rules of a parameter set.

    Attributes:
        slow_price: What holdings count at, at most, in what the coin is pegged to.
        depegged_for: How long the depeg has lasted; nothing when there is none.
        is_lost: Whether the coin is no collateral at all: it counts at too little, or the depeg has lasted too long.
    """

    slow_price: Decimal
    depegged_for: timedelta
    is_lost: bool


@dataclass(frozen=True, slots=True)
class PegSighting:
    """What a snapshot says of a stablecoin's price, in what it is pegged to. `is_believed`: nobody doubts it."""

    price: Decimal
    is_believed: bool


def peg_price(price: Decimal, currency: Decimal) -> Decimal:
    """Return the price of a coin in what it is pegged to, from both prices in USD; to the last place of the ledger, upwards.

    Upwards, so that a slow price that is the whole price gives the whole price again.

    >>> peg_price(Decimal("1.09"), Decimal("1.1"))
    Decimal('0.990909090909090910')
    """
    return price if currency == 1 else _UP.quantize(_UP.divide(price, currency), LEDGER_UNIT)


def used_price(price: Decimal, currency: Decimal, peg: Peg | None) -> Decimal:
    """Return what a holding of a stablecoin counts at, USD: min(price, slow price). `price` and `currency` are in USD.

    >>> used_price(Decimal("0.99"), Decimal(1), Peg(Decimal("0.95")))
    Decimal('0.95')
    """
    return price if peg is None else min(price, _UP.multiply(peg.slow_price, currency))


def next_peg(
    before: Peg | None, sighting: PegSighting | None, *, previous: datetime | None, now: datetime, rules: DepegParameters
) -> Peg | None:
    """Return what is known of a stablecoin at `now` from what was known at `previous`; None when nothing ever was.

    A pure function: the same inputs give the same peg. Over a stretch at whose end the coin has no price, or a doubted one, nothing is made
    good: the slow price does not rise and no recovery begins or ends; a depeg goes on. A `previous` that is not before `now` is a stretch
    of no length.
    """
    if sighting is None:
        return before
    slow = sighting.price
    if before is not None:
        elapsed = timedelta(0) if previous is None else max(timedelta(0), now - previous)
        slow = min(slow, before.slow_price if not sighting.is_believed else _risen(before.slow_price, elapsed, slow, rules))
    return Peg(slow, *_clock(before, sighting, now if previous is None else max(previous, now), rules))


def _risen(slow: Decimal, elapsed: timedelta, price: Decimal, rules: DepegParameters) -> Decimal:
    if rules.slow_rise_per_day is None:
        return price
    days = _DOWN.divide(Decimal(elapsed // _MICROSECOND), Decimal(_DAY // _MICROSECOND))
    return _DOWN.add(slow, _DOWN.quantize(_DOWN.multiply(rules.slow_rise_per_day, days), LEDGER_UNIT))


def _clock(before: Peg | None, sighting: PegSighting, now: datetime, rules: DepegParameters) -> tuple[datetime | None, datetime | None]:
    """Return since when the coin is in a depeg, and since when it is back without the depeg being over."""
    below_since = None if before is None else before.below_since
    if sighting.price < rules.mild_price:
        return below_since or now, None
    if before is None or below_since is None:
        return None, None
    if not sighting.is_believed:
        return below_since, before.back_since
    back_since = before.back_since or now
    return (None, None) if _hours(now - back_since) >= rules.recovery_hours else (below_since, back_since)


def _hours(length: timedelta) -> Decimal:
    return _DOWN.divide(Decimal(length // _MICROSECOND), Decimal(timedelta(hours=1) // _MICROSECOND))


def _moment(moment: datetime | None) -> str:
    return "-" if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds")
