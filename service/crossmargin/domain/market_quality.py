"""How far a level of the market can be believed: a bad quote is a range, never a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, InvalidOperation
from enum import Enum, unique
from statistics import median_low
from typing import Final, NamedTuple

from crossmargin.domain.book import check_aware
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.market_clock import open_time_between
from crossmargin.domain.market_quality_parameters import DIFFERENCE_KINDS, RATE_KINDS, MarketQualityParameters, QuoteRule
from crossmargin.domain.money import LEDGER_UNIT, check_ledger_decimal, format_decimal

_INFINITE: Final = Decimal("Infinity")
_LARGEST_LEAD: Final = timedelta(seconds=1)
_DOWN: Final = Context(prec=60, rounding=ROUND_FLOOR, traps=[InvalidOperation])
_UP: Final = Context(prec=60, rounding=ROUND_CEILING, traps=[InvalidOperation])


@unique
class Verdict(Enum):
    """How far one level can be believed, the best first."""

    VALID = "valid"
    """Fresh, and no reason to doubt it."""
    SUSPECT = "suspect"
    """It has jumped, or its sources disagree, or they are fewer than asked for."""
    STALE = "stale"
    """Nobody has said anything for too long."""
    MISSING = "missing"
    """Silent for so long that the last level says little."""

    @property
    def severity(self) -> int:
        """0 for VALID, and more the less a level can be believed."""
        return _SEVERITY[self]


_SEVERITY: Final = {verdict: place for place, verdict in enumerate(Verdict)}


@dataclass(frozen=True, slots=True)
class Quality:
    """What is known of one level beside the level.

    Attributes:
        observed_at: When the level was last seen to be right.
        low: The true level is not below it. high: nor above it. Both are the level itself when it is valid.
        candidate: What sources say now and are not believed yet; None when nothing waits.
        candidate_at: The newest quote that has counted for the candidate.
        ticks: Snapshots, each with newer quotes, for which the level has been suspect without a break; 0 when it is not.
    """

    verdict: Verdict
    observed_at: datetime
    low: Decimal
    high: Decimal
    candidate: Decimal | None = None
    candidate_at: datetime | None = None
    ticks: int = 0

    def __post_init__(self) -> None:
        check_aware(self.observed_at, what="observed_at of a level")
        for end in (self.low, self.high):
            check_ledger_decimal(end, what="end of the range of a level")
        if self.low > self.high or (self.verdict is Verdict.VALID and self.low != self.high):
            raise DomainError(
                Reason.INVALID_SNAPSHOT,
                f"range of a {self.verdict.value} level was {self.low} to {self.high}; expected ascending ends, equal for a valid one",
                low=self.low,
                high=self.high,
            )

    @property
    def line(self) -> str:
        """Everything in one line, for the hash of a snapshot."""
        waiting = "-" if self.candidate is None else format_decimal(self.candidate)
        waiting_since = "-" if self.candidate_at is None else _moment(self.candidate_at)
        ends = f"{format_decimal(self.low)} {format_decimal(self.high)}"
        return f"{self.verdict.value} {_moment(self.observed_at)} {ends} {waiting} {waiting_since} {self.ticks}"


def valid_quality(level: Decimal, observed_at: datetime) -> Quality:
    """Return the quality of a level that nobody doubts."""
    return Quality(Verdict.VALID, observed_at, level, level)


class Sighting(NamedTuple):
    """What one source has said last of one level."""

    value: Decimal
    observed_at: datetime


class Judged(NamedTuple):
    """A level of the next snapshot, and how far it can be believed."""

    level: Decimal
    quality: Quality


def judge(
    sightings: Sequence[Sighting], before: Judged | None, rule: QuoteRule, parameters: MarketQualityParameters, now: datetime
) -> Judged | None:
    """Return a level of the market at `now`; None when nobody ever said anything of it. The same inputs give the same answer.

    What is doubted never becomes the level: that stays what was last believed, and the doubt is in the range. Of several sources the
    lower median counts, so that a level is always one that somebody quoted. `sightings` are the last word of each source; `before` is the
    level in the snapshot before, None for one that was not in it.
    """
    case = _Case(rule, parameters, before, now)
    fresh = [sighting for sighting in sightings if case.is_fresh(sighting)]
    if not fresh:
        return case.silent(sightings)
    agreed = case.majority(fresh)
    if agreed is None or (case.is_implausible(_middle(agreed)) and len(agreed) < parameters.confirming_sources):
        plausible = [sighting for sighting in fresh if not case.is_implausible(sighting.value)]
        if not plausible:
            return case.unconfirmed(fresh, believable=False)
        agreed = case.majority(plausible)
        if agreed is None:
            return case.unconfirmed(plausible)
    if len(agreed) < parameters.minimum_sources:
        return case.unconfirmed(agreed)
    if case.move_to(_middle(agreed)) <= rule.jump_limit or len(agreed) >= parameters.confirming_sources:
        return case.believed(agreed)
    return case.jumped(agreed)


@dataclass(frozen=True, slots=True)
class _Case:
    """One level to judge. `before` is what was believed in the snapshot before."""

    rule: QuoteRule
    parameters: MarketQualityParameters
    before: Judged | None
    now: datetime

    def is_fresh(self, sighting: Sighting) -> bool:
        # A quote from the future is not fresh: made to look new, it would never grow old.
        if sighting.observed_at - self.now > _LARGEST_LEAD:
            return False
        return self._age_s(sighting.observed_at) <= self.rule.stale_after_s

    def move_to(self, value: Decimal) -> Decimal:
        return Decimal(0) if self.before is None else distance(value, self.before.level, self.rule)

    def is_implausible(self, value: Decimal) -> bool:
        return self.move_to(value) > self.rule.implausible_limit

    def majority(self, sightings: Sequence[Sighting]) -> Sequence[Sighting] | None:
        """Return those that agree with the median, if they are more than half; None when the sources disagree."""
        middle = _middle(sightings)
        agreed = [each for each in sightings if distance(each.value, middle, self.rule) <= self.rule.disagreement_limit]
        return agreed if 2 * len(agreed) > len(sightings) else None

    def believed(self, agreed: Sequence[Sighting]) -> Judged:
        level = _middle(agreed)
        return Judged(level, valid_quality(level, _newest(agreed)))

    def jumped(self, agreed: Sequence[Sighting]) -> Judged:
        """Return the level before with what is said now as its other end, or what is said now once it has stood for long enough."""
        ticks = self._ticks_with(agreed)
        is_believable = not self.is_implausible(_middle(agreed))
        if is_believable and self._continues(_middle(agreed)) and ticks >= self.parameters.confirming_ticks:
            return self.believed(agreed)
        return self.unconfirmed(agreed, believable=is_believable)

    def unconfirmed(self, sightings: Sequence[Sighting], *, believable: bool = True) -> Judged:
        """Return a suspect level: anything from what was believed before to what is said now, if that can be at all."""
        candidate, newest = _middle(sightings), _newest(sightings)
        level, observed_at = (candidate, newest) if self.before is None else (self.before.level, self.before.quality.observed_at)
        low, high = self._drifted(level, observed_at)
        if believable:
            values = [each.value for each in sightings]
            low, high = min(low, *values), max(high, *values)
        return Judged(level, Quality(Verdict.SUSPECT, observed_at, low, high, candidate, newest, self._ticks_with(sightings)))

    def silent(self, sightings: Sequence[Sighting]) -> Judged | None:
        """Return the last level that was believed, as stale or missing as it is; one that nobody had believed yet is taken as it came."""
        known = [each for each in sightings if each.observed_at - self.now <= _LARGEST_LEAD]
        if self.before is not None:
            level, quality = self.before
            observed_at, candidate = quality.observed_at, quality.candidate
            candidate_at = quality.candidate_at
        elif known:
            level, observed_at, candidate, candidate_at = _middle(known), _newest(known), None, None
        else:
            return None
        age_s = self._age_s(observed_at)
        if age_s <= self.rule.stale_after_s and candidate is None:
            return Judged(level, valid_quality(level, observed_at))
        low, high = self._drifted(level, observed_at)
        if candidate is not None and not self.is_implausible(candidate):
            low, high = min(low, candidate), max(high, candidate)
        verdict = Verdict.MISSING if age_s > self.rule.missing_after_s else Verdict.STALE
        return Judged(level, Quality(verdict, observed_at, low, high, candidate, candidate_at))

    def _ticks_with(self, sightings: Sequence[Sighting]) -> int:
        """Return for how many snapshots in a row the level has been suspect. A quote said once counts once, however long it stands."""
        if self.before is None or self.before.quality.verdict is not Verdict.SUSPECT:
            return 1
        before = self.before.quality
        candidate = _middle(sightings)
        # Another candidate begins anew: a feed that jumps about confirms nothing.
        if not self._continues(candidate):
            return 1
        is_newer = before.candidate_at is None or _newest(sightings) > before.candidate_at
        return before.ticks + is_newer

    def _continues(self, candidate: Decimal) -> bool:
        waiting = None if self.before is None else self.before.quality.candidate
        return waiting is not None and distance(candidate, waiting, self.rule) <= self.rule.jump_limit

    def _age_s(self, moment: datetime) -> Decimal:
        open_time = open_time_between(moment, self.now, self.rule.clock, self.parameters.weekly_close)
        return Decimal(open_time // timedelta(microseconds=1)).scaleb(-6)

    def _drifted(self, level: Decimal, observed_at: datetime) -> tuple[Decimal, Decimal]:
        """Return how far a level may have gone since it was last seen."""
        age_s = self._age_s(observed_at)
        if age_s > self.rule.missing_after_s:
            drift = self.rule.widest_drift
        else:
            # Whole multiples, so that a snapshot says something new only when a level has grown older by one.
            lives = max(Decimal(1), _UP.divide(age_s, self.rule.stale_after_s).to_integral_value(ROUND_CEILING))
            drift = min(self.rule.widest_drift, _UP.multiply(self.rule.drift, _UP.sqrt(lives)))
        return drifted(level, drift, self.rule)


def distance(one: Decimal, other: Decimal, rule: QuoteRule) -> Decimal:
    """Return how far apart two levels are: their difference, or the larger over the smaller less one.

    Infinite when only one of two prices is zero.
    """
    if rule.kind in DIFFERENCE_KINDS:
        return abs(_UP.subtract(one, other))
    low, high = min(one, other), max(one, other)
    if low == high:
        return Decimal(0)
    return _UP.subtract(_UP.divide(high, low), Decimal(1)) if low > 0 else _INFINITE


def drifted(level: Decimal, drift: Decimal, rule: QuoteRule) -> tuple[Decimal, Decimal]:
    """Return the ends of a level that may have moved by `drift` either way, to what the ledger can hold, outwards.

    Rates and carry stay within what they can be, -10 to 10; a price stays above zero.
    """
    if rule.kind in DIFFERENCE_KINDS:
        low, high = _DOWN.subtract(level, drift), _UP.add(level, drift)
        if rule.kind in RATE_KINDS:
            low, high = max(low, Decimal(-10)), min(high, Decimal(10))
    else:
        ratio = _UP.add(Decimal(1), drift)
        # The smallest price there can be is no reason for a price of nothing.
        low, high = max(_DOWN.divide(level, ratio), min(level, LEDGER_UNIT)), _UP.multiply(level, ratio)
    return _DOWN.quantize(low, LEDGER_UNIT), _UP.quantize(high, LEDGER_UNIT)


def _middle(sightings: Sequence[Sighting]) -> Decimal:
    return median_low(each.value for each in sightings)


def _newest(sightings: Sequence[Sighting]) -> datetime:
    return max(each.observed_at for each in sightings)


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
