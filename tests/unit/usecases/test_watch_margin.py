"""A watcher is told at once, and again only of what matters to it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.collateral import AccountCollateralPolicy, CollateralPolicy
from crossmargin.domain.errors import Reason
from crossmargin.domain.identifiers import AccountId
from crossmargin.domain.margin import Band
from tests.unit.usecases.house import BTC, CORE, NOON
from tests.unit.usecases.refusals import refused


class Watcher:
    """Reads a stream one poll at a time."""

    def __init__(self, house, step):
        self._stream = house.use_cases.watch_margin(CORE, utilization_step=Decimal(step))
        self._clock = house.clock
        self._next = asyncio.ensure_future(anext(self._stream))

    async def told(self):
        """What the stream says before its next poll sleeps; None if nothing."""
        asleep = asyncio.ensure_future(self._clock.until_asleep())
        await asyncio.wait({self._next, asleep}, return_when=asyncio.FIRST_COMPLETED)
        asleep.cancel()
        if not self._next.done():
            return None
        result = self._next.result().margin
        self._next = asyncio.ensure_future(anext(self._stream))
        return result

    async def poll(self):
        """Let the stream poll once more, and return what it says."""
        await self._clock.wake()
        return await self.told()

    async def close(self):
        self._next.cancel()
        await asyncio.wait({self._next})
        await self._stream.aclose()


@asynccontextmanager
async def watching(house, *, step="0.05"):
    watcher = Watcher(house, step)
    try:
        yield watcher
    finally:
        await watcher.close()


async def test_a_watcher_is_told_at_once_and_not_again_while_nothing_changes(house):
    await house.deposit("100000")
    await house.trade("0.5")
    async with watching(house) as watcher:
        assert await watcher.told() == await house.use_cases.evaluate_margin(CORE)
        before = house.compute.run_count
        assert [await watcher.poll() for _ in range(5)] == [None] * 5
        assert house.compute.run_count == before


async def test_a_move_below_the_step_is_not_told_and_steps_add_up_from_what_was_told(house):
    await house.deposit("100000")
    await house.trade("0.5")
    async with watching(house, step="0.05") as watcher:
        first = await watcher.told()
        told = []
        for place in range(1, 7):
            await house.trade("0.2")
            result = await watcher.poll()
            told += [result] if result else []
            last = await house.use_cases.evaluate_margin(CORE)
            assert result is None or result.stamp.sequence == 2 + place
        assert 0 < len(told) < 6
        steps = [later.utilization - earlier.utilization for earlier, later in zip([first, *told], told, strict=False)]
        assert all(step >= Decimal("0.05") for step in steps)
        assert {result.band for result in (first, *told, last)} == {Band.HEALTHY}


async def test_a_change_of_band_is_told_however_large_the_step_is(house):
    await house.deposit("100000")
    await house.trade("0.5")
    async with watching(house, step="1000") as watcher:
        first = await watcher.told()
        await house.trade("0.001")
        assert await watcher.poll() is None
        await house.trade("5")
        second = await watcher.poll()
        assert (first.band, second.band) == (Band.HEALTHY, Band.MARGIN_CALL)


async def test_a_new_market_and_a_new_policy_are_noticed(house):
    await house.deposit("1", BTC)
    async with watching(house, step="0.0001") as watcher:
        await watcher.told()
        await house.publish("30000", at=NOON + timedelta(seconds=1))
        await house.trade("-0.5")
        moved = await watcher.poll()
        assert moved.stamp.sequence == 2
        policy = AccountCollateralPolicy(CORE, BTC, CollateralPolicy.PLEDGED)
        await house.use_cases.set_collateral_policy(policy, caller=house.caller())
        assert (await watcher.poll()).utilization != moved.utilization


async def test_equity_that_is_gone_is_told_once(house):
    await house.deposit("1000")
    async with watching(house, step="0.5") as watcher:
        await watcher.told()
        await house.trade("1")
        assert (await watcher.poll()).utilization > 1
        await house.publish("50000", at=NOON + timedelta(seconds=1))
        gone = await watcher.poll()
        assert (gone.utilization, gone.band) == (None, Band.LIQUIDATION)
        await house.publish("49000", at=NOON + timedelta(seconds=2))
        assert await watcher.poll() is None


@pytest.mark.parametrize("step", ["0", "-0.1"])
async def test_a_step_is_more_than_zero(house, step):
    await refused(anext(house.use_cases.watch_margin(CORE, utilization_step=Decimal(step))), Reason.INVALID_ARGUMENT)


async def test_watching_an_unknown_account_is_refused(house):
    stranger = replace(CORE, account_id=AccountId("stranger"))
    await refused(anext(house.use_cases.watch_margin(stranger, utilization_step=Decimal("0.1"))), Reason.UNKNOWN_ACCOUNT)


async def test_new_parameters_are_told_without_waiting_for_a_new_market(house):
    await house.deposit("1000000")
    await house.trade("10")
    async with watching(house) as watcher:
        before = await watcher.told()
        await house.adopt("house-2", tail_fraction="0.001")
        after = await watcher.poll()
    assert (before.stamp.parameter_set_id, after.stamp.parameter_set_id) == ("standard-1", "house-2")
    assert after.stamp.snapshot_id == before.stamp.snapshot_id
