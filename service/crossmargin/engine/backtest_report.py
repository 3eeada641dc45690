"""From the days of a backtest to what it says of a book."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Final, TypeAlias

import numpy as np

from crossmargin.domain.backtest import BacktestSeries, BookBacktest, Coverage, Procyclicality, TailMeanTest, Zone
from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import OffsetGroupId
from crossmargin.engine.backtest import BacktestDay, Outcome, Tested
from crossmargin.engine.backtest_statistics import (
    ByBacktestDay,
    ByPathDay,
    independence,
    largest_rise,
    peak_to_trough,
    proportion_of_failures,
    shortfall_and_frequency,
    shortfall_given_breach,
    simulated_p_value,
    zone_limits,
    zone_limits_by_exceedance,
    zone_of,
)
from crossmargin.engine.portfolio_arrays import cents_to_decimal, client_value_to_cents, fraction_to_decimal, requirement_to_cents

YELLOW_FROM: Final = 0.95
RED_FROM: Final = 0.9999
"""Cumulative probabilities at which the zones begin (Basel MAR99)."""
SIMULATED_PATHS: Final = 2_000
_ZONES: Final = (Zone.GREEN, Zone.YELLOW, Zone.RED)

Days: TypeAlias = Sequence[BacktestDay]
OutcomeOf: TypeAlias = Callable[[BacktestDay], Outcome]


def book_backtest(
    name: str, tested: Sequence[Tested], *, every: int, confidence: float, alpha: float, random: np.random.Generator
) -> BookBacktest:
    """Return what the days of one book, oldest first, say together.

    `alpha` is the tail fraction of the parameters. `random` draws the simulation behind the test of the tail mean: the same generator
    state and days give the same bits. A book of which no day could be tested has the reason and nothing else.
    """
    days = [day for day in tested if isinstance(day, BacktestDay)]
    left_out = [day for day in tested if isinstance(day, DomainError)]
    phases = phases_of(days)
    always_needs = bool(days) and all(day.tail.required > 0 for day in days)
    return BookBacktest(
        book=name,
        days_left_out=len(left_out),
        left_out_because=left_out[0].message if left_out else "",
        requirements=tuple(
            coverage(measure, days, phases, confidence, outcome_of)
            for measure, outcome_of in (("market", attrgetter("market")), ("maintenance", attrgetter("maintenance")))
            if days
        ),
        groups=tuple(_group_coverage(group, days, confidence) for group in sorted({group for day in days for group in day.groups})),
        tail_mean=_tail_mean_test(phases, alpha, random) if always_needs else None,
        procyclicality=procyclicality(np.array([day.maintenance.required for day in days]), every) if always_needs else None,
        series=_series(days),
    )


def phases_of(days: Days) -> list[list[BacktestDay]]:
    """Return the days dealt out to as few phases as there can be without two margin periods of one phase overlapping.

    A day goes to the first phase whose last period has ended by then; a period may begin on the day on which the one before it ended.
    """
    phases: list[list[BacktestDay]] = []
    for day in days:
        free = next((phase for phase in phases if phase[-1].ends <= day.day), None)
        if free is None:
            phases.append([day])
        else:
            free.append(day)
    return phases


def coverage(measure: str, days: Days, phases: Sequence[Days], confidence: float, outcome_of: OutcomeOf) -> Coverage:
    """Return how often a requirement was not enough, each phase tested alone (see `Coverage`)."""
    expected = 1.0 - confidence
    breached = [np.array([outcome_of(day).is_breach for day in phase]) for phase in phases]
    counts = [int(phase.sum()) for phase in breached]
    sizes = [len(phase) for phase in breached]
    worst = _worst(days, outcome_of)
    return Coverage(
        measure=measure,
        confidence=fraction_to_decimal(confidence),
        days=len(days),
        breaches=sum(counts),
        days_by_phase=tuple(sizes),
        breaches_by_phase=tuple(counts),
        zone=_worst_zone(
            zone_of(count, zone_limits(size, expected, yellow_from=YELLOW_FROM, red_from=RED_FROM))
            for count, size in zip(counts, sizes, strict=True)
        ),
        zone_by_exceedance=_worst_zone(
            zone_of(count, zone_limits_by_exceedance(size, expected, yellow_from=YELLOW_FROM, red_from=RED_FROM))
            for count, size in zip(counts, sizes, strict=True)
        ),
        coverage_p_value=_together(
            [proportion_of_failures(size, count, expected).p_value for size, count in zip(sizes, counts, strict=True)]
        ),
        independence_p_value=_together([independence(phase).p_value for phase in breached]),
        largest_loss_ratio=None if worst is None else fraction_to_decimal(-outcome_of(worst).pnl / outcome_of(worst).required),
        worst_day=None if worst is None else worst.day,
    )


def procyclicality(requirement: ByBacktestDay, every: int) -> Procyclicality:
    """Return how fast the requirement of an unchanged book moved. Days that are `every` apart tell a rise over n days if it divides n."""

    def rise(days: int) -> float | None:
        steps, rest = divmod(days, every)
        return largest_rise(requirement, steps) if rest == 0 and steps < len(requirement) else None

    rises = [None if (found := rise(days)) is None else fraction_to_decimal(found) for days in (1, 5, 20)]
    return Procyclicality(fraction_to_decimal(peak_to_trough(requirement)), *rises)


def _tail_mean_test(phases: Sequence[Days], alpha: float, random: np.random.Generator) -> TailMeanTest:
    tests = [_one_tail_mean_test(phase, alpha, random) for phase in phases]
    worst, _ = min(tests, key=lambda test: (test[1], test[0].with_frequency))
    return TailMeanTest(worst.breaches, worst.given_breach, worst.with_frequency, _together([p_value for _, p_value in tests]))


def _one_tail_mean_test(days: Days, alpha: float, random: np.random.Generator) -> tuple[TailMeanTest, float]:
    pnl = np.array([day.tail.pnl for day in days])
    edge, mean = np.array([day.value_at_risk for day in days]), np.array([day.tail.required for day in days])
    with_frequency = float(shortfall_and_frequency(pnl, edge, mean, alpha=alpha))
    breaches = int((pnl < -edge).sum())
    given_breach = fraction_to_decimal(float(shortfall_given_breach(pnl, edge, mean))) if breaches else None
    p_value = simulated_p_value(with_frequency, 1.0 - simulated_tail_losses(days, random).sum(axis=1) / (len(days) * alpha))
    return TailMeanTest(breaches, given_breach, fraction_to_decimal(with_frequency), fraction_to_decimal(p_value)), p_value


def simulated_tail_losses(days: Days, random: np.random.Generator) -> ByPathDay:
    """Return [N, D] losses over their day's tail mean, drawn from each day's forecast; 0 outside its tail.

    A draw u in [0, 1) is in the tail when it is below the tail's probability, and is then the loss at that quantile. Of one day the
    mean of all draws is the tail's probability: what the forecast expects of itself.
    """
    losses = np.zeros((SIMULATED_PATHS, len(days)))
    for place, day in enumerate(days):
        cumulative = np.cumsum(day.tail_weights)
        draws = random.random(SIMULATED_PATHS)
        inside = np.flatnonzero(draws < cumulative[-1])
        scenario = np.searchsorted(cumulative, draws[inside], side="right")
        losses[inside, place] = day.tail_losses[scenario] / day.tail.required
    return losses


def _group_coverage(group: OffsetGroupId, days: Days, confidence: float) -> Coverage:
    held = [day for day in days if group in day.groups]
    return coverage(group, held, phases_of(held), confidence, lambda day: day.groups[group])


def _together(p_values: Sequence[float]) -> Decimal:
    """Return the smallest p-value times their number, at most 1 (Bonferroni); 1 of none."""
    return fraction_to_decimal(min(1.0, len(p_values) * min(p_values, default=1.0)))


def _worst_zone(zones: Iterable[Zone]) -> Zone:
    return max(zones, key=_ZONES.index, default=Zone.GREEN)


def _worst(days: Days, outcome_of: OutcomeOf) -> BacktestDay | None:
    """Return the day of the largest loss over its requirement; None when nothing was ever required."""
    needing = [day for day in days if outcome_of(day).required > 0]
    return max(needing, key=lambda day: -outcome_of(day).pnl / outcome_of(day).required, default=None)


def _series(days: Days) -> BacktestSeries:
    scale = max((day.market.required for day in days), default=0.0)

    def required(amounts: Iterable[float]) -> tuple[Decimal, ...]:
        return tuple(cents_to_decimal(requirement_to_cents(amount, scale=scale)) for amount in amounts)

    return BacktestSeries(
        days=tuple(day.day for day in days),
        market_requirement=required(day.market.required for day in days),
        maintenance_margin=required(day.maintenance.required for day in days),
        pnl=tuple(cents_to_decimal(client_value_to_cents(day.market.pnl, scale=scale)) for day in days),
    )
