"""Whoever publishes a snapshot, it remembers of stablecoins what follows from the one before it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.adapters.runtime.standard_parameters import standard_parameters_document
from crossmargin.domain.errors import Reason
from crossmargin.domain.identifiers import InstrumentId, SourceId
from crossmargin.domain.instrument import Instrument, Stablecoin
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.peg import Peg
from crossmargin.domain.quote import Quote, subject_from_text
from tests.unit.usecases.house import CORE, NOON, a_history
from tests.unit.usecases.refusals import refused

USDC = InstrumentId("USDC")
COIN = Instrument(USDC, Stablecoin("USD", "Circle"), 6, "REGULATED_STABLECOIN")
EURO_COIN = Instrument(InstrumentId("EURC"), Stablecoin("EUR", "Circle"), 6, "REGULATED_STABLECOIN")
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
FEED = SourceId("feed-a")


@pytest.fixture
async def coins(house):
    for coin in (COIN, EURO_COIN):
        await house.use_cases.create_instrument(coin, caller=house.caller())
    return house


async def pegs_after(house, *prices):
    """Publish USDC at these (hours, price), and return what the last snapshot remembers of it."""
    for hours, price in prices:
        await house.publish(at=NOON + hours * HOUR, **({} if price is None else {"spot_USDC": price}))
    return (await house.ports.market.latest_snapshot()).pegs.get(USDC)


async def test_a_snapshot_remembers_the_one_before(coins):
    assert await pegs_after(coins, (1, "1"), (2, "0.9")) == Peg(Decimal("0.9"), NOON + 2 * HOUR)
    assert await pegs_after(coins, (26, "1")) == Peg(Decimal("0.95"), NOON + 2 * HOUR, NOON + 26 * HOUR)


async def test_a_snapshot_without_the_coin_forgets_nothing(coins):
    assert await pegs_after(coins, (1, "0.9"), (25, None)) == Peg(Decimal("0.9"), NOON + HOUR)
    assert (await pegs_after(coins, (49, "1"))).slow_price == Decimal("0.95")


async def test_a_snapshot_of_the_past_follows_from_its_own_past_and_changes_none_after_it(coins):
    after = await pegs_after(coins, (1, "1"), (49, "0.99"))
    await coins.publish(at=NOON + 25 * HOUR, spot_USDC="0.5")
    assert (await coins.ports.market.latest_snapshot()).pegs[USDC] == after
    between = await coins.ports.market.snapshot_before(NOON + 49 * HOUR)
    assert between.pegs[USDC] == Peg(Decimal("0.5"), NOON + 25 * HOUR)


async def test_a_mistake_is_corrected_by_another_snapshot_of_its_time(coins):
    """What came before the mistake is what counts, as long as nothing has followed it."""
    await pegs_after(coins, (1, "1"), (2, "0.1"))
    assert await pegs_after(coins, (2, "1")) == Peg(Decimal(1))


async def test_the_same_snapshot_sent_again_is_stored_once_and_has_the_same_id(coins):
    snapshot = await coins.publish(at=NOON + HOUR, spot_USDC="0.9")
    first = await coins.ports.market.latest_snapshot_id()
    assert first != snapshot.snapshot_id  # what is remembered is part of the id
    assert await coins.use_cases.publish_snapshot(snapshot, principal="feed") == first
    assert await coins.use_cases.publish_snapshot(snapshot, principal="other feed") == first


async def test_a_coin_that_somebody_pegs_to_euros_is_followed_in_euros(coins):
    """The euro rises by a tenth at once: the coin has kept its peg, and nothing of it is slow."""
    for hours, euro, coin in ((1, "1.1", "1.1"), (2, "1.21", "1.21"), (3, "1.21", "1.089")):
        await coins.publish(at=NOON + hours * HOUR, fx_EUR=euro, spot_EURC=coin)
        peg = (await coins.ports.market.latest_snapshot()).pegs[EURO_COIN.instrument_id]
        assert peg == (Peg(Decimal("0.9"), NOON + 3 * HOUR) if hours == 3 else Peg(Decimal(1)))
    await coins.publish(at=NOON + 4 * HOUR, spot_EURC="1.2")
    assert (await coins.ports.market.latest_snapshot()).pegs[EURO_COIN.instrument_id].slow_price == Decimal("0.9")


async def test_a_mark_is_the_price_where_there_is_one(coins):
    levels = {FactorId.parse("spot:USDC"): Decimal(1)}
    await coins.use_cases.publish_snapshot(MarketSnapshot(NOON + HOUR, levels, {USDC: Decimal("0.97")}), principal="feed")
    assert (await coins.ports.market.latest_snapshot()).pegs[USDC].slow_price == Decimal("0.97")


async def test_what_is_no_stablecoin_has_no_peg(coins):
    await coins.publish(at=NOON + HOUR, spot_ETH="2000", spot_SPX="5000")
    assert (await coins.ports.market.latest_snapshot()).pegs == {}


async def test_a_snapshot_from_before_pegs_were_kept_counted_at_its_price(coins):
    levels = {FactorId.parse("spot:USDC"): Decimal("0.9")}
    older = MarketSnapshot(NOON + HOUR, levels, {})
    coins.database.contents.snapshots[older.snapshot_id] = older
    # No clock ran then: the depeg begins with the first snapshot that remembers.
    assert await pegs_after(coins, (25, "1")) == Peg(Decimal("0.95"))
    coins.database.contents.snapshots[older.snapshot_id] = older
    assert await pegs_after(coins, (24, "0.9")) is not None


async def test_parameters_in_force_at_its_time_say_how_fast(coins):
    depeg = {"mild_price": "0.99", "haircut_slope": "4", "ineligible_price": "0.95", "slow_rise_per_day": "0.01"}
    charges = json.loads(standard_parameters_document())["charges"] | {"depeg": depeg}
    await coins.adopt("slower-1", active_from=NOON + 30 * HOUR, charges=charges)
    assert (await pegs_after(coins, (1, "0.9"), (25, "1"))).slow_price == Decimal("0.95")
    assert (await pegs_after(coins, (49, "1"))).slow_price == Decimal("0.96")


async def test_without_parameters_a_snapshot_remembers_what_the_one_before_did(coins):
    known = await pegs_after(coins, (1, "0.9"))
    coins.database.contents.activations.clear()
    assert await pegs_after(coins, (25, "1")) == known


async def test_a_snapshot_that_others_overtake_follows_from_theirs(coins):
    """Somebody publishes a snapshot of just before, in which the coin slips, after ours has looked and before it is stored."""
    await pegs_after(coins, (1, "1"))
    store = coins.use_cases.publish_snapshot.market
    looked = store.snapshot_before
    slips = iter([NOON + 2 * HOUR])

    class Overtaken:
        async def snapshot_before(self, moment):
            before = await looked(moment)
            if (slip := next(slips, None)) is not None:
                await coins.publish(at=slip, spot_USDC="0.9")
            return before

    overtaken = replace(coins.use_cases.publish_snapshot, market=Overtaken())
    levels = {FactorId.parse("spot:USDC"): Decimal(1)}
    await overtaken(MarketSnapshot(NOON + 26 * HOUR, levels, {}), principal="feed")
    assert (await coins.ports.market.latest_snapshot()).pegs[USDC] == Peg(Decimal("0.95"), NOON + 2 * HOUR, NOON + 26 * HOUR)
    slips = iter([NOON + 26 * HOUR + number * SECOND for number in range(1, 9)])
    endless = overtaken(MarketSnapshot(NOON + 27 * HOUR, levels, {}), principal="feed")
    await refused(endless, Reason.SERVICE_BUSY)
    assert (await coins.ports.market.latest_snapshot()).as_of < NOON + 27 * HOUR


# Built from quotes


def a_quote(sequence, value, at):
    return Quote(FEED, subject_from_text("spot:USDC"), Decimal(value), sequence, at)


async def build(house, sequence, value, at):
    house.clock.move_to(at)
    if value is not None:
        await house.use_cases.publish_quotes(FEED, [a_quote(sequence, value, at)])
    return await house.use_cases.build_snapshot(at)


async def test_a_built_snapshot_remembers_too_and_a_price_that_is_doubted_moves_no_slow_price(coins):
    await pegs_after(coins, (0, "1"))
    assert (await build(coins, 1, "0.997", NOON + SECOND)).pegs[USDC] == Peg(Decimal("0.997"))
    doubted = await build(coins, 2, "0.5", NOON + 2 * SECOND)
    assert doubted.level_quality[FactorId.parse("spot:USDC")].verdict.value == "suspect"
    assert doubted.pegs[USDC] == Peg(Decimal("0.997"))


async def test_a_clock_that_runs_out_is_news_even_if_nobody_says_anything(coins):
    await pegs_after(coins, (0, "0.98"))
    assert await build(coins, 1, "0.98", NOON + 40 * HOUR) is not None
    # Silent for so long that nothing can grow older.
    said = [hours for hours in (60, 71, 72, 73, 74) if await build(coins, 2, None, NOON + hours * HOUR) is not None]
    assert said == [60, 73]


async def test_a_lost_peg_takes_the_coin_out_of_an_account_and_a_recovery_brings_it_back(coins):
    await coins.use_cases.import_history(a_history("spot:USDC"))
    await coins.deposit("100000")
    await coins.deposit("100000", USDC)
    counted = []
    for hours, price in ((1, "0.985"), (73, "0.985"), (74, "0.985"), (75, "0.995"), (98, "0.995"), (99, "0.995")):
        await coins.publish(at=NOON + hours * HOUR, spot_USDC=price)
        margin = await coins.use_cases.evaluate_margin(CORE)
        (line,) = [line for line in margin.equity.lines if line.instrument_id == USDC]
        counted.append((hours, bool(line.value_in_equity), line.peg is not None and line.peg.is_lost))
    assert counted == [(1, True, False), (73, True, False), (74, False, True), (75, False, True), (98, False, True), (99, True, False)]
