"""What may be decided on market data that cannot be taken at its word.

A bad quote is a range. What adds risk or lets money go must be right at the least favourable end of it; what is held against a client
must be right at the most favourable one. With everything valid the two ends are one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from enum import Enum, unique
from typing import Final

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.margin import Band, DataQuality, DoubtedInput, MarginResult
from crossmargin.domain.market_quality import Verdict


@unique
class Action(Enum):
    """What is to be decided."""

    RISK_REDUCING = "risk-reducing"
    RISK_INCREASING = "risk-increasing"
    WITHDRAWAL = "withdrawal"
    MARGIN_CALL = "margin call"
    LIQUIDATION = "liquidation"


@unique
class Gate(Enum):
    """On what condition."""

    OPEN = "yes"
    WORST_END = "if fine at the least favourable end"
    CLOSED = "no"
    BEST_END = "if short at the most favourable end"
    BEST_END_PROVISIONAL = "if short at the most favourable end, for a person to confirm"
    BEST_END_CONFIRMED = "if short at the most favourable end once a second source, or enough newer quotes, say so too"
    BEST_END_ELSEWHERE = "if short at the most favourable end, by other instruments"
    BEST_END_AGAIN = "if short at the most favourable end, and again on a newer snapshot under the lock"


_VERDICTS: Final = (Verdict.VALID, Verdict.SUSPECT, Verdict.STALE, Verdict.MISSING)
_ROWS: Final[Mapping[Action, tuple[Gate, Gate, Gate, Gate]]] = {
    Action.RISK_REDUCING: (Gate.OPEN, Gate.OPEN, Gate.OPEN, Gate.OPEN),
    Action.RISK_INCREASING: (Gate.WORST_END, Gate.WORST_END, Gate.CLOSED, Gate.CLOSED),
    Action.WITHDRAWAL: (Gate.WORST_END, Gate.WORST_END, Gate.CLOSED, Gate.CLOSED),
    Action.MARGIN_CALL: (Gate.BEST_END, Gate.BEST_END_PROVISIONAL, Gate.BEST_END, Gate.BEST_END),
    Action.LIQUIDATION: (Gate.BEST_END_AGAIN, Gate.BEST_END_CONFIRMED, Gate.BEST_END_ELSEWHERE, Gate.CLOSED),
}
GATES: Final[Mapping[tuple[Action, Verdict], Gate]] = {
    (action, verdict): gate for action, row in _ROWS.items() for verdict, gate in zip(_VERDICTS, row, strict=True)
}
"""The whole table. For a risk-increasing order the verdict is that of the instrument and its hedges; for everything else of whatever the
account is exposed to."""


def closed_by(action: Action, doubted: Iterable[DoubtedInput]) -> DoubtedInput | None:
    """Return the worst of the inputs that close an action whatever the figures say; None if none does."""
    closing = [each for each in doubted if GATES[action, each.quality.verdict] is Gate.CLOSED]
    return max(closing, key=lambda each: each.quality.verdict.severity, default=None)


def market_refusal(
    action: Action,
    exposed: Iterable[DoubtedInput],
    *,
    touched: Iterable[DoubtedInput] | None = None,
    covers_at_levels: bool,
    least_excess: Decimal | None,
) -> DomainError | None:
    """Return why an approval is refused for the market data it would rest on; None if that is not why.

    Args:
        action: RISK_INCREASING or WITHDRAWAL.
        exposed: What the account is exposed to and is doubted: the least favourable end is that of all of it.
        touched: Of an order, those that its instruments and their hedges rest on: they may close it. None: all of `exposed`.
        covers_at_levels: Whether equity covers the initial margin at the levels of the snapshot; if not, the market data is not to blame.
        least_excess: Equity less initial margin at the least favourable end; None when nobody can say.
    """
    inputs = tuple(exposed)
    closing = closed_by(action, inputs if touched is None else touched)
    if closing is not None:
        return _refusal(action, closing, "wait for a newer quote, or do what lowers the risk")
    is_covered = least_excess is not None and least_excess >= 0
    if is_covered or not covers_at_levels or not inputs:
        return None
    short = "by nobody knows how much" if least_excess is None else f"by {-least_excess}"
    worst = max(inputs, key=lambda each: each.quality.verdict.severity)
    return _refusal(action, worst, f"at the least favourable end of what is doubted the account would be short {short}")


def unknowable(exposed: Iterable[DoubtedInput], what: str) -> DomainError:
    """Return the error for what nobody can say, because the doubted inputs that it rests on bound nothing."""
    worst = max(exposed, key=lambda each: each.quality.verdict.severity)
    return _refusal_of(worst, what, "nobody can say what the account is worth at the least favourable end; wait for a newer quote")


def may_liquidate(doubted: Iterable[DoubtedInput], *, confirming_ticks: int) -> bool:
    """Return whether nothing that is doubted stands in the way of a liquidation."""
    return liquidation_refusal(doubted, confirming_ticks=confirming_ticks) is None


def liquidation_refusal(doubted: Iterable[DoubtedInput], *, confirming_ticks: int) -> DomainError | None:
    """Return why nothing is liquidated on market data, whatever the figures say: the worst that stands in the way; None if nothing does."""
    closing = [each for each in doubted if _closes_liquidation(each, confirming_ticks)]
    worst = max(closing, key=lambda each: each.quality.verdict.severity, default=None)
    return None if worst is None else _refusal(Action.LIQUIDATION, worst, "wait for newer quotes, or for another source that says so too")


def _closes_liquidation(doubted: DoubtedInput, confirming_ticks: int) -> bool:
    gate = GATES[Action.LIQUIDATION, doubted.quality.verdict]
    return gate is Gate.CLOSED or (gate is Gate.BEST_END_CONFIRMED and doubted.quality.ticks < confirming_ticks)


def alert_band(at_levels: Band, quality: DataQuality) -> Band:
    """Return the band to act and to alert on.

    Margin is called, and an account liquidated, only if it is short at the most favourable end; what is short at the levels alone stays
    at risk. Liquidation waits for suspect inputs to be confirmed, and for missing ones to be there.
    """
    if not at_least(at_levels, Band.MARGIN_CALL):
        return at_levels
    band = worse(quality.best_band, Band.AT_RISK)
    return Band.MARGIN_CALL if band is Band.LIQUIDATION and not quality.may_liquidate else band


def gated(result: MarginResult, quality: DataQuality | None) -> MarginResult:
    """Return a result at the levels of a snapshot with what is left open about it, and with the band to act and to alert on."""
    if quality is None:
        return result
    band = alert_band(result.band, quality)
    gates = {GATES[Action.MARGIN_CALL, each.quality.verdict] for each in quality.doubted}
    is_provisional = at_least(band, Band.MARGIN_CALL) and Gate.BEST_END_PROVISIONAL in gates
    return replace(result, band=band, quality=replace(quality, is_provisional=is_provisional))


def widest(one: DataQuality | None, other: DataQuality | None) -> DataQuality | None:
    """Return what is left open when either of two results may be the right one, as while parameters change by degrees."""
    if one is None or other is None:
        return one or other
    return DataQuality(
        doubted=tuple(sorted({*one.doubted, *other.doubted}, key=lambda each: each.subject)),
        utilization_low=_smaller(one.utilization_low, other.utilization_low),
        utilization_high=_larger(one.utilization_high, other.utilization_high),
        excess_to_initial_low=_least(one.excess_to_initial_low, other.excess_to_initial_low),
        excess_to_initial_high=_most(one.excess_to_initial_high, other.excess_to_initial_high),
        best_band=min(one.best_band, other.best_band, key=_BAND_ORDER.index),
        worst_band=worse(one.worst_band, other.worst_band),
        may_liquidate=one.may_liquidate and other.may_liquidate,
        is_provisional=one.is_provisional or other.is_provisional,
    )


def worse(one: Band, other: Band) -> Band:
    """Return the worse of two bands."""
    return max(one, other, key=_BAND_ORDER.index)


def at_least(band: Band, line: Band) -> bool:
    """Return whether a band is as bad as another or worse."""
    return _BAND_ORDER.index(band) >= _BAND_ORDER.index(line)


_BAND_ORDER: Final = tuple(Band)
_REASONS: Final = {
    Verdict.SUSPECT: Reason.SUSPECT_MARKET_DATA,
    Verdict.STALE: Reason.STALE_MARKET_DATA,
    Verdict.MISSING: Reason.MISSING_MARKET_DATA,
}


def _refusal(action: Action, doubted: DoubtedInput, words: str) -> DomainError:
    return _refusal_of(doubted, action.value, words)


def _refusal_of(doubted: DoubtedInput, what: str, words: str) -> DomainError:
    quality = doubted.quality
    return DomainError(
        _REASONS[quality.verdict],
        f"{doubted.subject} is {quality.verdict.value} since {quality.observed_at.isoformat()}, so no {what} rests on it: {words}",
        subject=doubted.subject,
        verdict=quality.verdict.value,
        observed_at=quality.observed_at.isoformat(),
        low=quality.low,
        high=quality.high,
        action=what,
    )


def _smaller(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    known = [each for each in (one, other) if each is not None]
    return min(known, default=None)


def _larger(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else max(one, other)


def _least(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else min(one, other)


def _most(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else max(one, other)
