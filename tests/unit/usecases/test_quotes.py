"""Quotes come in, and snapshots are made of them."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.adapters.memory.leadership import MemoryLeadership
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import SourceId
from crossmargin.domain.market import FactorId
from crossmargin.domain.market_quality import Verdict
from crossmargin.domain.quote import Quote, subject_from_text
from crossmargin.usecases.publish_quotes import QuoteState, UnreadableQuote
from crossmargin.usecases.tick_market import TickMarket
from tests.unit.usecases.house import NOON

FEED = SourceId("feed-a")
BITCOIN = FactorId.parse("spot:BTC")
SECOND = timedelta(seconds=1)


def a_quote(sequence, value="60000", subject="spot:BTC", *, at=NOON, source=FEED):
    return Quote(source, subject_from_text(subject), Decimal(value), sequence, at)


def states(receipt):
    return [(outcome.sequence, outcome.state) for outcome in receipt.outcomes]


async def test_one_bad_quote_is_an_outcome_and_the_others_are_taken(house):
    unreadable = UnreadableQuote(3, DomainError(Reason.INVALID_DECIMAL, "NaN"))
    batch = [a_quote(1), a_quote(2, "-5"), unreadable, a_quote(4, "60100", "BTC-PERP"), a_quote(5, "1", "NO-SUCH")]
    receipt = await house.use_cases.publish_quotes(FEED, batch)
    assert states(receipt) == [
        (1, QuoteState.ACCEPTED),
        (2, QuoteState.REFUSED),
        (3, QuoteState.REFUSED),
        (4, QuoteState.ACCEPTED),
        (5, QuoteState.REFUSED),
    ]
    assert [outcome.error.reason for outcome in receipt.outcomes if outcome.error] == [
        Reason.INVALID_SNAPSHOT,
        Reason.INVALID_DECIMAL,
        Reason.UNKNOWN_INSTRUMENT,
    ]
    assert receipt.progress.last_sequence == 5
    assert [quote.sequence for quote in await house.ports.quotes.latest_quotes()] == [4, 1]
    assert house.ports.quote_metrics.counts == {(FEED, "accepted"): 2, (FEED, "refused"): 3, (FEED, "replayed"): 0, (FEED, "missed"): 0}


async def test_a_replay_is_acknowledged_and_ignored_and_a_gap_is_counted(house):
    await house.use_cases.publish_quotes(FEED, [a_quote(1), a_quote(2)])
    receipt = await house.use_cases.publish_quotes(FEED, [a_quote(2, "1"), a_quote(6, "60001"), a_quote(6, "2"), a_quote(4, "3")])
    assert states(receipt) == [
        (2, QuoteState.REPLAYED),
        (6, QuoteState.ACCEPTED),
        (6, QuoteState.REPLAYED),
        (4, QuoteState.REPLAYED),
    ]
    assert (receipt.progress.last_sequence, receipt.missed_count) == (6, 3)
    assert [quote.value for quote in await house.ports.quotes.latest_quotes()] == [60001]


async def test_a_number_that_comes_twice_in_a_batch_is_the_first_ones_even_if_that_is_refused(house):
    receipt = await house.use_cases.publish_quotes(FEED, [a_quote(1, "-1"), a_quote(1, "60000")])
    assert states(receipt) == [(1, QuoteState.REFUSED), (1, QuoteState.REPLAYED)]
    assert not await house.ports.quotes.latest_quotes()


async def test_a_quote_from_the_future_is_refused(house):
    receipt = await house.use_cases.publish_quotes(FEED, [a_quote(1, at=NOON + 2 * SECOND)])
    assert receipt.outcomes[0].error.reason is Reason.INVALID_TIMESTAMP


async def test_an_empty_batch_asks_how_far_the_source_has_come(house):
    await house.use_cases.publish_quotes(FEED, [a_quote(41)])
    assert (await house.use_cases.publish_quotes(FEED, [])).progress.last_sequence == 41


async def test_nothing_is_built_as_long_as_nobody_quotes(house):
    latest = await house.ports.market.latest_snapshot_id()
    assert await house.use_cases.build_snapshot(NOON + SECOND) is None
    assert await house.ports.market.latest_snapshot_id() == latest


async def test_a_snapshot_of_quotes_holds_what_was_published_before_too(house):
    await house.publish(spot_ETH="2000", at=NOON)
    await house.use_cases.publish_quotes(FEED, [a_quote(1, "60500"), a_quote(2, "60600", "BTC-PERP")])
    built = await house.use_cases.build_snapshot(NOON + SECOND)
    assert built.snapshot_id == await house.ports.market.latest_snapshot_id()
    assert {str(factor): level for factor, level in built.levels.items()} == {"spot:BTC": 60500, "spot:ETH": 2000}
    assert built.marks == {"BTC-PERP": 60600}
    assert {quality.verdict for quality in (*built.level_quality.values(), *built.mark_quality.values())} == {Verdict.VALID}
    assert house.ports.quote_metrics.last_built is built


async def test_a_level_that_nobody_quotes_grows_stale_from_when_it_was_published(house):
    await house.publish(spot_ETH="2000", at=NOON)
    verdicts = []
    for tick in range(1, 71):
        now = NOON + tick * SECOND
        house.clock.move_to(now)
        await house.use_cases.publish_quotes(FEED, [a_quote(tick, at=now)])
        built = await house.use_cases.build_snapshot(now)
        verdicts.append(built.level_quality[FactorId.parse("spot:ETH")].verdict)
    assert verdicts == [Verdict.VALID] * 60 + [Verdict.STALE] * 10


async def test_a_tick_without_anything_new_builds_nothing(house):
    await house.use_cases.publish_quotes(FEED, [a_quote(1, "60500")])
    assert await house.use_cases.build_snapshot(NOON + SECOND) is not None
    assert await house.use_cases.build_snapshot(NOON + 2 * SECOND) is None
    await house.use_cases.publish_quotes(FEED, [a_quote(2, "60500", at=NOON + SECOND)])
    assert await house.use_cases.build_snapshot(NOON + 3 * SECOND) is not None


async def test_two_builders_of_the_same_quotes_make_the_same_snapshot(house):
    await house.use_cases.publish_quotes(FEED, [a_quote(1, "45000"), a_quote(2, "2000", "spot:ETH")])
    await house.use_cases.publish_quotes(SourceId("feed-b"), [a_quote(1, "60500", source=SourceId("feed-b"))])
    before = dict(house.database.contents.snapshots)
    first = await house.use_cases.build_snapshot(NOON + SECOND)
    house.database.contents.snapshots.clear()
    house.database.contents.snapshots.update(before)
    house.database.contents.responses.clear()
    assert (await house.use_cases.build_snapshot(NOON + SECOND)).content_hash == first.content_hash


async def test_the_leader_builds_a_snapshot_every_tick_and_nobody_else_does(house):
    await house.use_cases.publish_quotes(FEED, [a_quote(1, "60500")])
    leadership = MemoryLeadership(house.database)
    failures = Failures()
    task = asyncio.create_task(TickMarket(house.use_cases.build_snapshot, failures, leadership, house.clock, 2.0)())
    house.database.leader = other = object()
    try:
        await house.clock.until_asleep()
        await house.clock.tick()
        assert (await house.ports.market.latest_snapshot()).levels[BITCOIN] == 60000
        assert house.database.leader is other
        house.database.leader = None
        await house.clock.tick()
        latest = await house.ports.market.latest_snapshot()
        assert (latest.levels[BITCOIN], latest.as_of) == (60500, NOON + 4 * SECOND)
        assert house.ports.quote_metrics.last_built == latest
        house.database.contents.activations.clear()
        await house.use_cases.publish_quotes(FEED, [a_quote(2, "60600", at=NOON + SECOND)])
        await house.clock.tick()
        assert failures.reasons == ["NO_RISK_PARAMETERS"]
        house.database.leader = other
        await house.clock.tick()
        assert house.ports.quote_metrics.last_built is None, "who does not build the market does not speak of its quality"
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class Failures:
    """The one part of the metrics that a tick touches."""

    def __init__(self):
        self.reasons = []

    def house_failed(self, reason):
        self.reasons.append(reason)


@pytest.mark.parametrize("seconds", [0, -5])
async def test_a_published_snapshot_of_the_future_counts_until_its_time_has_come(house, seconds):
    await house.publish("61000", at=NOON)
    await house.use_cases.publish_quotes(FEED, [a_quote(1, "60500", at=NOON - 10 * SECOND)])
    assert await house.use_cases.build_snapshot(NOON + seconds * SECOND) is None
    assert await house.use_cases.build_snapshot(NOON + SECOND) is not None
