"""An outlook: where utilization goes by a horizon, if the account trends as it did and what is known of the days ahead comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Final

from crossmargin.domain.call_life import MarginCall
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef, RiskParameterSetId
from crossmargin.domain.lifecycle_due import ExpectedEvent
from crossmargin.domain.margin import Band, MarginStamp
from crossmargin.domain.margin_history import StoredPoint
from crossmargin.domain.money import EXACT, round_down_to_cent, round_up_to_cent

DEFAULT_HORIZON: Final = timedelta(hours=24)
LONGEST_HORIZON: Final = timedelta(days=5)
_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Trend:
    """How far an account has come by itself: by what the market did, and not by what was traded, moved in or out, or decided.

    Attributes:
        equity, maintenance_margin: Sums of the changes from one house run to the next, base currency, of those pairs of runs between which
            nothing was booked and the methodology and the risk parameters stayed what they were.
        observed: The time between the runs of these pairs, added up.
    """

    equity: Decimal = _NOTHING
    maintenance_margin: Decimal = _NOTHING
    observed: timedelta = timedelta(0)

    def over(self, horizon: timedelta) -> Trend:
        """Return the trend over a horizon at the same rate, but never over more time than was observed: an hour says nothing of a day."""
        if self.observed <= horizon:
            return self
        share = EXACT.divide(_seconds(horizon), _seconds(self.observed))
        equity = round_down_to_cent(EXACT.multiply(self.equity, share))
        return Trend(equity, round_up_to_cent(EXACT.multiply(self.maintenance_margin, share)), horizon)


@dataclass(frozen=True, slots=True)
class OutlookFigures:
    """Equity and maintenance margin, base currency; utilization None is infinite."""

    equity: Decimal
    maintenance_margin: Decimal
    utilization: Decimal | None
    band: Band


@dataclass(frozen=True, slots=True)
class Outlook:
    """One account at a horizon. Nothing is called or liquidated on it.

    projected equity = known equity + trend; projected maintenance margin = known maintenance margin + trend, not below zero.

    Attributes:
        stamp: Of the margin now. at: The horizon, counted from the time of the market snapshot.
        now: The margin as it is.
        known: The margin at the market of now of the book as it will be at the horizon, under the risk parameters in force then.
        trend: What is added to it.
        ends: What ends of the book by then: it is settled at what it is worth now, or delivered.
        parameter_set_id, parameter_fraction: In force at the horizon, and its share of the result; the rest is the set before it.
        call: The open call, if it is due by then. It is counted as not met.
    """

    stamp: MarginStamp
    at: datetime
    now: OutlookFigures
    known: OutlookFigures
    trend: Trend
    projected: OutlookFigures
    ends: tuple[ExpectedEvent, ...]
    parameter_set_id: RiskParameterSetId
    parameter_fraction: Decimal
    call: MarginCall | None = None

    @property
    def account(self) -> AccountRef:
        """Whose it is."""
        return self.stamp.account


def check_horizon(horizon: timedelta) -> timedelta:
    """Return a horizon above nothing and up to five days; INVALID_ARGUMENT for another one."""
    if not timedelta(0) < horizon <= LONGEST_HORIZON:
        expected = f"more than nothing and at most {LONGEST_HORIZON.days} days"
        raise DomainError(
            Reason.INVALID_ARGUMENT, f"horizon was {horizon}; expected {expected}", field="horizon", value=horizon, expected=expected
        )
    return horizon


def trend_of(points: Sequence[StoredPoint]) -> Trend:
    """Return how far an account came by itself between the first and the last of its points, which are in order."""
    pairs = [(one, other) for one, other in pairwise(points) if _is_undisturbed(one, other)]
    return Trend(
        equity=sum((other.point.equity - one.point.equity for one, other in pairs), _NOTHING),
        maintenance_margin=sum((other.point.maintenance_margin - one.point.maintenance_margin for one, other in pairs), _NOTHING),
        observed=sum((other.recorded_at - one.recorded_at for one, other in pairs), timedelta(0)),
    )


def _is_undisturbed(one: StoredPoint, other: StoredPoint) -> bool:
    before, after = one.point.stamp, other.point.stamp
    return (before.sequence, before.methodology, before.parameters_hash, before.ramp) == (
        after.sequence,
        after.methodology,
        after.parameters_hash,
        after.ramp,
    )


def _seconds(span: timedelta) -> Decimal:
    return Decimal(span // timedelta(microseconds=1)) / 1_000_000
