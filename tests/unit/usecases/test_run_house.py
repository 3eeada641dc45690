"""The monitor margins everybody when something has moved, and nobody's trouble is everybody's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.adapters.memory.books import MemoryBookReader
from crossmargin.adapters.memory.leadership import MemoryLeadership
from crossmargin.adapters.memory.margin_history import MemoryMarginHistory
from crossmargin.adapters.runtime.compute_pool import ThreadComputePool
from crossmargin.domain.band_memory import BandState
from crossmargin.domain.collateral import AccountCollateralPolicy, CollateralPolicy
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.instrument import Instrument, Stablecoin
from crossmargin.domain.margin import Band, MarginResult
from crossmargin.domain.peg import PegStanding
from crossmargin.usecases import read_accounts
from crossmargin.usecases.ports.books import AccountState
from crossmargin.usecases.ports.margin import HistoryFilter
from crossmargin.usecases.run_house import RunHouse
from tests.unit.usecases.house import BITCOIN, BTC, CORE, EUROS, NOON, SteppedClock, unexplained


@dataclass
class Published:
    results: Mapping[AccountRef, MarginResult]
    bands: Mapping[AccountRef, BandState]
    failed: Mapping[AccountRef, str]
    duration_s: float
    pegs: Mapping[InstrumentId, PegStanding]


@dataclass
class Board:
    """Where the monitor publishes, kept in order."""

    runs: list[Published] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    withdrawals: int = 0
    leads: bool = False

    def lead_house(self):
        self.leads = True

    def publish_house(self, results, *, bands, failed, pegs, duration_s):
        self.runs.append(Published(results, bands, failed, duration_s, pegs))

    def house_failed(self, reason):
        self.failures.append(reason)

    def withdraw_house(self):
        self.withdrawals += 1
        self.leads = False


class InterruptedBooks(MemoryBookReader):
    """Books that cannot be reached now and then: all of them, or those of one account."""

    def __init__(self, database):
        super().__init__(database)
        self.is_down = False
        self.unreachable: AccountRef | None = None

    async def account_sequences(self) -> Mapping[AccountRef, int]:
        self._check(self.is_down)
        return await super().account_sequences()

    async def account_state(self, ref: AccountRef) -> AccountState:
        self._check(ref == self.unreachable)
        return await super().account_state(ref)

    async def account_states(self, refs: Sequence[AccountRef]) -> Sequence[AccountState]:
        self._check(self.unreachable in refs)
        return await super().account_states(refs)

    def _check(self, is_down: bool) -> None:
        if is_down:
            raise DomainError(Reason.STORAGE_UNAVAILABLE, "the database does not answer")


@pytest.fixture
def books(house):
    return InterruptedBooks(house.database)


@asynccontextmanager
async def monitoring(house, books, *, clock=None):
    """A running monitor that has polled once."""
    clock = clock or house.clock
    board, leadership = Board(), MemoryLeadership(house.database)
    monitor = RunHouse(
        books,
        house.current_market,
        house.compute,
        board,
        leadership,
        house.ports.history,
        clock,
        house.review_calls(clock),
        house.review_liquidations(clock),
    )
    running = asyncio.ensure_future(monitor())
    try:
        await clock.until_asleep()
        yield board, leadership
    finally:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_every_account_is_margined_and_published_together(house, books):
    second = await house.open_account("second")
    beta = await house.open_account("core", client="beta")
    await house.deposit("100000")
    async with monitoring(house, books) as (board, _):
        (run,) = board.runs
        assert (set(run.results), run.failed) == ({CORE, second, beta}, {})
        assert run.results[CORE] == unexplained(await house.use_cases.evaluate_margin(CORE))
        assert board.failures == []


async def test_how_stablecoins_stand_is_published_whoever_made_the_snapshot(house, books):
    coin = InstrumentId("USDC")
    await house.use_cases.create_instrument(Instrument(coin, Stablecoin("USD", "Circle"), 6, "REGULATED_STABLECOIN"), caller=house.caller())
    for hours, price in ((1, "0.98"), (3, "0.94")):
        await house.publish(at=NOON + timedelta(hours=hours), spot_USDC=price)
    async with monitoring(house, books) as (board, _):
        assert board.runs[-1].pegs == {coin: PegStanding(Decimal("0.94"), timedelta(hours=2), is_lost=True)}


async def test_nothing_is_run_again_while_nothing_moves(house, books):
    async with monitoring(house, books) as (board, _):
        before = house.compute.run_count
        for _ in range(5):
            await house.clock.tick()
        assert (len(board.runs), house.compute.run_count) == (1, before)


async def test_a_trade_a_snapshot_an_account_and_a_policy_each_start_a_run(house, books):
    async with monitoring(house, books) as (board, _):
        await house.trade("1")
        await house.clock.tick()
        assert (len(board.runs), board.runs[-1].results[CORE].stamp.sequence) == (2, 1)
        snapshot = await house.publish("59000", at=NOON + timedelta(seconds=1))
        await house.clock.tick()
        assert (len(board.runs), board.runs[-1].results[CORE].stamp.snapshot_id) == (3, snapshot.snapshot_id)
        second = await house.open_account("second")
        await house.clock.tick()
        assert (len(board.runs), second in board.runs[-1].results) == (4, True)
        policy = AccountCollateralPolicy(CORE, BTC, CollateralPolicy.PLEDGED)
        await house.use_cases.set_collateral_policy(policy, caller=house.caller())
        await house.clock.tick()
        assert len(board.runs) == 5


async def test_an_account_that_cannot_be_margined_is_published_as_failed_beside_the_others(house, books):
    second = await house.open_account("second")
    await house.use_cases.create_instrument(EUROS, caller=house.caller())
    await house.deposit("1", EUROS.instrument_id)
    async with monitoring(house, books) as (board, _):
        (run,) = board.runs
        assert (set(run.results), run.failed) == ({second}, {CORE: "MISSING_RISK_FACTOR"})
        await house.clock.tick()
        assert len(board.runs) == 1, "what the books and the market say will not change by asking again"


async def test_an_account_that_storage_kept_from_us_is_asked_for_again(house, books):
    second = await house.open_account("second")
    books.unreachable = CORE
    async with monitoring(house, books) as (board, _):
        assert (set(board.runs[-1].results), board.runs[-1].failed) == ({second}, {CORE: "STORAGE_UNAVAILABLE"})
        books.unreachable = None
        await house.clock.tick()
        assert (set(board.runs[-1].results), board.runs[-1].failed) == ({CORE, second}, {})
        await house.clock.tick()
        assert len(board.runs) == 2


async def test_a_database_that_is_away_is_counted_on_every_poll_and_survived(house, books):
    books.is_down = True
    async with monitoring(house, books) as (board, _):
        await house.clock.tick()
        assert (board.failures, board.runs) == (["STORAGE_UNAVAILABLE"] * 2, [])
        books.is_down = False
        await house.clock.tick()
        assert (len(board.failures), len(board.runs)) == (2, 1)


async def test_a_house_is_run_anew_after_the_database_was_away(house, books):
    """Numbers of before the outage would otherwise pass for fresh ones."""
    async with monitoring(house, books) as (board, _):
        books.is_down = True
        await house.clock.tick()
        books.is_down = False
        await house.clock.tick()
        assert len(board.runs) == 2


async def test_a_house_without_a_market_is_counted_and_runs_once_there_is_one(empty_house):
    house = empty_house
    await house.use_cases.create_instrument(BITCOIN, caller=house.caller())
    async with monitoring(house, InterruptedBooks(house.database)) as (board, _):
        await house.publish()
        await house.clock.tick()
        assert (board.failures, board.runs) == (["NO_MARKET_SNAPSHOT", "NO_RISK_PARAMETERS"], [])


async def test_only_the_leader_publishes_and_the_next_one_takes_over(house, books):
    other_clock = SteppedClock()
    async with monitoring(house, books) as (leader, leadership), monitoring(house, books, clock=other_clock) as (follower, _):
        assert (len(leader.runs), leader.withdrawals) == (1, 0)
        assert (follower.runs, follower.withdrawals) == ([], 1)
        await leadership.close()
        await other_clock.tick()
        await house.clock.tick()
        assert len(follower.runs) == 1
        assert (len(leader.runs), leader.withdrawals) == (1, 1)


async def test_a_leader_that_comes_back_runs_the_house_although_nothing_has_moved(house, books):
    async with monitoring(house, books) as (board, leadership):
        house.database.leader = "somebody else"
        await house.clock.tick()
        assert board.withdrawals == 1
        house.database.leader = None
        await house.clock.tick()
        assert len(board.runs) == 2
        assert await leadership.try_lead()


async def test_a_run_says_how_long_it_took(house, books):
    class CreepingClock(SteppedClock):
        def now(self):
            self._now += timedelta(seconds=2)
            return self._now

    async with monitoring(house, books, clock=CreepingClock()) as (board, _):
        assert board.runs[0].duration_s == 2.0


async def stored(house, account=CORE):
    return await house.ports.history.list_points(account, HistoryFilter(), after_run=0, limit=100)


async def test_what_a_run_finds_is_stored_and_can_be_reproduced(house, books):
    await house.deposit("100000")
    await house.trade("2")
    async with monitoring(house, books) as (board, _):
        (found,) = await stored(house)
        result = board.runs[-1].results[CORE]
        point = found.point
        assert (point.stamp, point.utilization, point.excess) == (result.stamp, result.utilization, result.excess_to_initial)
        assert (point.plain_band, point.band, point.band_before) == (result.band, result.band, None)
        assert (await house.use_cases.reproduce_margin(point.stamp)).difference is None


async def test_a_band_is_left_later_than_it_was_entered(house, books):
    """Between the line and the hysteresis below it, the result says one band and the monitor the one from before."""
    await house.trade("1")
    margin = (await house.use_cases.evaluate_margin(CORE)).requirement.maintenance_margin

    async def come_down(start, end):
        await house.deposit(f"{margin / Decimal(end) - (margin / Decimal(start) if start else 0):.2f}")

    await come_down(None, "0.601")
    async with monitoring(house, books) as (board, _):
        assert board.runs[-1].bands[CORE].band is Band.WATCH
        await come_down("0.601", "0.59")
        await house.clock.tick()
        run = board.runs[-1]
        assert (run.results[CORE].band, run.bands[CORE].band) == (Band.HEALTHY, Band.WATCH)
        await come_down("0.59", "0.57")
        await house.clock.tick()
        assert board.runs[-1].bands[CORE].band is Band.HEALTHY
    changes = [(point.point.band_before, point.point.band) for point in await stored(house) if point.point.is_change]
    assert changes == [(None, Band.WATCH), (Band.WATCH, Band.HEALTHY)]


async def test_a_leader_that_was_replaced_during_its_run_stores_and_publishes_nothing(house, books):
    """What it found may be old by the time it comes back, and the one that leads now has found something else."""

    class Paused(MemoryLeadership):
        async def try_lead(self):
            leads = await super().try_lead()
            if leads:
                house.database.epoch += 1
            return leads

    board, leadership = Board(), Paused(house.database)
    monitor = RunHouse(
        books,
        house.current_market,
        house.compute,
        board,
        leadership,
        house.ports.history,
        house.clock,
        house.review_calls(),
        house.review_liquidations(),
    )
    running = asyncio.ensure_future(monitor())
    await house.clock.until_asleep()
    running.cancel()
    assert (board.runs, board.withdrawals, await stored(house)) == ([], 1, [])
    assert await house.ports.market.latest_house_view_id() is None


async def test_calls_that_are_held_up_hold_up_no_liquidation_and_both_are_looked_at_again(house, books):
    class HeldUp:
        def __init__(self, then):
            self.then, self.looked = then, 0

        def __getattr__(self, name):
            return getattr(self.then, name)

        async def __call__(self, *seen, epoch):
            self.looked += 1
            if self.looked == 1:
                raise DomainError(Reason.SERVICE_BUSY, "somebody holds the account")
            await self.then(*seen, epoch=epoch)

    class Counted(HeldUp):
        async def __call__(self, *seen, epoch):
            self.looked += 1
            await self.then(*seen, epoch=epoch)

    calls, liquidations, board = HeldUp(house.review_calls()), Counted(house.review_liquidations()), Board()
    monitor = RunHouse(
        books,
        house.current_market,
        house.compute,
        board,
        MemoryLeadership(house.database),
        house.ports.history,
        house.clock,
        calls,
        liquidations,
    )
    running = asyncio.ensure_future(monitor())
    await house.clock.until_asleep()
    assert (calls.looked, liquidations.looked, board.failures) == (1, 1, ["SERVICE_BUSY"])
    await house.clock.tick()
    running.cancel()
    assert (calls.looked, liquidations.looked, board.failures) == (2, 2, ["SERVICE_BUSY"])


async def test_a_run_that_cannot_be_stored_is_run_again(house, books):
    class FullDisk(MemoryMarginHistory):
        is_full = True

        async def record_run(self, points, *, epoch):
            if self.is_full:
                raise DomainError(Reason.STORAGE_UNAVAILABLE, "the disk is full")
            await super().record_run(points, epoch=epoch)

    history, board = FullDisk(house.database), Board()
    monitor = RunHouse(
        books,
        house.current_market,
        house.compute,
        board,
        MemoryLeadership(house.database),
        history,
        house.clock,
        house.review_calls(),
        house.review_liquidations(),
    )
    running = asyncio.ensure_future(monitor())
    await house.clock.until_asleep()
    assert (board.runs, board.failures, board.leads) == ([], ["STORAGE_UNAVAILABLE"], True)
    history.is_full = False
    await house.clock.tick()
    running.cancel()
    assert (len(board.runs), len(await history.bands())) == (1, 1)


async def test_neither_the_blocks_it_is_read_in_nor_threads_nor_the_order_of_accounts_change_a_run(house, books, monkeypatch):
    for place in range(4):
        account = await house.open_account(f"account-{place}", client=f"client-{place % 2}")
        await house.deposit(f"{10_000 + place}.37", account=account)
        await house.trade(f"0.{place + 1}", account=account)
    leadership = MemoryLeadership(house.database)
    assert await leadership.try_lead()
    first = await _one_run(house, books, leadership, house.compute)
    monkeypatch.setattr(read_accounts, "ACCOUNTS_AT_ONCE", 2)
    pool = ThreadComputePool(3)
    again = await _one_run(house, books, leadership, pool, is_reversed=True)
    pool.close()
    assert (again.results, again.failed) == (first.results, {})
    assert len(first.results) == 5


async def _one_run(house, books, leadership, compute, *, is_reversed=False):
    board = Board()
    calls = house.review_calls(house.clock)
    reviews = calls, house.review_liquidations()
    monitor = RunHouse(books, house.current_market, compute, board, leadership, house.ports.history, house.clock, *reviews)
    accounts = list((await books.account_sequences()).items())
    await monitor.run_once(dict(accounts[::-1] if is_reversed else accounts), await house.current_market())
    return board.runs[-1]
