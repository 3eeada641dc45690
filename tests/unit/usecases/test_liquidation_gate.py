"""What stands in the way of a liquidation: where its plan would end to the digit, and what is not traded while its price is in doubt."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import CryptoAsset, Instrument, Payoff, Perpetual
from crossmargin.domain.liquidation import PlannedTrade
from crossmargin.domain.margin import Band
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.market_quality import Quality, Verdict
from crossmargin.domain.stress import StressStanding
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.liquidation_gate import PlanEnd, not_tradable, untradable
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
