"""A house run explains nobody but those who fall; what it stores, publishes and does is what whole margins would have made of it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import timedelta
from decimal import Decimal

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from crossmargin.adapters.memory.leadership import MemoryLeadership
from crossmargin.adapters.prometheus.margin_metrics import MarginMetrics
from crossmargin.adapters.runtime.standard_parameters import standard_parameters_document
from crossmargin.domain.account import Account, AccountMode
from crossmargin.domain.identifiers import AccountId, AccountRef
from crossmargin.domain.liquidation import PlanWish
from crossmargin.domain.margin import Band
from crossmargin.domain.market_quality import Quality, Verdict
from crossmargin.domain.methodology import AccountMethodology, Methodology
from crossmargin.usecases import house_blocks
from crossmargin.usecases.approve_liquidation import ApprovalRequest
from crossmargin.usecases.evaluate_margin import packed_portfolio
from crossmargin.usecases.ports.margin import HistoryFilter
from crossmargin.usecases.run_house import RunHouse
from crossmargin.usecases.watch_breakers import WatchBreakers
from tests.unit.usecases.house import BTC, CORE, NOON, CountingPool, an_empty_house, furnish

SIZES = {"a1": "2", "a2": "7", "a3": "9", "a4": "11", "a5": "12.5", "a6": "14"}
"""Bitcoin perpetuals on 300,000 dollars: from healthy to beyond the line as bitcoin falls."""
OTHERS = {
    "span": Methodology.SPAN_GRID,
    "tims": Methodology.TIMS_GRID,
    "schedule": Methodology.STANDARD_SCHEDULE,
    "rates": Methodology.RATIO,
}
BUCKET = AccountRef(CORE.client_id, AccountId("bucket"))
MINUTE = timedelta(minutes=1)
SUSPECT = Quality(Verdict.SUSPECT, NOON, Decimal(50_000), Decimal(61_000), ticks=1)
BREAKERS = {"calls_per_minute": 99, "liquidations_per_minute": 99, "concentration_fraction": "0.5", "concentration_accounts": 2}


class Seen:
    """Where breakers are told of."""

    def __init__(self):
        self.tripped = []

    def breaker_tripped(self, kind, cause):
        self.tripped.append((kind, cause))

    def breakers_seen(self, breakers):
        pass


async def furnished(*, ramp_days):
    house = an_empty_house(CountingPool())
    await furnish(house)
    rules = json.loads(standard_parameters_document())["market_quality"] | {"breakers": BREAKERS}
    await house.adopt("first", market_quality=rules)
    if ramp_days:
        await house.adopt("second", market_quality=rules, initial_margin_multiple="1.5", ramp_days=ramp_days)
        await house.publish(at=NOON + MINUTE)
    for name, size in {**SIZES, **dict.fromkeys(OTHERS, "5")}.items():
        account = await house.open_account(name, client="beta" if name > "b" else "alpha")
        await house.deposit("300000", account=account)
        await house.trade(size, account=account)
    bucket = Account(BUCKET, "A bucket", AccountMode.ISOLATED, CORE.account_id)
    await house.use_cases.create_account(bucket, caller=house.caller())
    await house.deposit("40000", account=BUCKET)
    await house.deposit("3", BTC, account=BUCKET)
    await house.trade("4", account=BUCKET)
    for name, methodology in OTHERS.items():
        chosen = AccountMethodology(AccountRef(account.client_id, AccountId(name)), methodology)
        await house.use_cases.set_methodology(chosen, caller=house.caller())
    return house


async def all_that_comes_of_it(*, ramp_days):
    """Fall, doubt and recovery of a house, with a liquidation under way: all that is stored, published and told, and who was explained."""
    house = await furnished(ramp_days=ramp_days)
    registry, breakers, explained, metrics = CollectorRegistry(), Seen(), [], []
    board = MarginMetrics(registry)
    monitor = RunHouse(
        house.ports.books,
        house.current_market,
        house.compute,
        board,
        MemoryLeadership(house.database),
        house.ports.history,
        house.clock,
        house.review_calls(),
        house.review_liquidations(),
        WatchBreakers(house.ports.breakers, breakers, house.clock),
    )
    assert await monitor.leadership.try_lead()

    async def run():
        await monitor.run_once(await house.ports.books.account_sequences(), await house.current_market())
        metrics.append([line for line in generate_latest(registry).decode().splitlines() if "_timestamp_" not in line])
        explained.append({ref for ref, result in board._run.results.items() if result.contributions})

    for minute, price in enumerate(("60000", "55000", "50000"), 2):
        await house.publish(price, at=NOON + minute * MINUTE)
        await run()
    await run()
    plan = (await house.use_cases.plan_liquidation(AccountRef(CORE.client_id, AccountId("a6")), PlanWish())).plan
    request = ApprovalRequest(plan.account, plan.sequence, plan.snapshot_id, plan.trades, plan.target_utilization)
    await house.use_cases.reset_breaker(next(iter(kind for kind, _ in breakers.tripped)), principal="alice", note="seen")
    proposed = await house.use_cases.approve_liquidation(request, caller=house.caller(principal="alice"))
    await house.publish("50000", at=NOON + 6 * MINUTE)
    bob = replace(house.caller(principal="bob"), confirms=proposed.pending_id)
    await house.use_cases.approve_liquidation(request, caller=bob)
    for minute, (price, doubt) in enumerate((("53000", SUSPECT), ("53000", None), ("66000", None)), 7):
        await house.publish(price, at=NOON + minute * MINUTE, doubt=doubt)
        await run()
    house.compute.close()
    accounts = list(await house.ports.books.account_sequences())
    stored = {ref: [asdict(each) for each in await points_of(house, ref)] for ref in accounts}
    # When something is stored is told by a clock of the storage's own.
    liquidations = [asdict(replace(each, approved_at=NOON, expires_at=NOON)) for each in house.database.contents.liquidations.values()]
    calls = {ref: repr(call) for ref, call in (await house.ports.calls.last_calls()).items()}
    notices = list(map(repr, house.ports.call_reports.notices))
    steps = [repr(replace(each, at=NOON)) for each in house.ports.liquidation_reports.steps]
    return (stored, metrics, calls, notices, liquidations, steps, breakers.tripped), explained


async def points_of(house, ref):
    points = await house.ports.history.list_points(ref, HistoryFilter(), after_run=0, limit=100)
    return [replace(each, recorded_at=NOON) for each in points]


def margined_whole(view, account):
    return view.margin(packed_portfolio(account.state))


@pytest.mark.parametrize("ramp_days", [0, 5])
async def test_what_is_stored_published_called_tripped_and_liquidated_is_that_of_whole_margins(monkeypatch, ramp_days):
    brief, explained = await all_that_comes_of_it(ramp_days=ramp_days)
    stored, metrics, calls, notices, liquidations, steps, tripped = brief
    with monkeypatch.context() as patched:
        patched.setattr(house_blocks, "_margin_of", margined_whole)
        whole, all_explained = await all_that_comes_of_it(ramp_days=ramp_days)
    for here, there in zip(brief, whole, strict=True):
        assert here == there
    bands = {point["point"]["band"] for points in stored.values() for point in points}
    assert (bands, bool(calls and notices and liquidations and steps)) == (set(Band), True)
    assert any(" for BTC-PERP" in cause for _, cause in tripped), "which holding a run of calls is for is what is explained"
    assert any('crossmargin_accounts_doubted{verdict="suspect"} 1' in line for lines in metrics for line in lines)
    # Who falls is explained at the run that sees it, and by nobody's memory ever after.
    assert explained[0] == set()
    assert 0 < len(explained[2]) < len(all_explained[2])
    assert explained[-1] == set()
