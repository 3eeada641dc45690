"""What both storages promise of the history of margins, and that only the leader writes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.band_memory import BandState
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId, HouseViewId, RiskParameterSetId
from crossmargin.domain.margin import Band, RampStamp
from crossmargin.domain.margin_history import HistoryTiers, margin_point
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.outlook import trend_of
from crossmargin.usecases.ports.leadership import LeadershipLostError
from crossmargin.usecases.ports.margin import HistoryFilter
from tests.contract.storage import CORE, OTHER
from tests.unit.adapters.prometheus.results import a_result

EVERYTHING = HistoryFilter()
HEALTHY, WATCH = BandState(Band.HEALTHY), BandState(Band.WATCH)


def a_point(ref=CORE, *, before=None, state=HEALTHY, utilization="0.5", **stamp):
    point = margin_point(a_result(ref, utilization=utilization), before, state)
    return replace(point, stamp=replace(point.stamp, **stamp))


async def points_of(storage, ref=CORE, chosen=EVERYTHING, *, after_run=0, limit=100):
    return await storage.history.list_points(ref, chosen, after_run=after_run, limit=limit)


@pytest.fixture
async def leader(storage):
    leadership = storage.new_leadership()
    assert await leadership.try_lead()
    await storage.open_accounts(CORE, OTHER)
    yield leadership
    await leadership.close()


async def test_a_run_comes_back_point_by_point_as_it_was(storage, leader):
    ramp = RampStamp(RiskParameterSetId("old"), "a", "b", Decimal("0.25"))
    shared = {"ramp": ramp, "house_view_id": HouseViewId("1" * 32)}
    first = a_point(utilization="0.123456789", sequence=7, **shared)
    infinite = a_point(
        OTHER, utilization=None, methodology=Methodology.RATIO, state=BandState(Band.LIQUIDATION, is_immediate=True), **shared
    )
    await storage.history.record_run([first, infinite], epoch=leader.epoch)
    (one,), (other,) = await points_of(storage), await points_of(storage, OTHER)
    assert (one.point, other.point) == (first, infinite)
    assert (one.run, one.recorded_at) == (other.run, other.recorded_at)
    assert abs(one.recorded_at - datetime.now(UTC)) < timedelta(minutes=1)


async def test_bands_are_those_of_the_last_run_that_margined_the_account(storage, leader):
    assert await storage.history.band_of(CORE) is None
    await storage.history.record_run([a_point(), a_point(OTHER, state=WATCH)], epoch=leader.epoch)
    first = await storage.history.bands()
    await storage.history.record_run([a_point(before=HEALTHY, state=WATCH)], epoch=leader.epoch)
    second = await storage.history.bands()
    assert (first[CORE].band, second[CORE].band) == (Band.HEALTHY, Band.WATCH)
    assert second[CORE].since > first[CORE].since
    assert second[OTHER] == first[OTHER] == await storage.history.band_of(OTHER)
    await storage.history.record_run([a_point(before=WATCH, state=WATCH)], epoch=leader.epoch)
    assert (await storage.history.bands())[CORE] == second[CORE], "since when is a matter of the band and not of the run"


async def test_points_are_listed_in_pages_and_by_time(storage, leader):
    for _ in range(4):
        await storage.history.record_run([a_point(before=HEALTHY)], epoch=leader.epoch)
    every = await points_of(storage)
    assert [stored.run for stored in every] == sorted({stored.run for stored in every})
    assert await points_of(storage, after_run=every[1].run, limit=1) == [every[2]]
    between = HistoryFilter(every[1].recorded_at, every[3].recorded_at)
    assert await points_of(storage, chosen=between) == every[1:3]
    assert await points_of(storage, OTHER) == []


async def test_an_account_that_does_not_exist_has_no_history(storage, leader):
    nobody = AccountRef(ClientId("nobody"), AccountId("core"))
    with pytest.raises(DomainError) as refused:
        await points_of(storage, nobody)
    assert refused.value.reason is Reason.UNKNOWN_ACCOUNT
    assert await storage.history.band_of(nobody) is None


async def test_a_leader_that_was_replaced_without_knowing_writes_nothing(storage, leader):
    """The lock says who leads; the number says who writes, even when somebody believes that he still leads."""
    stale = leader.epoch
    await leader.close()
    successor = storage.new_leadership()
    assert await successor.try_lead()
    assert successor.epoch > stale
    with pytest.raises(LeadershipLostError):
        await storage.history.record_run([a_point(state=WATCH)], epoch=stale)
    assert (await points_of(storage), await storage.history.bands()) == ([], {})
    await storage.history.record_run([a_point()], epoch=successor.epoch)
    assert len(await points_of(storage)) == 1
    await successor.close()


async def test_a_run_is_stored_as_a_whole_or_not_at_all(storage, leader):
    twice = [a_point(), a_point()]
    with pytest.raises(ValueError, match="one for each account"):
        await storage.history.record_run(twice, epoch=leader.epoch)
    assert await points_of(storage) == []
    await storage.history.record_run([], epoch=leader.epoch)
    assert await storage.history.bands() == {}


async def test_thinning_keeps_the_last_run_and_every_change_of_a_band(storage, leader):
    path = [(None, HEALTHY), (HEALTHY, HEALTHY), (HEALTHY, WATCH), (WATCH, WATCH), (WATCH, WATCH)]
    for before, state in path:
        await storage.history.record_run([a_point(before=before, state=state), a_point(OTHER, before=HEALTHY)], epoch=leader.epoch)
    every = await points_of(storage)
    at_once = HistoryTiers(timedelta(0), timedelta(0), timedelta(0))
    assert await storage.history.thin(HistoryTiers(timedelta(hours=1), timedelta(days=1), timedelta(days=2))) == 0
    await storage.history.thin(at_once)
    # Unless the day ended between two of the runs.
    if every[0].recorded_at.date() == every[-1].recorded_at.date():
        assert await points_of(storage) == [every[0], every[2], every[4]]
        assert [stored.run for stored in await points_of(storage, OTHER)] == [every[4].run]
    assert await storage.history.thin(at_once) == 0


async def test_a_trend_adds_up_the_steps_that_nothing_disturbed(storage, leader):
    """Of five runs: nothing booked before the second and the fifth, an entry before the third, other parameters before the fourth."""

    def at(equity, maintenance, **stamp):
        point = a_point(**stamp)
        return replace(point, equity=Decimal(equity), maintenance_margin=Decimal(maintenance))

    before = datetime.now(UTC) - timedelta(hours=1)
    changed = {"parameters_hash": "e" * 64}
    for point in (
        at("1000.10", "500", sequence=1),
        at("990.05", "510.01", sequence=1),
        at("2000", "900", sequence=2),
        at("1500", "950", sequence=2, **changed),
        at("1480", "949", sequence=2, **changed),
    ):
        await storage.history.record_run([point], epoch=leader.epoch)
    await storage.history.record_run([a_point(OTHER)], epoch=leader.epoch)
    trends = await storage.history.trends(since=before)
    points = await points_of(storage)
    assert trends == {CORE: trend_of(points)}
    assert (trends[CORE].equity, trends[CORE].maintenance_margin) == (Decimal("-30.05"), Decimal("9.01"))
    assert trends[CORE].observed == points[1].recorded_at - points[0].recorded_at + points[4].recorded_at - points[3].recorded_at
    assert await storage.history.trends(since=points[4].recorded_at) == {}


async def test_a_ramp_that_moves_is_a_disturbance(storage, leader):
    ramps = [RampStamp(RiskParameterSetId("old"), "a", "b", Decimal(share)) for share in ("0.25", "0.25", "0.5")]
    for ramp in (None, *ramps):
        await storage.history.record_run([a_point(ramp=ramp)], epoch=leader.epoch)
    points = await points_of(storage)
    trends = await storage.history.trends(since=datetime.now(UTC) - timedelta(hours=1))
    assert trends[CORE].observed == points[2].recorded_at - points[1].recorded_at
