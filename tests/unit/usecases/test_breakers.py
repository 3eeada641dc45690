"""The monitor trips breakers on what it finds, and only a person resets them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from crossmargin.domain.breaker import BreakerKind
from crossmargin.domain.margin import Band
from crossmargin.domain.market_quality_parameters import BreakerLimits
from crossmargin.usecases.watch_breakers import WatchBreakers
from tests.unit.adapters.prometheus.results import a_result, an_account
from tests.unit.usecases.house import NOON

LIMITS = BreakerLimits(calls_per_minute=3, liquidations_per_minute=3, concentration_fraction=1, concentration_accounts=99)


class Reports:
    def __init__(self):
        self.tripped, self.seen = [], []

    def breaker_tripped(self, kind, cause):
        self.tripped.append((kind, cause))

    def breakers_seen(self, breakers):
        self.seen = [breaker.kind for breaker in breakers if breaker.is_tripped]


@pytest.fixture
def reports():
    return Reports()


@pytest.fixture
def watch(house, reports):
    return WatchBreakers(house.ports.breakers, reports, house.clock)


def a_run(called, total=6):
    return [a_result(an_account(f"client-{n}"), band=Band.MARGIN_CALL if n < called else Band.HEALTHY) for n in range(total)]


async def test_more_than_the_limit_within_a_minute_trips_and_is_told_once(watch, reports, house):
    for called in (0, 2, 4, 5):
        house.clock.move_to(NOON + timedelta(seconds=10 * called))
        await watch(a_run(called), LIMITS)
    assert reports.tripped == [(BreakerKind.CALLS, "4 accounts entered margin call within a minute; at most 3 may")]
    assert reports.seen == [BreakerKind.CALLS]


async def test_the_same_spread_over_more_than_a_minute_does_not(watch, reports, house):
    for called in range(6):
        house.clock.move_to(NOON + timedelta(seconds=20 * called))
        await watch(a_run(called), LIMITS)
    assert (reports.tripped, reports.seen) == ([], [])


async def test_what_was_so_when_the_monitor_began_to_lead_trips_nothing(watch, reports):
    await watch(a_run(0), LIMITS)
    watch.forget()
    await watch(a_run(6), LIMITS)
    assert reports.tripped == []


async def test_a_person_resets_a_breaker_and_says_what_was_found(watch, reports, house):
    await watch(a_run(0), LIMITS)
    await watch(a_run(6), LIMITS)
    breaker = await house.use_cases.reset_breaker(BreakerKind.CALLS, principal="alice", note="one bad feed")
    assert (breaker.is_tripped, breaker.reset_by, breaker.note, breaker.reset_at) == (False, "alice", "one bad feed", NOON)
    again = await house.use_cases.reset_breaker(BreakerKind.CALLS, principal="bob", note="late")
    assert again == breaker
    await watch(a_run(6), LIMITS)
    assert reports.seen == [BreakerKind.CALLS], "what is still within the minute trips again"
