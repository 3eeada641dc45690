"""Quotes over the wire: a stream, acknowledged message by message."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crossmargin.api.v1 import market_service_pb2 as pb
from crossmargin.domain.breaker import BreakerKind
from tests.integration.grpc_rig import create_books, memory_use_cases, publish_market, refusal_of, served, timestamp


@pytest.fixture
async def rig():
    async with memory_use_cases() as use_cases, served(use_cases) as running:
        await create_books(running)
        await publish_market(running)
        yield running


def a_quote(sequence, value="50500", subject="spot:BTC", *, ago_s=0.0):
    seen = datetime.now(tz=UTC) - timedelta(seconds=ago_s)
    return pb.Quote(subject=subject, value=value, sequence=sequence, observe_time=timestamp(seen))


def a_request(*quotes, source="feed-a"):
    return pb.PublishQuotesRequest(source=source, quotes=quotes)


async def test_each_message_is_answered_and_a_bad_quote_ends_nothing(rig):
    stream = rig.market.PublishQuotes()
    await stream.write(a_request(a_quote(1), a_quote(2, "NaN"), a_quote(3, "-1"), a_quote(4, "1", "spit:BTC")))
    first = await stream.read()
    assert (first.source, first.acknowledged_sequence, first.accepted_count, first.missed_count) == ("feed-a", 4, 1, 0)
    assert [(outcome.sequence, outcome.state, outcome.reason) for outcome in first.outcomes] == [
        (2, pb.QUOTE_STATE_REFUSED, "INVALID_DECIMAL"),
        (3, pb.QUOTE_STATE_REFUSED, "INVALID_SNAPSHOT"),
        (4, pb.QUOTE_STATE_REFUSED, "INVALID_IDENTIFIER"),
    ]
    assert "quote of spot:BTC was 'NaN'" in first.outcomes[0].message
    await stream.write(a_request(a_quote(4), a_quote(9, ago_s=-30), source="feed-a"))
    second = await stream.read()
    assert [(outcome.sequence, outcome.state, outcome.reason) for outcome in second.outcomes] == [
        (4, pb.QUOTE_STATE_REPLAYED, ""),
        (9, pb.QUOTE_STATE_REFUSED, "INVALID_TIMESTAMP"),
    ]
    assert (second.acknowledged_sequence, second.missed_count) == (9, 4)
    await stream.write(a_request(source="feed-b"))
    assert (await stream.read()).acknowledged_sequence == 0
    await stream.done_writing()
    assert await stream.code() == 0 or str(await stream.code()) == "StatusCode.OK"


async def test_a_quote_without_a_sequence_ends_the_stream_because_nothing_could_acknowledge_it(rig):
    async def read_first():
        return [answer async for answer in rig.market.PublishQuotes(iter([a_request(a_quote(0))]))]

    refusal = await refusal_of(read_first())
    assert refusal.code == "INVALID_ARGUMENT"
    assert "quotes[0].sequence" in refusal.fields


async def test_the_built_snapshot_says_how_far_each_level_can_be_believed(rig):
    answers = [answer async for answer in rig.market.PublishQuotes(iter([a_request(a_quote(1, "20000"))]))]
    assert [answer.accepted_count for answer in answers] == [1]
    built = await rig.use_cases.build_snapshot(datetime.now(tz=UTC))
    found = await rig.market.GetSnapshot(pb.GetSnapshotRequest())
    assert found.snapshot_id == built.snapshot_id
    bitcoin = found.level_quality["spot:BTC"]
    assert (found.snapshot.levels["spot:BTC"], bitcoin.verdict, bitcoin.candidate) == ("50000", pb.VERDICT_SUSPECT, "20000")
    assert bitcoin.suspect_ticks == 1
    assert found.level_quality["zero:USD:1Y"].verdict == pb.VERDICT_MISSING
    plain = await rig.market.GetSnapshot(pb.GetSnapshotRequest(snapshot_id=await publish_market(rig)))
    assert not plain.level_quality


async def test_a_tripped_breaker_is_seen_by_everybody_and_reset_by_a_person(rig):
    standing = await rig.market.GetBreakers(pb.GetBreakersRequest())
    assert [breaker.kind for breaker in standing.breakers] == [1, 2, 3]
    assert not any(breaker.tripped for breaker in standing.breakers)
    await rig.use_cases.breakers.trip(BreakerKind.LIQUIDATIONS, at=datetime.now(tz=UTC), cause="11 accounts")
    standing = await rig.market.GetBreakers(pb.GetBreakersRequest())
    assert (standing.calls_paused, standing.liquidations_paused, standing.breakers[1].cause) == (False, True, "11 accounts")
    request = pb.ResetBreakerRequest(kind=pb.BREAKER_KIND_LIQUIDATIONS, note="a bad feed, cut off")
    answer = await rig.market.ResetBreaker(request, metadata=[("x-crossmargin-principal", "alice")])
    assert (answer.breaker.tripped, answer.breaker.reset_by, answer.breaker.note) == (False, "alice", "a bad feed, cut off")
    assert not (await rig.market.GetBreakers(pb.GetBreakersRequest())).liquidations_paused


@pytest.mark.parametrize("request_", [pb.ResetBreakerRequest(note="x"), pb.ResetBreakerRequest(kind=pb.BREAKER_KIND_CALLS)])
async def test_a_reset_names_a_breaker_and_says_what_was_found(rig, request_):
    assert (await refusal_of(rig.market.ResetBreaker(request_))).code == "INVALID_ARGUMENT"
