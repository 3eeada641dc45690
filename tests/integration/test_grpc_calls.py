"""Every rpc of the API does what it says, over a real channel."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest_asyncio
from google.type.date_pb2 import Date

from crossmargin.api.v1 import account_service_pb2 as accounts_pb
from crossmargin.api.v1 import book_service_pb2 as books_pb
from crossmargin.api.v1 import collateral_service_pb2 as collateral_pb
from crossmargin.api.v1 import margin_service_pb2 as margin_pb
from crossmargin.api.v1 import market_service_pb2 as market_pb
from crossmargin.api.v1 import reference_service_pb2 as reference_pb
from crossmargin.domain.market import FactorId
from tests.integration.grpc_rig import (
    ALPHA,
    DAY_COUNT,
    EXECUTED,
    Rig,
    a_batch,
    a_deposit,
    a_trade,
    create_books,
    history_block,
    memory_use_cases,
    publish_market,
    served,
    timestamp,
    ust_bond,
)

D = Decimal


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    async with memory_use_cases() as use_cases, served(use_cases) as running:
        await create_books(running)
        yield running


async def margin_of(rig: Rig, account: str = ALPHA, *, min_seq: int = 0) -> margin_pb.Margin:
    return (await rig.margin.GetMargin(margin_pb.GetMarginRequest(account=account, min_seq=min_seq))).margin


async def test_an_instrument_is_returned_as_it_was_created(rig):
    got = await rig.reference.GetInstrument(reference_pb.GetInstrumentRequest(instrument_id="UST-2030"))
    assert got.instrument == ust_bond()
    listed = await rig.reference.ListInstruments(reference_pb.ListInstrumentsRequest())
    assert ust_bond() in listed.instruments


async def test_creating_the_same_again_changes_nothing(rig):
    request = reference_pb.CreateInstrumentRequest(request_id="another", instrument=ust_bond())
    assert (await rig.reference.CreateInstrument(request)).instrument == ust_bond()
    assert len((await rig.reference.ListInstruments(reference_pb.ListInstrumentsRequest())).instruments) == 4


async def test_the_risk_parameters_in_force_are_those_of_their_name(rig):
    in_force = await rig.reference.GetRiskParameters(reference_pb.GetRiskParametersRequest())
    by_name = await rig.reference.GetRiskParameters(reference_pb.GetRiskParametersRequest(parameter_set_id="test-1"))
    assert in_force == by_name
    assert in_force.parameter_set_id == "test-1"
    assert len(in_force.content_hash) == 64
    assert '"tail_fraction":"0.025"' in in_force.document


async def test_accounts_cross_and_isolated(rig):
    satellite = accounts_pb.Account(
        name="clients/alpha/accounts/satellite",
        display_name="Satellite",
        mode=accounts_pb.ACCOUNT_MODE_ISOLATED,
        parent_account=ALPHA,
    )
    created = await rig.accounts.CreateAccount(accounts_pb.CreateAccountRequest(request_id="s", account=satellite))
    got = await rig.accounts.GetAccount(accounts_pb.GetAccountRequest(name=satellite.name))
    satellite.methodology = accounts_pb.METHODOLOGY_EXPECTED_SHORTFALL
    assert created.account == got.account == satellite


async def test_a_methodology_is_set_read_back_and_compared(rig):
    await publish_market(rig)
    await rig.collateral.Deposit(a_deposit("100000"))
    await rig.books.RecordTrades(a_batch(a_trade("BTC-USD-PERP", "1", "50000")))
    request = accounts_pb.SetMethodologyRequest(
        request_id="m", account=ALPHA, methodology=accounts_pb.METHODOLOGY_RATIO, validate_only=True
    )
    tried = await rig.accounts.SetMethodology(request)
    assert (tried.account.methodology, tried.sequence) == (accounts_pb.METHODOLOGY_RATIO, 0)
    request.validate_only = False
    assert (await rig.accounts.SetMethodology(request)).sequence == 3
    assert (await rig.accounts.GetAccount(accounts_pb.GetAccountRequest(name=ALPHA))).account.methodology == accounts_pb.METHODOLOGY_RATIO
    last = (await rig.entries())[-1]
    assert (last.kind, last.reference) == (books_pb.ENTRY_KIND_METHODOLOGY, "ratio")
    margin = await margin_of(rig)
    assert margin.stamp.methodology == accounts_pb.METHODOLOGY_RATIO
    comparison = await rig.margin.CompareMethodologies(margin_pb.CompareMethodologiesRequest(account=ALPHA, min_seq=3))
    assert comparison.selected == accounts_pb.METHODOLOGY_RATIO
    by_name = {one.methodology: one for one in comparison.margins}
    assert by_name[accounts_pb.METHODOLOGY_RATIO].margin == margin
    assert "rates of the standard schedule" in by_name[accounts_pb.METHODOLOGY_STANDARD_SCHEDULE].unavailable
    assert {one.margin.equity.equity for one in comparison.margins if one.HasField("margin")} == {margin.equity.equity}


async def test_trades_and_deposits_become_positions_and_entries(rig):
    deposited = await rig.collateral.Deposit(a_deposit("1000000", reference="wire 1"))
    recorded = await rig.books.RecordTrades(
        a_batch(a_trade(quantity="1.5", price="50000", book_id="basis"), a_trade("BTC-USD-PERP", "-1.5", "50100", book_id="basis"))
    )
    assert deposited.sequence == 1
    assert [outcome.sequence for outcome in recorded.outcomes] == [2, 3]
    assert (recorded.as_of_seq, recorded.replayed) == (3, False)
    answer = await rig.books.ListPositions(books_pb.ListPositionsRequest(account=ALPHA, min_seq=3))
    assert [(one.book_id, one.instrument_id, one.quantity, one.cost) for one in answer.positions] == [
        ("basis", "BTC", "1.5", "0"),
        ("basis", "BTC-USD-PERP", "-1.5", "-75150"),
        ("basis", "USD", "-75000", "0"),
        ("main", "USD", "1000000", "0"),
    ]
    entries = await rig.entries()
    assert [(entry.sequence, entry.kind) for entry in entries] == [
        (1, books_pb.ENTRY_KIND_DEPOSIT),
        (2, books_pb.ENTRY_KIND_TRADE),
        (3, books_pb.ENTRY_KIND_TRADE),
    ]
    assert entries[0].reference == "wire 1"
    assert entries[0].effective_time == timestamp(EXECUTED)
    for entry in entries:
        assert len(entry.chain_hash) == 64
        assert sum(D(leg.quantity) for leg in entry.postings) == 0
        assert sum(D(leg.cost) for leg in entry.postings) == 0


async def test_a_deposit_sent_again_is_booked_once(rig):
    first, again = [await rig.collateral.Deposit(a_deposit()) for _ in range(2)]
    assert (first.sequence, first.replayed) == (1, False)
    assert (again.sequence, again.replayed) == (1, True)
    assert await rig.positions() == {"USD": "1000000"}


async def test_a_snapshot_is_named_by_its_content(rig):
    snapshot = market_pb.MarketSnapshot(
        as_of_time=timestamp(EXECUTED), levels={"spot:BTC": "50000", "zero:USD:1Y": "0.04"}, marks={"BTC-USD-PERP": "50010.5"}
    )
    request = market_pb.PublishSnapshotRequest(snapshot=snapshot)
    first, again = [(await rig.market.PublishSnapshot(request)).snapshot_id for _ in range(2)]
    assert first == again
    latest = await rig.market.GetSnapshot(market_pb.GetSnapshotRequest())
    by_name = await rig.market.GetSnapshot(market_pb.GetSnapshotRequest(snapshot_id=first))
    assert latest == by_name == market_pb.GetSnapshotResponse(snapshot_id=first, snapshot=snapshot)


async def test_history_comes_in_blocks_and_is_stored_as_one(rig):
    later = market_pb.ImportHistoryRequest(
        dates=[Date(year=2024, month=12, day=31), Date(year=2025, month=1, day=1)],
        columns=[market_pb.FactorColumn(factor_id="spot:BTC", levels=["49000", "49500"])],
    )
    answer = await rig.market.ImportHistory(iter([history_block(), later]))
    assert (answer.level_count, answer.factor_count) == (2 * DAY_COUNT + 1, 2)
    history = await rig.use_cases.market.load_history()
    assert history.levels[FactorId("spot", "BTC")][:2] == (D(49_000), D(49_500))
    assert history.levels[FactorId("zero", "USD", "1Y")][0] is None


async def test_margin_adds_up_and_says_what_it_depends_on(rig):
    snapshot_id = await publish_market(rig)
    await rig.collateral.Deposit(a_deposit("100000"))
    await rig.books.RecordTrades(a_batch(a_trade(quantity="1"), a_trade("BTC-USD-PERP", "1", "50000")))
    margin = await margin_of(rig, min_seq=3)
    equity, requirement = margin.equity, margin.requirement
    assert (margin.stamp.account, margin.stamp.as_of_seq, margin.stamp.snapshot_id) == (ALPHA, 3, snapshot_id)
    assert margin.stamp.parameter_set_id == "test-1"
    assert D(equity.equity) == D(equity.collateral) + D(equity.liabilities) + D(equity.contract_value)
    assert D(requirement.maintenance_margin) > 0
    assert D(margin.excess_to_initial) == D(equity.equity) - D(requirement.initial_margin)
    assert D(margin.excess_to_maintenance) == D(equity.equity) - D(requirement.maintenance_margin)
    assert abs(D(margin.utilization) - D(requirement.maintenance_margin) / D(equity.equity)) < D("1e-4")
    assert margin.band != margin_pb.BAND_UNSPECIFIED


async def test_an_explanation_is_of_the_same_margin_and_adds_up_to_it(rig):
    await publish_market(rig)
    await rig.collateral.Deposit(a_deposit("100000"))
    await rig.books.RecordTrades(a_batch(a_trade(quantity="1"), a_trade("BTC-USD-PERP", "1", "50000")))
    explained = await rig.margin.ExplainMargin(margin_pb.ExplainMarginRequest(account=ALPHA, min_seq=3))
    assert explained.margin == await margin_of(rig)
    contributions = [D(one.amount) for one in explained.contributions]
    assert sum(contributions) == D(explained.margin.requirement.maintenance_margin)
    assert contributions == sorted(contributions, key=abs, reverse=True)
    assert explained.groups[0].group_id == "BTC"
    losses = [D(one.pnl) for one in explained.worst_scenarios]
    assert 1 <= len(losses) <= 10
    assert losses == sorted(losses)
    assert sum(D(one.haircut) for one in explained.holdings) == D(explained.margin.equity.haircuts)
    assert explained.liquidation_distances[0].group_id == "BTC"
    assert explained.liquidation_distances[0].factor_kind == "spot"
    assert D(explained.worst_direction.pnl) < 0
    assert D(explained.requirement_interval.low) <= D(explained.requirement_interval.high)
    assert explained.scenarios.ordinary_count > 0


async def test_holdings_are_valued_as_margin_values_them(rig):
    snapshot_id = await publish_market(rig)
    await rig.collateral.Deposit(a_deposit("100000"))
    await rig.collateral.Deposit(a_deposit("2", request_id="coins", instrument_id="BTC"))
    policy = collateral_pb.SetPolicyRequest(
        request_id="p", account=ALPHA, instrument_id="BTC", policy=collateral_pb.COLLATERAL_POLICY_PLEDGED
    )
    pledged = collateral_pb.SetPolicyResponse(policy=collateral_pb.COLLATERAL_POLICY_PLEDGED, sequence=3)
    assert await rig.collateral.SetPolicy(policy) == pledged
    answer = await rig.collateral.ListHoldings(collateral_pb.ListHoldingsRequest(account=ALPHA, min_seq=3))
    assert [(one.instrument_id, one.policy) for one in answer.holdings] == [
        ("BTC", collateral_pb.COLLATERAL_POLICY_PLEDGED),
        ("USD", collateral_pb.COLLATERAL_POLICY_RISKED),
    ]
    assert (answer.as_of_seq, answer.snapshot_id) == (3, snapshot_id)
    coins = answer.holdings[0]
    assert (coins.quantity, coins.market_value, coins.haircut) == ("2", "100000", "20000")
    assert D(coins.value_in_equity) == D(coins.market_value) - D(coins.haircut) - D(coins.over_limit)
    assert [entry.kind for entry in await rig.entries()][-1] == books_pb.ENTRY_KIND_COLLATERAL_POLICY
    margin = await margin_of(rig)
    assert sum(D(one.value_in_equity) for one in answer.holdings) == D(margin.equity.collateral)


async def test_a_preview_says_before_and_after_and_stores_nothing(rig):
    await publish_market(rig)
    await rig.collateral.Deposit(a_deposit("100000"))
    await rig.books.RecordTrades(a_batch(a_trade("BTC-USD-PERP", "1", "50000")))
    now = await margin_of(rig)
    hedge = margin_pb.PreviewTradesRequest(account=ALPHA, trades=[a_trade("BTC-USD-PERP", "-1", "50000")])
    flat = await rig.margin.PreviewTrades(hedge)
    assert flat.before == now
    assert D(flat.after.requirement.maintenance_margin) == 0
    assert flat.acceptable
    many = margin_pb.PreviewTradesRequest(account=ALPHA, trades=[a_trade("BTC-USD-PERP", "100", "50000")])
    assert not (await rig.margin.PreviewTrades(many)).acceptable
    assert await margin_of(rig) == now
    assert len(await rig.entries()) == 2
