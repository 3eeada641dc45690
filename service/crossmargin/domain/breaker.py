"""Breakers: when so many accounts fall at once that the market is doubted before the clients are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, unique
from typing import Final

from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.margin import Band, MarginResult
from crossmargin.domain.market_gate import Action, at_least
from crossmargin.domain.market_quality_parameters import BreakerLimits

WINDOW: Final = timedelta(minutes=1)
"""What is counted together; the limits are per minute."""


@unique
class BreakerKind(Enum):
    """What a breaker watches."""

    CALLS = "calls"
    """Accounts that enter margin call or worse."""
    LIQUIDATIONS = "liquidations"
    """Accounts that enter liquidation."""
    CONCENTRATION = "concentration"
    """Accounts that enter margin call or worse for one and the same instrument."""


PAUSES: Final[Mapping[BreakerKind, frozenset[Action]]] = {
    BreakerKind.CALLS: frozenset({Action.MARGIN_CALL, Action.LIQUIDATION}),
    BreakerKind.LIQUIDATIONS: frozenset({Action.LIQUIDATION}),
    BreakerKind.CONCENTRATION: frozenset({Action.MARGIN_CALL, Action.LIQUIDATION}),
}
"""What stands still while a breaker is tripped, until a person resets it."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """Where one breaker stands.

    Attributes:
        tripped_at: When it tripped last; None when it never did. cause: what it saw then.
        reset_at: When a person reset it last; None when nobody ever had to. reset_by: who. note: what they found.
    """

    kind: BreakerKind
    is_tripped: bool = False
    tripped_at: datetime | None = None
    cause: str = ""
    reset_at: datetime | None = None
    reset_by: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class BandEntry:
    """An account that has entered margin call, or liquidation, coming from a better band.

    Attributes:
        instrument_id: The holding with the largest part in its requirement; None for an account without any.
    """

    account: AccountRef
    before: Band
    band: Band
    instrument_id: InstrumentId | None
    at: datetime


def has_entered(before: Band | None, band: Band) -> bool:
    """Return whether an account has come from a better band into margin call or worse; one that was not seen before has entered nothing."""
    return before is not None and at_least(band, Band.MARGIN_CALL) and band is not before and at_least(band, before)


def entries_between(before: Mapping[AccountRef, Band], results: Iterable[MarginResult], at: datetime) -> list[BandEntry]:
    """Return who has entered margin call or liquidation since. Results of those have to be explained: the largest part is looked for."""
    found = []
    for result in results:
        account, band = result.stamp.account, result.band
        earlier = before.get(account)
        if earlier is not None and has_entered(earlier, band):
            largest = max(result.contributions, key=lambda each: each.amount, default=None)
            found.append(BandEntry(account, earlier, band, None if largest is None else largest.instrument_id, at))
    return found


def trips(entries: Sequence[BandEntry], limits: BreakerLimits) -> Mapping[BreakerKind, str]:
    """Return the breakers that the entries of one window trip, each with what it saw."""
    called = {entry.account for entry in entries if not at_least(entry.before, Band.MARGIN_CALL)}
    liquidated = {entry.account for entry in entries if entry.band is Band.LIQUIDATION}
    causes: dict[BreakerKind, str] = {}
    if len(called) > limits.calls_per_minute:
        causes[BreakerKind.CALLS] = f"{len(called)} accounts entered margin call within a minute; at most {limits.calls_per_minute} may"
    if len(liquidated) > limits.liquidations_per_minute:
        causes[BreakerKind.LIQUIDATIONS] = (
            f"{len(liquidated)} accounts entered liquidation within a minute; at most {limits.liquidations_per_minute} may"
        )
    instrument_of = {entry.account: entry.instrument_id for entry in entries if entry.instrument_id and entry.account in called}
    if instrument_of and len(called) >= limits.concentration_accounts:
        (name, count), *_ = sorted(Counter(instrument_of.values()).items(), key=lambda pair: (-pair[1], pair[0]))
        if count > limits.concentration_fraction * len(called):
            causes[BreakerKind.CONCENTRATION] = f"{count} of {len(called)} accounts entered margin call within a minute for {name}"
    return causes


def paused_by(breakers: Collection[Breaker], action: Action) -> list[Breaker]:
    """Return the breakers that hold an action up."""
    return [breaker for breaker in breakers if breaker.is_tripped and action in PAUSES[breaker.kind]]
