"""A watcher of positions is told every entry once, in order, from wherever it goes on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

from crossmargin.domain.errors import Reason
from crossmargin.domain.identifiers import AccountId
from crossmargin.usecases.watch_positions import POLL_INTERVAL_S
from tests.unit.usecases.house import BTC_PERP, CORE, USD, spot_trade
from tests.unit.usecases.refusals import refused


def watching(house, after=None, account=CORE):
    return house.use_cases.watch_positions(account, after_sequence=after)


async def take(watch, count):
    async with asyncio.timeout(30):
        return [await anext(watch) for _ in range(count)]


def changed(update):
    return {position.instrument_id: (position.quantity, position.cost) for position in update.positions}


async def test_a_watch_begins_with_what_is_held_and_goes_on_with_every_entry(house):
    await house.trade("2")
    await house.deposit("100")
    watch = watching(house)
    (present,) = await take(watch, 1)
    assert (present.sequence, present.entry, changed(present)) == (2, None, {BTC_PERP: (2, 120_000), USD: (100, 0)})
    await house.trade("-2")
    await house.use_cases.record_trades(CORE, [spot_trade("1")], caller=house.caller())
    closed, bought = await take(watch, 2)
    assert (closed.sequence, closed.entry.sequence, changed(closed)) == (3, 3, {BTC_PERP: (0, 0)})
    assert (bought.sequence, changed(bought)) == (4, {"BTC": (1, 0), USD: (Decimal(-59_900), 0)})
    await watch.aclose()


async def test_a_watch_goes_on_after_a_sequence_without_loss_or_repetition(house):
    for quantity in ("1", "2", "3", "4"):
        await house.trade(quantity)
    assert [update.sequence for update in await take(watching(house, 0), 4)] == [1, 2, 3, 4]
    resumed = await take(watching(house, 2), 2)
    assert [(update.sequence, changed(update)) for update in resumed] == [(3, {BTC_PERP: (6, 360_000)}), (4, {BTC_PERP: (10, 600_000)})]


async def test_a_watch_that_has_told_everything_waits_and_then_tells_what_is_new(house):
    watch = watching(house, 0)
    waiting = asyncio.create_task(anext(watch))
    await house.clock.until_asleep()
    assert house.clock._sleeper[0] == POLL_INTERVAL_S
    await house.clock.tick()
    assert not waiting.done()
    await house.trade("1")
    await house.clock.wake()
    async with asyncio.timeout(30):
        assert (await waiting).sequence == 1
    await watch.aclose()


async def test_more_entries_than_fit_one_read_are_all_told(house):
    await house.use_cases.record_trades(CORE, [spot_trade("1")] * 300, caller=house.caller())
    assert [update.sequence for update in await take(watching(house, 0), 300)] == list(range(1, 301))


async def test_a_watch_that_cannot_be_says_why(house):
    await refused(anext(watching(house, account=replace(CORE, account_id=AccountId("stranger")))), Reason.UNKNOWN_ACCOUNT)
    await refused(anext(watching(house, 1)), Reason.SEQUENCE_NOT_REACHED)
