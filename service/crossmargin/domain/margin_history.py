"""What the monitor keeps of its house runs: for each account a series over time, thinner the older it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Final

from crossmargin.domain.band_memory import BandState
from crossmargin.domain.margin import Band, MarginResult, MarginStamp

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OF_AN_ACCOUNT: Final = frozenset({"account", "sequence", "methodology"})
_of_the_run: Final = attrgetter(*(each.name for each in fields(MarginStamp) if each.name not in _OF_AN_ACCOUNT))
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class MarginPoint:
    """One account at one house run. Money in base currency.

    Attributes:
        utilization: None is infinite.
        plain_band: What the margin result says. band: what the monitor holds the account to be in.
        is_immediate: True while a liquidation waits for no call.
        band_before: What the monitor held it to be in at the run before; None at the first one.
    """

    stamp: MarginStamp
    utilization: Decimal | None
    equity: Decimal
    maintenance_margin: Decimal
    initial_margin: Decimal
    plain_band: Band
    band: Band
    is_immediate: bool
    band_before: Band | None

    @property
    def excess(self) -> Decimal:
        """Equity less initial margin; negative is a deficit."""
        return self.equity - self.initial_margin

    @property
    def is_change(self) -> bool:
        """Whether the account came into another band, or was seen for the first time: such a point is kept for good."""
        return self.band_before is not self.band


@dataclass(frozen=True, slots=True)
class StoredPoint:
    """A point as it is stored: `run` is the number of its house run, which grows; `recorded_at` by the clock of the storage."""

    run: int
    recorded_at: datetime
    point: MarginPoint


@dataclass(frozen=True, slots=True)
class HistoryTiers:
    """How long every run is kept, then one a minute, then one an hour; after that, for good, one a day. The last one of each counts.

    Attributes:
        every_run: Age up to which every run is kept. per_minute, per_hour: ages up to which one a minute, an hour is.
    """

    every_run: timedelta
    per_minute: timedelta
    per_hour: timedelta

    def __post_init__(self) -> None:
        if not timedelta(0) <= self.every_run <= self.per_minute <= self.per_hour:
            raise ValueError(
                f"expected ages of zero or more that ascend; they were {self.every_run}, {self.per_minute} and {self.per_hour}"
            )


def margin_point(result: MarginResult, before: BandState | None, state: BandState) -> MarginPoint:
    """Return what is kept of a result."""
    return MarginPoint(
        stamp=result.stamp,
        utilization=result.utilization,
        equity=result.equity.equity,
        maintenance_margin=result.requirement.maintenance_margin,
        initial_margin=result.requirement.initial_margin,
        plain_band=result.band,
        band=state.band,
        is_immediate=state.is_immediate,
        band_before=None if before is None else before.band,
    )


def check_one_run(points: Sequence[MarginPoint]) -> None:
    """Return if the points are of one house run, each of another account; ValueError otherwise."""
    if len({_of_the_run(point.stamp) for point in points}) > 1 or len({point.stamp.account for point in points}) < len(points):
        raise ValueError("expected the points of one house run, one for each account")


def runs_to_thin(runs: Iterable[tuple[int, datetime]], now: datetime, tiers: HistoryTiers) -> list[int]:
    """Return the numbers of runs that are not the last one of their minute, hour or day, in order.

    >>> noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    >>> tiers = HistoryTiers(timedelta(hours=1), timedelta(days=1), timedelta(days=30))
    >>> runs_to_thin([(1, noon), (2, noon + timedelta(seconds=2))], noon + timedelta(hours=2), tiers)
    [1]
    """
    last: dict[tuple[timedelta, timedelta], int] = {}
    known = sorted(runs)
    for run, recorded_at in known:
        slot = _slot(recorded_at, now, tiers)
        if slot is not None:
            last[slot] = run
    return [run for run, at in known if (slot := _slot(at, now, tiers)) is not None and last[slot] != run]


def _slot(recorded_at: datetime, now: datetime, tiers: HistoryTiers) -> tuple[timedelta, timedelta] | None:
    age = now - recorded_at
    if age <= tiers.every_run:
        return None
    width = _MINUTE if age <= tiers.per_minute else _HOUR if age <= tiers.per_hour else _DAY
    return width, (recorded_at - _EPOCH) // width * width
