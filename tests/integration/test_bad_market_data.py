"""Stale and bad data through the service: no wrongful call, no blind approval, and every true breach is called all the same.

Bitcoin is really worth 50,000 throughout, unless a test says that it falls.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from google.protobuf.duration_pb2 import Duration

from crossmargin.adapters.grpc_server.wire.values import account_ref_from_name
from crossmargin.adapters.memory.metrics import MemoryCallReports
from crossmargin.api.v1 import collateral_service_pb2 as collateral_pb
from crossmargin.api.v1 import margin_call_service_pb2 as calls_pb
from crossmargin.api.v1 import margin_service_pb2 as margin_pb
from crossmargin.api.v1 import market_service_pb2 as pb
from crossmargin.domain.band_memory import next_band_state
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.review_calls import AccountSeen, ReviewCalls
from tests.builders import market_quality_document
from tests.integration.grpc_rig import (
    ALPHA,
    BETA,
    a_batch,
    a_deposit,
    a_trade,
    create_books,
    memory_use_cases,
    publish_market,
    refusal_of,
    served,
    timestamp,
)

STARTED = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
TRUTH = 50_000
TICK = timedelta(seconds=5)
GOOD_TICKS, BAD_TICKS = 2, 26
CALLED = {margin_pb.BAND_MARGIN_CALL, margin_pb.BAND_LIQUIDATION}
SOUND_LONG, BREACHED = ALPHA, BETA
LIMITS = {"stale_after_s": "30", "missing_after_s": "100", "drift": "0.02", "widest_drift": "0.10"}
QUIET = {"zero": {"stale_after_s": "90000", "missing_after_s": "900000"}}


class SetClock:
    """Time as the test sets it."""

    def __init__(self):
        self.moment = STARTED

    def now(self):
        return self.moment

    async def sleep(self, seconds):
        raise AssertionError("nothing here waits")


@dataclass
class Market:
    """Sources that quote bitcoin tick by tick, and a service that builds a snapshot after each."""

    rig: object
    clock: SetClock
    sequences: dict[str, count] = field(default_factory=dict)

    async def tick(self, **quotes):
        """Let every source say something and build a snapshot; a source says a value, or a Quote with fields of its own."""
        self.clock.moment += TICK
        for source, said in quotes.items():
            await self.say(source.replace("_", "-"), said)
        await self.rig.use_cases.build_snapshot(self.clock.moment)

    async def say(self, source, said):
        numbers = self.sequences.setdefault(source, count(1))
        if not isinstance(said, pb.Quote):
            said = pb.Quote(value=str(said))
        said.subject = "spot:BTC"
        said.sequence = said.sequence or next(numbers)
        if not said.HasField("observe_time"):
            said.observe_time.CopyFrom(timestamp(self.clock.moment))
        request = pb.PublishQuotesRequest(source=source, quotes=[said])
        return [answer async for answer in self.rig.market.PublishQuotes(iter([request]))]

    async def review(self):
        """Do what the monitor does about calls."""
        use_cases = self.rig.use_cases
        change, view = use_cases.acknowledge_call.change, await use_cases.evaluate_margin.current_market()
        seen = {}
        for account in (SOUND_LONG, BREACHED):
            ref = account_ref_from_name(account, what="account")
            portfolio = portfolio_of(await use_cases.books.account_state(ref))
            result = view.margin(portfolio)
            seen[ref] = AccountSeen(result, next_band_state(None, result, view.parameters), portfolio.mode)
        monitor = ReviewCalls(change.writer, use_cases.calls, use_cases.breakers, MemoryCallReports(), self.clock)
        await monitor(seen, view.parameters, epoch=0)

    async def calls(self):
        return [call.account for call in (await self.rig.calls.ListCalls(calls_pb.ListCallsRequest())).calls]

    async def band(self, account):
        return (await self.margin(account)).band

    async def margin(self, account):
        return (await self.rig.margin.GetMargin(margin_pb.GetMarginRequest(account=account))).margin

    async def preview(self, account, quantity):
        request = margin_pb.PreviewTradesRequest(account=account, trades=[a_trade("BTC-USD-PERP", quantity, str(TRUTH))])
        return await self.rig.margin.PreviewTrades(request)


@asynccontextmanager
async def a_market():
    quality = market_quality_document(limits=LIMITS)
    quality["rules"] = [rule | QUIET.get(rule["kind"], {}) for rule in quality["rules"]]
    clock = SetClock()
    async with memory_use_cases(clock=clock, market_quality=quality) as use_cases, served(use_cases) as rig:
        await create_books(rig)
        await publish_market(rig)
        for account, cash, contracts in ((SOUND_LONG, "600000", "10"), (BREACHED, "30000", "10")):
            await rig.collateral.Deposit(a_deposit(cash, account=account, request_id=account))
            await rig.books.RecordTrades(a_batch(a_trade("BTC-USD-PERP", contracts, str(TRUTH)), account=account, request_id=account))
        yield Market(rig, clock)


@pytest.fixture
async def market():
    async with a_market() as running:
        yield running


def a_value(text):
    return lambda clock: {"feed_a": text}


def from_the_future(clock):
    return {"feed_a": pb.Quote(value="25000", observe_time=timestamp(clock.moment + timedelta(hours=1)))}


def replayed(clock):
    return {"feed_a": pb.Quote(value="25000", sequence=1)}


def frozen(clock):
    return {}


def outvoted(value):
    return lambda clock: {"feed_a": value, "feed_b": TRUTH, "feed_c": TRUTH + 10}


FAULTS = {
    "frozen publisher": frozen,
    "NaN": a_value("NaN"),
    "infinity": a_value("Infinity"),
    "times 100": a_value(str(TRUTH * 100)),
    "divided by 100": a_value(str(TRUTH // 100)),
    "negative": a_value(f"-{TRUTH}"),
    "zero": a_value("0"),
    "future stamp": from_the_future,
    "replayed sequence": replayed,
    "one of three, times 100": outvoted(TRUTH * 100),
    "one of three, divided by 100": outvoted(TRUTH // 100),
    "one of three, off by a tenth": outvoted(TRUTH * 11 // 10),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_bad_data_calls_nobody_wrongly_approves_nothing_blindly_and_hides_no_breach(market, fault):
    for _ in range(GOOD_TICKS):
        await market.tick(feed_a=TRUTH, **({"feed_b": TRUTH, "feed_c": TRUTH} if "three" in fault else {}))
    too_much = await affordable(market) + 2
    for tick in range(BAD_TICKS):
        await market.tick(**FAULTS[fault](market.clock))
        if tick % 4 and tick > 3:
            continue
        await market.review()
        assert await market.calls() == [BREACHED], f"calls at tick {tick}"
        assert await market.band(SOUND_LONG) not in CALLED, f"wrongful call at tick {tick}"
        assert await market.band(BREACHED) in CALLED, f"a true breach was not called at tick {tick}"
        blind = await market.preview(SOUND_LONG, str(too_much))
        assert not blind.acceptable, f"blind approval at tick {tick}"
        assert (await market.preview(SOUND_LONG, "-1")).acceptable, f"what lowers risk was held up at tick {tick}"


async def affordable(market):
    """The most contracts that the sound account may add at the true price."""
    low, high = 0, 64
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if (await market.preview(SOUND_LONG, str(middle))).acceptable else (low, middle)
    return low


@pytest.mark.parametrize(("sources", "ticks"), [(("feed_a",), 3), (("feed_a", "feed_b"), 1)])
async def test_a_real_fall_is_called_once_it_is_confirmed(market, sources, ticks):
    for _ in range(GOOD_TICKS):
        await market.tick(**dict.fromkeys(sources, TRUTH))
    deposit = a_deposit("300000", account=BREACHED, request_id="more")
    await market.rig.collateral.Deposit(deposit)
    assert await market.band(BREACHED) not in CALLED
    for tick in range(1, ticks + 1):
        await market.tick(**dict.fromkeys(sources, TRUTH * 6 // 10))
        assert (await market.band(BREACHED) in CALLED) is (tick == ticks)


async def test_what_is_stale_is_named_and_refused_and_what_is_missing_liquidates_nobody(market):
    await market.tick(feed_a=TRUTH)
    assert await market.band(BREACHED) == margin_pb.BAND_LIQUIDATION
    assert not (await market.margin(SOUND_LONG)).HasField("quality")
    verdicts, refusals = [], []
    for _ in range(25):
        await market.tick()
        margin = await market.margin(BREACHED)
        verdicts += [one.quality.verdict for one in margin.quality.doubted]
        refusals.append((await market.preview(SOUND_LONG, "1")).market_refusal)
        if pb.VERDICT_MISSING in verdicts:
            assert (margin.band, margin.quality.may_liquidate) == (margin_pb.BAND_MARGIN_CALL, False)
    assert set(verdicts) == {pb.VERDICT_STALE, pb.VERDICT_MISSING}
    assert [refusal for refusal in dict.fromkeys(refusals) if refusal] == ["STALE_MARKET_DATA", "MISSING_MARKET_DATA"]


async def test_a_suspect_level_approves_only_what_is_fine_at_its_worst_end(market):
    await market.tick(feed_a=TRUTH)
    enough = await affordable(market)
    await market.tick(feed_a=TRUTH * 8 // 10)
    margin = await market.margin(SOUND_LONG)
    (doubted,) = margin.quality.doubted
    assert (doubted.subject, doubted.quality.verdict, doubted.quality.low) == ("spot:BTC", pb.VERDICT_SUSPECT, "40000")
    assert float(margin.quality.utilization_low) < float(margin.utilization) < float(margin.quality.utilization_high)
    refused = await market.preview(SOUND_LONG, str(enough))
    assert (refused.acceptable, refused.market_refusal) == (False, "SUSPECT_MARKET_DATA")
    assert (await market.preview(SOUND_LONG, "1")).acceptable


async def test_a_called_account_on_suspect_data_is_provisional(market):
    await market.tick(feed_a=TRUTH)
    await market.tick(feed_a=TRUTH * 85 // 100)
    margin = await market.margin(BREACHED)
    assert (margin.band, margin.quality.provisional, margin.quality.may_liquidate) == (margin_pb.BAND_MARGIN_CALL, True, False)


async def reserve(market, quantity, request_id):
    order = margin_pb.Order(
        instrument_id="BTC-USD-PERP",
        quantity=quantity,
        price=str(TRUTH),
        kind=margin_pb.RESERVATION_KIND_RESTING,
        lifetime=Duration(seconds=60),
    )
    return await market.rig.margin.ReserveMargin(margin_pb.ReserveMarginRequest(request_id=request_id, account=SOUND_LONG, order=order))


async def withdraw(market, quantity, request_id):
    request = collateral_pb.WithdrawRequest(request_id=request_id, account=SOUND_LONG, instrument_id="USD", quantity=quantity)
    return await market.rig.collateral.Withdraw(request)


async def test_orders_and_withdrawals_are_refused_for_the_market_they_would_rest_on(market):
    await market.tick(feed_a=TRUTH)
    enough = str(await affordable(market))
    await market.tick(feed_a=TRUTH * 8 // 10)
    assert (await refusal_of(reserve(market, enough, "suspect-order"))).reason == "SUSPECT_MARKET_DATA"
    for _ in range(8):
        await market.tick()
    refused = await refusal_of(reserve(market, "1", "stale-order"))
    assert (refused.reason, refused.facts["subject"], refused.facts["verdict"]) == ("STALE_MARKET_DATA", "spot:BTC", "stale")
    assert (await refusal_of(withdraw(market, "1", "stale-withdrawal"))).reason == "STALE_MARKET_DATA"
    await reserve(market, "-1", "reducing")
    await market.tick(feed_a=TRUTH)
    assert (await refusal_of(reserve(market, "1", "stale-order"))).reason == "STALE_MARKET_DATA", "a refusal is for good"
    await reserve(market, "1", "fresh-order")
    await withdraw(market, "1", "fresh-withdrawal")
