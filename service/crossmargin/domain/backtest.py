"""What a backtest says: how often a book lost more than was required, whether evenly, by how much, and how fast the requirement moves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum, unique

from crossmargin.domain.identifiers import RiskParameterSetId


@unique
class Zone(Enum):
    """The zones of the Basel backtest."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often a requirement was not enough, tested at a confidence.

    Margin periods of neighbouring days overlap, and a loss in one is a loss in the next. So the days are dealt out to phases in each of
    which no two periods overlap; every phase is tested alone. The zones are those of its worst phase, and a p-value is the smallest of
    the phases times their number (Bonferroni), at most 1.

    Attributes:
        measure: `market` for the market requirement, `maintenance` for the maintenance margin, or the offset group tested alone.
        confidence: Share of periods that the requirement is to cover.
        days: Days tested. breaches: Those on which the loss exceeded the requirement, overlapping periods and all.
        days_by_phase, breaches_by_phase: The same for each phase; periods of one phase do not overlap.
        zone: By P(X <= breaches): yellow from 95%, red from 99.99% (Basel MAR99).
        zone_by_exceedance: By P(X >= breaches): yellow from 5% down, red from 0.01% down; never worse than `zone`.
        coverage_p_value: Kupiec's test of the number of breaches. Too few lower it as well as too many.
        independence_p_value: Christoffersen's test that breaches do not follow one another.
        largest_loss_ratio: Largest loss over its requirement; above 1 is a breach. None when nothing was ever required.
        worst_day: Day of that loss.
    """

    measure: str
    confidence: Decimal
    days: int
    breaches: int
    days_by_phase: tuple[int, ...]
    breaches_by_phase: tuple[int, ...]
    zone: Zone
    zone_by_exceedance: Zone
    coverage_p_value: Decimal
    independence_p_value: Decimal
    largest_loss_ratio: Decimal | None
    worst_day: date | None


@dataclass(frozen=True, slots=True)
class TailMeanTest:
    """Whether losses beyond the edge of the tail were as large, and as frequent, as the tail mean says (Acerbi and Szekely 2014).

    Of the phase that looks worst; p-values are Bonferroni's over the phases.

    Attributes:
        breaches: Days of that phase on which the loss was beyond the edge of the tail.
        given_breach: Z1; below 0 the losses beyond the edge were larger than forecast. None without a breach.
        with_frequency: Z2; 1 is no breach at all, below 0 they were larger or more frequent than forecast.
        p_value: Probability of so low a Z2 if the forecast is right, by simulation from the forecasts.
    """

    breaches: int
    given_breach: Decimal | None
    with_frequency: Decimal
    p_value: Decimal


@dataclass(frozen=True, slots=True)
class Procyclicality:
    """How the maintenance margin of the unchanged book moved (Murphy, Vasios and Vause 2014). Fractions; rises are 0 or more.

    Attributes:
        peak_to_trough: Largest over smallest.
        rise_1, rise_5, rise_20: Largest rise from a tested day to the one so many days later on the book's clock; None when the days that
            were tested do not tell.
    """

    peak_to_trough: Decimal
    rise_1: Decimal | None
    rise_5: Decimal | None
    rise_20: Decimal | None


@dataclass(frozen=True, slots=True)
class BacktestSeries:
    """Every tested day, oldest first. Base currency; `pnl` is what the book then gained over its margin periods."""

    days: tuple[date, ...]
    market_requirement: tuple[Decimal, ...]
    maintenance_margin: tuple[Decimal, ...]
    pnl: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True)
class BookBacktest:
    """The backtest of one book.

    Attributes:
        days_left_out: Days on which the book could not be margined or what happened is not in the history.
        left_out_because: Why the first of them was; empty when none was.
        requirements: Coverage of the market requirement and of the maintenance margin; empty when no day could be tested.
        groups: Coverage of each offset group's own tail mean by the group's own profit.
        tail_mean: None for a book that needed nothing on some day.
        procyclicality: None for the same.
    """

    book: str
    days_left_out: int
    left_out_because: str
    requirements: tuple[Coverage, ...]
    groups: tuple[Coverage, ...]
    tail_mean: TailMeanTest | None
    procyclicality: Procyclicality | None
    series: BacktestSeries


@dataclass(frozen=True, slots=True)
class BacktestPlan:
    """What a backtest is going to do, and everything that its numbers depend on.

    Attributes:
        days: Days to test, oldest first. every: Every so-manieth day of the calendar was asked for.
        confidence: See `Coverage`.
        history_version: Of the imported history.
    """

    books: tuple[str, ...]
    days: tuple[date, ...]
    every: int
    confidence: Decimal
    parameter_set_id: RiskParameterSetId
    parameters_hash: str
    history_version: int
    engine_version: str


@dataclass(frozen=True, slots=True)
class BacktestProgress:
    """How far a backtest has come."""

    done: int
    total: int
