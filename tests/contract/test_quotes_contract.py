"""What the store of quotes promises, and that snapshots keep what is known of their levels."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

from crossmargin.domain.identifiers import InstrumentId, SourceId
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.market_quality import Quality, Verdict, valid_quality
from crossmargin.domain.quote import Quote, SourceProgress, subject_from_text
from crossmargin.usecases.ports.quote import QuoteBatch
from tests.builders import AS_OF

FEED, OTHER = SourceId("feed-a"), SourceId("feed-b")
D = Decimal


def a_quote(sequence, subject="spot:BTC", value="60000", *, source=FEED):
    return Quote(source, subject_from_text(subject), D(value), sequence, AS_OF + timedelta(microseconds=sequence))


def a_batch(*quotes, source=FEED, refused=()):
    sequences = sorted([quote.sequence for quote in quotes] + list(refused))
    return QuoteBatch(source, tuple(sequences), tuple(quotes))


async def test_a_source_that_nobody_has_heard_of_is_at_the_beginning(storage):
    assert await storage.quotes.progress_of(FEED) == SourceProgress(FEED, 0, 0)
    assert list(await storage.quotes.latest_quotes()) == []


async def test_the_last_word_on_each_subject_is_kept_by_source(storage):
    first = [a_quote(1), a_quote(2, "BTC-PERP", "-0.5"), a_quote(3, value="61000.000000000000000001")]
    before, after = await storage.quotes.record_quotes(a_batch(*first))
    assert (before, after) == (SourceProgress(FEED, 0, 0), SourceProgress(FEED, 3, 0))
    other = a_quote(9, source=OTHER)
    await storage.quotes.record_quotes(a_batch(other, source=OTHER))
    assert list(await storage.quotes.latest_quotes()) == [first[1], first[2], other]


async def test_a_batch_sent_again_changes_nothing_even_if_it_says_something_else(storage):
    await storage.quotes.record_quotes(a_batch(a_quote(1), a_quote(2)))
    before, after = await storage.quotes.record_quotes(a_batch(a_quote(1, value="1"), a_quote(2, value="2")))
    assert before == after == SourceProgress(FEED, 2, 0)
    assert list(await storage.quotes.latest_quotes()) == [a_quote(2)]


async def test_refused_sequences_count_as_dealt_with_and_gaps_are_remembered(storage):
    await storage.quotes.record_quotes(a_batch(a_quote(5), refused=(7,)))
    _, after = await storage.quotes.record_quotes(a_batch(a_quote(7, value="7"), a_quote(10)))
    assert after == SourceProgress(FEED, 10, 3)
    assert await storage.quotes.progress_of(FEED) == after
    assert list(await storage.quotes.latest_quotes()) == [a_quote(10)]


async def test_batches_of_one_source_at_once_leave_the_highest_sequence(storage):
    batches = [a_batch(a_quote(sequence, value=str(sequence))) for sequence in (3, 1, 2, 5, 4)]
    await asyncio.gather(*(storage.quotes.record_quotes(batch) for batch in batches))
    (latest,) = await storage.quotes.latest_quotes()
    assert latest == a_quote(5, value="5")
    assert (await storage.quotes.progress_of(FEED)).last_sequence == 5


async def test_a_snapshot_comes_back_with_what_is_known_of_its_levels(storage):
    bitcoin, rate, perpetual = FactorId.parse("spot:BTC"), FactorId.parse("zero:USD:2Y"), InstrumentId("BTC-PERP")
    snapshot = MarketSnapshot(
        AS_OF,
        {bitcoin: D(60000), rate: D("-0.001")},
        {perpetual: D(60010)},
        {
            bitcoin: Quality(Verdict.SUSPECT, AS_OF, D(48000), D(61200), D(48000), AS_OF + timedelta(microseconds=1), 2),
            rate: valid_quality(D("-0.001"), AS_OF),
        },
        {perpetual: Quality(Verdict.MISSING, AS_OF - timedelta(days=1), D(30000), D(90000))},
    )
    await storage.create(snapshot)
    for stored in (await storage.market.latest_snapshot(), await storage.market.get_snapshot(snapshot.snapshot_id)):
        assert (stored.level_quality, stored.mark_quality) == (snapshot.level_quality, snapshot.mark_quality)
        assert stored.content_hash == snapshot.content_hash
