"""What days of a backtest say together: overlapping periods are told apart, and the test of the tail mean is a fair one."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest

from crossmargin.domain.backtest import Zone
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import OffsetGroupId
from crossmargin.engine.backtest import BacktestDay, Outcome
from crossmargin.engine.backtest_report import book_backtest, coverage, phases_of, procyclicality, simulated_tail_losses

FIRST = date(2024, 1, 1)
ALPHA = 0.025
LOSSES = np.array([150.0, 110.0, 80.0, 60.0])
WEIGHTS = np.array([0.005, 0.005, 0.01, 0.005])
MEAN = float(LOSSES @ WEIGHTS) / ALPHA


def a_day(offset, pnl=0.0, *, period=1, required=100.0, group=100.0):
    day = FIRST + timedelta(days=offset)
    return BacktestDay(
        day=day,
        ends=day + timedelta(days=period),
        market=Outcome(required, pnl),
        maintenance=Outcome(required * 1.2, pnl),
        tail=Outcome(MEAN, pnl),
        value_at_risk=60.0,
        tail_losses=LOSSES,
        tail_weights=WEIGHTS,
        groups={OffsetGroupId("BTC"): Outcome(group, pnl)},
    )


def report(days, *, every=1, confidence=0.99):
    return book_backtest("book", days, every=every, confidence=confidence, alpha=ALPHA, random=np.random.default_rng(7))


def test_periods_of_one_phase_do_not_overlap_and_no_day_is_lost():
    days = [a_day(offset, period=3) for offset in range(10)]
    phases = phases_of(days)
    assert [len(phase) for phase in phases] == [4, 3, 3]
    assert sorted((day for phase in phases for day in phase), key=lambda day: day.day) == days
    assert all(one.ends <= other.day for phase in phases for one, other in pairwise(phase))


def test_days_farther_apart_than_their_period_are_one_phase():
    assert len(phases_of([a_day(offset, period=3) for offset in range(0, 30, 3)])) == 1


def test_one_fall_in_two_overlapping_periods_is_one_breach_of_each_phase():
    """Dealt with as two hundred independent days, two breaches in a row would look dependent."""
    days = [a_day(offset, pnl=-150.0 if offset in (50, 51) else 0.0, period=2) for offset in range(200)]
    found = coverage("market", days, phases_of(days), 0.99, lambda day: day.market)
    assert (found.days, found.breaches) == (200, 2)
    assert (found.days_by_phase, found.breaches_by_phase) == ((100, 100), (1, 1))
    assert found.independence_p_value == 1
    assert found.coverage_p_value == 1
    assert found.zone is Zone.GREEN
    assert found.worst_day == FIRST + timedelta(days=50)


@pytest.mark.parametrize(
    ("breaches", "zone", "other"),
    [
        (4, Zone.GREEN, Zone.GREEN),
        (5, Zone.YELLOW, Zone.GREEN),
        (9, Zone.YELLOW, Zone.YELLOW),
        (10, Zone.RED, Zone.YELLOW),
        (11, Zone.RED, Zone.RED),
    ],
)
def test_the_zones_are_basels_and_beside_them_those_by_exceedance(breaches, zone, other):
    days = [a_day(offset, pnl=-101.0 if offset % 20 == 0 and offset < 20 * breaches else 0.0) for offset in range(250)]
    found = coverage("market", days, phases_of(days), 0.99, lambda day: day.market)
    assert found.breaches == breaches
    assert (found.zone, found.zone_by_exceedance) == (zone, other)


def test_the_zone_is_that_of_the_worst_phase():
    """Ten breaches of one phase of 250 are red, though the two phases together have ten in 500."""
    days = [a_day(offset, pnl=-101.0 if offset % 50 == 0 else 0.0, period=2) for offset in range(500)]
    found = coverage("market", days, phases_of(days), 0.99, lambda day: day.market)
    assert found.breaches_by_phase == (10, 0)
    assert found.zone is Zone.RED


def test_a_loss_that_is_all_that_was_required_is_no_breach():
    found = report([a_day(0, pnl=-100.0), a_day(1, pnl=-100.01)])
    market, maintenance = found.requirements
    assert (market.breaches, maintenance.breaches) == (1, 0)
    assert market.largest_loss_ratio == Decimal("1.0001")


def test_groups_are_tested_by_their_own_tail_mean():
    found = report([a_day(offset, pnl=-90.0, group=80.0) for offset in range(3)])
    assert found.requirements[0].breaches == 0
    assert found.groups[0].measure == "BTC"
    assert found.groups[0].breaches == 3


def test_a_forecast_expects_of_itself_what_it_says():
    """The mean of what it simulates is its tail's probability, so that Z2 is 0 where the forecast is right."""
    days = [a_day(offset) for offset in range(400)]
    simulated = simulated_tail_losses(days, np.random.default_rng(3))
    assert simulated.mean() == pytest.approx(ALPHA, rel=0.02)
    assert set(np.unique(simulated).round(9)) == {0.0, *(LOSSES / MEAN).round(9)}


def test_a_right_forecast_is_hardly_ever_found_wrong_and_one_too_small_is():
    random = np.random.default_rng(11)
    p_values = []
    for scale in (1.0, 1.0, 1.0, 2.5):
        drawn = random.random(1_000)
        place = np.searchsorted(np.cumsum(WEIGHTS), drawn, side="right")
        pnl = np.where(place < len(LOSSES), -scale * np.append(LOSSES, 0.0)[np.minimum(place, len(LOSSES))] - 1e-9, 0.0)
        p_values.append(report([a_day(offset, pnl=loss) for offset, loss in enumerate(pnl.tolist())]).tail_mean.p_value)
    assert min(p_values[:3]) > Decimal("0.02")
    assert p_values[3] < Decimal("0.001")


def test_a_book_without_a_breach_of_its_tail_has_the_best_statistic():
    found = report([a_day(offset) for offset in range(40)]).tail_mean
    assert (found.breaches, found.given_breach, found.with_frequency) == (0, None, 1)


def test_the_same_days_and_seed_say_the_same():
    days = [a_day(offset, pnl=-120.0 if offset == 3 else 1.0) for offset in range(50)]
    assert report(days) == report(days)


def test_days_that_are_left_out_are_counted_with_the_first_reason():
    early = DomainError(Reason.INSUFFICIENT_HISTORY, "too early")
    found = report([early, early, None, a_day(0), a_day(1)])
    assert (found.days_left_out, found.left_out_because) == (2, "too early")
    assert found.series.days == (FIRST, FIRST + timedelta(days=1))
    assert found.series.maintenance_margin == (Decimal("120.00"), Decimal("120.00"))


def test_a_book_without_any_day_says_why_and_nothing_more():
    found = report([DomainError(Reason.INSUFFICIENT_HISTORY, "too early"), None])
    assert (found.days_left_out, found.left_out_because) == (1, "too early")
    assert (found.requirements, found.groups, found.series.days) == ((), (), ())


def test_a_flat_book_needs_nothing_and_has_no_test_of_its_tail():
    still = BacktestDay(FIRST, FIRST, *[Outcome(0.0, 0.0)] * 3, 0.0, np.zeros(1), np.array([ALPHA]), {})
    found = report([still])
    assert found.tail_mean is None
    assert found.procyclicality is None
    assert found.requirements[0].largest_loss_ratio is None


@pytest.mark.parametrize(("every", "rises"), [(1, ("0.5", "1", "1")), (5, (None, "0.5", "1")), (7, (None, None, None))])
def test_a_rise_is_told_by_days_that_lie_so_far_apart(every, rises):
    requirement = np.array([100.0, 150.0, 150.0, 200.0, 200.0, 200.0, *[200.0] * 20])
    found = procyclicality(requirement, every)
    assert found.peak_to_trough == 2
    assert (found.rise_1, found.rise_5, found.rise_20) == tuple(None if rise is None else Decimal(rise) for rise in rises)
