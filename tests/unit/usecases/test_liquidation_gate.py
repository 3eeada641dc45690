"""What stands in the way of a liquidation: where its plan would end to the digit, and what is not traded while its price is in doubt."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import CryptoAsset, Instrument, Payoff, Perpetual
from crossmargin.domain.liquidation import PlannedTrade, after_trades
from crossmargin.domain.margin import Band
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.market_quality import Quality, Verdict
from crossmargin.domain.stress import StressStanding
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.liquidation_gate import PlanEnd, beyond_need, left_behind, not_tradable, untradable
from tests.unit.usecases.house import BTC, BTC_PERP, CORE, ETHER, NOON, USD, perpetual_trade

D = Decimal
INVERSE = Instrument(InstrumentId("BTC-INVERSE"), Perpetual(BTC, BTC, D(100), Payoff.INVERSE), 0)
TARGET = D("0.75")


def an_end(utilization, *, is_all_closed=False):
    standing = StressStanding(D(10), D(7), None if utilization is None else D(utilization), Band.AT_RISK)
    return PlanEnd(standing, is_all_closed, tolerance=D("0.02"))


@pytest.mark.parametrize(("utilization", "missed"), [("0.77", ""), ("0.770001", "at 0.770001"), ("0", ""), (None, "nowhere")])
def test_a_plan_may_end_above_its_target_by_the_tolerance_and_not_by_a_digit_more(utilization, missed):
    assert an_end(utilization).missed(TARGET) == missed
    assert an_end(utilization, is_all_closed=True).missed(TARGET) == "", "nothing betters what has closed everything"


async def seen(house, **snapshot):
    """The account at a market of which some levels and marks are in doubt."""
    levels = {FactorId.parse("spot:BTC"): D(60_000), FactorId.parse("spot:ETH"): D(3_000)}
    later = NOON + timedelta(minutes=1)
    await house.use_cases.publish_snapshot(MarketSnapshot(later, levels, **{"marks": {}, **snapshot}), principal="feed")
    view = await house.current_market()
    portfolio = portfolio_of(await house.ports.books.account_state(CORE))
    return portfolio, view, view.margin(portfolio)


def a_doubt(verdict, low, high):
    return Quality(verdict, NOON, D(low), D(high), ticks=9)


@pytest.fixture
async def mixed(house):
    """Contracts that settle in dollars and in coins, and a coin."""
    for instrument in (ETHER, INVERSE):
        await house.use_cases.create_instrument(instrument, caller=house.caller())
    await house.deposit("300000")
    await house.deposit("1", ETHER.instrument_id)
    inverse = replace(perpetual_trade("10"), instrument_id=INVERSE.instrument_id)
    await house.use_cases.record_trades(CORE, [perpetual_trade("1"), inverse], caller=house.caller())
    return house


@pytest.mark.parametrize(("verdict", "is_traded"), [(Verdict.STALE, False), (Verdict.MISSING, False), (Verdict.SUSPECT, True)], ids=str)
async def test_what_reads_a_level_that_is_stale_or_missing_is_not_traded(mixed, verdict, is_traded):
    doubt = {FactorId.parse("spot:BTC"): a_doubt(verdict, "59000", "61000")}
    found = not_tradable(*await seen(mixed, level_quality=doubt))
    assert found == (frozenset() if is_traded else {BTC, BTC_PERP, INVERSE.instrument_id})


async def test_what_has_a_stale_mark_of_its_own_is_not_traded_and_all_else_is(mixed):
    marks, doubt = {BTC_PERP: D(60_100)}, {BTC_PERP: a_doubt(Verdict.STALE, "59000", "61000")}
    assert not_tradable(*await seen(mixed, marks=marks, mark_quality=doubt)) == {BTC_PERP}


async def test_a_coin_that_contracts_leave_is_not_traded_while_its_mark_is_stale_though_none_is_held(mixed):
    marks, doubt = {BTC: D(60_100)}, {BTC: a_doubt(Verdict.STALE, "59000", "61000")}
    portfolio, view, result = await seen(mixed, marks=marks, mark_quality=doubt)
    assert BTC not in {holding.instrument_id for holding in portfolio.holdings}
    assert BTC in not_tradable(portfolio, view, result)


def a_trade(name):
    return PlannedTrade(InstrumentId(name), D(-1), None, D(1), D(1), D(0), D(0))


async def test_the_first_order_that_cannot_be_made_is_named(mixed):
    await mixed.use_cases.create_instrument(Instrument(InstrumentId("SOL"), CryptoAsset(), 8, "ETH"), caller=mixed.caller())
    doubt = {FactorId.parse("spot:BTC"): a_doubt(Verdict.STALE, "59000", "61000")}
    at = await seen(mixed, level_quality=doubt)
    assert untradable([a_trade("ETH"), a_trade("USD")], *at) == ""
    assert untradable([a_trade("ETH"), a_trade("BTC-PERP")], *at) == "trades BTC-PERP, whose price is stale or missing"
    assert untradable([a_trade("BTC-PERP"), a_trade("SOL")], *at) == "trades SOL, which this market does not value"
    valid = await seen(mixed)
    assert untradable([a_trade("BTC-PERP"), a_trade(USD)], *valid) == ""


def a_sale(quantity, *, cost="0"):
    return PlannedTrade(BTC_PERP, D(quantity), None, D(60_000), D(59_000), D(cost), D(0))


async def cut(house, dollars):
    """Three contracts against so many dollars, at a market that doubts nothing."""
    await house.deposit(dollars)
    await house.trade("3")
    return await seen(house)


async def test_trades_go_too_far_once_the_account_would_be_below_the_target_by_more_than_the_tolerance_without_one_unit_of_them(house):
    """The smallest sale that is refused ends beyond the tolerance without its last unit; the one before it does not."""
    portfolio, view, result = await cut(house, "20000")
    tolerance = view.parameters.liquidation.end_tolerance
    instruments = {each.instrument_id: each for each in view.market.instruments}

    def refused_at(units):
        return beyond_need([a_sale(D(-units) / 1000)], portfolio, view, result, target_utilization=TARGET)

    def ends_at(units):
        return view.margin(after_trades(portfolio, [a_sale(D(-units) / 1000)], instruments)).utilization

    first = bisect_left(range(3_001), True, lo=1, key=lambda units: bool(refused_at(units)))
    assert 100 < first < 3_000
    assert ends_at(first - 1) <= TARGET - tolerance < ends_at(first - 2)
    assert refused_at(first) == f"goes further than it must by now: with a unit less of everything it would end at {ends_at(first - 1)}"
    assert refused_at(1) == "", "a unit is as little as can be traded"


async def test_what_trades_are_expected_to_cost_is_needed_too(house):
    portfolio, view, result = await cut(house, "20000")
    assert beyond_need([a_sale("-2.5")], portfolio, view, result, target_utilization=TARGET)
    assert beyond_need([a_sale("-2.5", cost="10000")], portfolio, view, result, target_utilization=TARGET) == ""


async def test_all_is_needed_where_less_would_leave_a_higher_margin_than_there_is(house):
    """Money comes in and at once covers it, but the margin is not to rise."""
    portfolio, view, result = await cut(house, "500000")
    requirement = replace(result.requirement, maintenance_margin=D(1))
    assert beyond_need([a_sale("-1")], portfolio, view, result, target_utilization=TARGET)
    assert beyond_need([a_sale("-1")], portfolio, view, replace(result, requirement=requirement), target_utilization=TARGET) == ""


@pytest.mark.parametrize(
    ("quantity", "why"),
    [
        ("-3.001", "trades more of BTC-PERP than is held by now"),
        ("0.001", "trades more of BTC-PERP than is held by now"),
        ("-0.001", "would end at "),
        ("-3", "goes further than it must by now"),
    ],
)
async def test_what_is_left_of_a_plan_is_not_traded_once_it_would_turn_over_miss_or_go_too_far(house, quantity, why):
    found = left_behind([a_sale(quantity)], *await cut(house, "20000"), target_utilization=TARGET)
    assert found.startswith(why)
    if "end" in found:
        assert str(TARGET) in found


async def test_two_orders_of_one_contract_may_not_close_more_than_there_is_together(house):
    at = await cut(house, "20000")
    assert left_behind([a_sale("-2"), a_sale("-1.001")], *at, target_utilization=TARGET).startswith("trades more of BTC-PERP")
    assert "BTC-PERP" not in left_behind([a_sale("-2"), a_sale("-1")], *at, target_utilization=TARGET)
