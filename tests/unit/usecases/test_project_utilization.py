"""An outlook is a sum of what is known and of what was seen; known history gives the exact number."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.band_memory import BandState
from crossmargin.domain.book import Trade
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import BookId, InstrumentId
from crossmargin.domain.instrument import DatedFuture, Instrument, Payoff
from crossmargin.domain.margin import Band
from crossmargin.domain.margin_history import StoredPoint, margin_point
from crossmargin.domain.market import FactorHistory, FactorId
from crossmargin.domain.outlook import Outlook, Trend, check_horizon, trend_of
from crossmargin.usecases.ports.margin import HistoryFilter
from crossmargin.usecases.watch_outlooks import WatchOutlooks
from tests.unit.adapters.prometheus.results import a_result
from tests.unit.usecases.house import BTC, CORE, NOON, USD, a_history
from tests.unit.usecases.refusals import refused
from tests.unit.usecases.test_review_calls import Monitor, fall_short

D = Decimal
DAY = timedelta(days=1)
HISTORY = HistoryFilter()
FUTURE = InstrumentId("BTC-MAR")
CARRY = FactorId.parse("basis:BTC:1M")


def a_stored(run, hours, equity, maintenance, **stamp):
    point = margin_point(a_result(equity=equity, market_requirement=maintenance), None, BandState(Band.HEALTHY))
    return StoredPoint(run, NOON + timedelta(hours=hours), replace(point, stamp=replace(point.stamp, **stamp)))


def test_a_trend_adds_up_what_happened_between_runs_that_nothing_was_booked_between():
    points = [
        a_stored(1, 0, "1000", "500", sequence=1),
        a_stored(2, 1, "990", "510", sequence=1),
        a_stored(3, 2, "2000", "900", sequence=2),  # traded and deposited
        a_stored(4, 5, "1970", "912", sequence=2),
        a_stored(5, 6, "1970", "700", sequence=2, parameters_hash="other"),  # other parameters
    ]
    trend = trend_of(points)
    assert trend == Trend(D(-10 - 30), D(10 + 12), timedelta(hours=1 + 3))
    assert trend_of(points[:1]) == trend_of([]) == Trend()


def test_a_trend_goes_on_at_its_rate_and_for_no_longer_than_it_was_seen():
    trend = Trend(D(-40), D(22), timedelta(hours=4))
    assert trend.over(DAY) == trend
    assert trend.over(timedelta(hours=1)) == Trend(D(-10), D("5.5"), timedelta(hours=1))
    assert trend.over(timedelta(hours=3)) == Trend(D(-30), D("16.5"), timedelta(hours=3))
    third = Trend(D(-10), D(10), timedelta(hours=3)).over(timedelta(hours=1))
    assert (third.equity, third.maintenance_margin) == (D("-3.34"), D("3.34")), "rounded against the client"


@pytest.mark.parametrize("horizon", [timedelta(0), timedelta(seconds=-1), timedelta(days=5, seconds=1)])
def test_a_horizon_is_ahead_and_near(horizon):
    with pytest.raises(DomainError, match="expected more than nothing and at most 5 days") as told:
        check_horizon(horizon)
    assert told.value.reason is Reason.INVALID_ARGUMENT
    assert check_horizon(timedelta(days=5))


async def look(house, *prices):
    """Let the market take these prices an hour apart, with a house run at each."""
    monitor = Monitor(house)
    for hours, price in enumerate(prices):
        house.clock.move_to(NOON + timedelta(hours=hours))
        await house.publish(price, at=NOON + timedelta(hours=hours))
        await monitor.look()
    # The storage has a clock of its own; here it is to be the house's.
    stored = house.database.margin_points[CORE]
    for hours, run in enumerate(sorted(stored)):
        stored[run] = replace(stored[run], recorded_at=NOON + timedelta(hours=hours))


async def test_known_history_gives_the_exact_number(house):
    """Ten bitcoin lose 1,000 an hour for two hours, and are to lose as much in the next two."""
    await house.trade("10")
    await house.deposit("400000")
    await look(house, "60000", "59000", "58000")
    points = await house.ports.history.list_points(CORE, HISTORY, after_run=0, limit=9)
    first, last = points[0].point, points[-1].point
    outlook = await house.use_cases.project_utilization(CORE, horizon=timedelta(hours=3))
    assert outlook.trend == Trend(D(-20_000), last.maintenance_margin - first.maintenance_margin, timedelta(hours=2))
    equity = D(400_000) - 20_000 - 20_000
    maintenance = last.maintenance_margin + (last.maintenance_margin - first.maintenance_margin)
    assert (outlook.projected.equity, outlook.projected.maintenance_margin) == (equity, maintenance)
    assert outlook.projected.utilization == (maintenance / equity).quantize(D("0.000001"), rounding="ROUND_CEILING")
    assert (outlook.now, outlook.ends, outlook.call) == (outlook.known, (), None)
    half = await house.use_cases.project_utilization(CORE, horizon=timedelta(hours=1))
    assert half.trend.equity == -10_000


async def test_a_hedge_that_ends_by_the_horizon_hedges_nothing_then(house):
    expiry = NOON + timedelta(hours=20)
    terms = DatedFuture(BTC, USD, D(1), Payoff.LINEAR, expiry)
    await house.use_cases.create_instrument(Instrument(FUTURE, terms, 3), caller=house.caller())
    spot = a_history("spot:BTC")
    await house.use_cases.import_history(FactorHistory(spot.dates, {CARRY: (D(0),) * len(spot.dates)}))
    await house.publish(at=NOON + timedelta(minutes=1), basis_BTC_1M="0")
    await house.trade("10")
    hedge = Trade(CORE, BookId("main"), FUTURE, D(-10), D(60_000), NOON)
    await house.use_cases.record_trades(CORE, [hedge], caller=house.caller())
    await house.deposit("200000")
    near = await house.use_cases.project_utilization(CORE, horizon=timedelta(hours=6))
    assert near.known == near.now
    far = await house.use_cases.project_utilization(CORE, horizon=DAY)
    assert [(end.instrument_id, end.due) for end in far.ends] == [(FUTURE, expiry)]
    await house.trade("-10")
    await house.use_cases.record_trades(CORE, [replace(hedge, quantity=D(10))], caller=house.caller())
    await house.trade("10")
    alone = await house.use_cases.evaluate_margin(CORE)
    assert far.known.maintenance_margin == alone.requirement.maintenance_margin > 3 * far.now.maintenance_margin
    assert far.known.equity == pytest.approx(far.now.equity, abs=D("0.02"))


async def test_parameters_that_come_into_force_by_then_count_and_by_degrees(house):
    await house.trade("10")
    await house.deposit("300000")
    before = await house.use_cases.project_utilization(CORE)
    await house.adopt("harder", active_from=NOON + timedelta(hours=12), ramp_days=1, initial_margin_multiple="1.5", tail_fraction="0.01")
    half = await house.use_cases.project_utilization(CORE, horizon=DAY)
    assert (half.parameter_set_id, half.parameter_fraction) == ("harder", D("0.5"))
    whole = await house.use_cases.project_utilization(CORE, horizon=timedelta(hours=36))
    assert whole.parameter_fraction == 1
    assert half.now == before.now
    step = whole.known.maintenance_margin - before.now.maintenance_margin
    assert half.known.maintenance_margin - before.now.maintenance_margin == pytest.approx(step / 2, abs=D("0.05"))
    assert step > 0
    assert (await house.use_cases.project_utilization(CORE, horizon=timedelta(hours=6))).known == before.now


async def test_an_open_call_that_is_due_by_then_is_named_and_counted_as_not_met(house):
    monitor = Monitor(house)
    await fall_short(house)
    call = await monitor.look()
    soon = await house.use_cases.project_utilization(CORE, horizon=timedelta(hours=6))
    assert soon.call is None, "it is due tomorrow"
    later = await house.use_cases.project_utilization(CORE, horizon=timedelta(hours=30))
    assert later.call == call
    assert later.projected == later.now


async def test_the_outlook_of_everybody_is_that_of_each_and_leaves_out_what_cannot_be_margined(house):
    await house.trade("10")
    await house.deposit("400000")
    await look(house, "60000", "59000")
    other = await house.open_account("core", client="beta")
    every = await house.use_cases.project_utilization.every()
    assert set(every) == {CORE, other}
    assert every[CORE] == await house.use_cases.project_utilization(CORE)
    assert every[other].projected.utilization == 0


async def test_the_leader_tells_and_falls_silent_when_it_does_not_know(house):
    class Board:
        def __init__(self):
            self.told: list[dict[object, Outlook] | None] = []

        def outlooks_seen(self, outlooks):
            self.told.append(dict(outlooks))

        def withdraw_outlooks(self):
            self.told.append(None)

    board = Board()
    watch = WatchOutlooks(house.use_cases.project_utilization, board, leadership=None, clock=house.clock)
    assert await watch.duty().work()
    assert set(board.told[-1]) == {CORE}
    house.database.contents.snapshots.clear()


async def test_what_cannot_be_projected_is_refused(house):
    await refused(house.use_cases.project_utilization(CORE, horizon=timedelta(days=6)), Reason.INVALID_ARGUMENT)
    await refused(house.use_cases.project_utilization(CORE, min_sequence=5), Reason.SEQUENCE_NOT_REACHED)
