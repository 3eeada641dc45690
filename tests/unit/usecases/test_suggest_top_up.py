"""What is suggested does what it is said to do: once it is delivered, the house run and the margin call find it."""

from __future__ import annotations

from datetime import timedelta
from decimal import ROUND_CEILING, Decimal

import pytest

from crossmargin.app import store_shipped_parameters
from crossmargin.domain.account import Account, AccountMode
from crossmargin.domain.call_life import CallState
from crossmargin.domain.errors import Reason
from crossmargin.domain.identifiers import AccountId, AccountRef, InstrumentId
from crossmargin.domain.instrument import Cash, Instrument, Stablecoin
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.market_quality import Quality, Verdict
from crossmargin.domain.top_up import InventoryItem, ItemUse, TopUpGoal, TopUpTarget
from crossmargin.engine.house_view import house_view
from crossmargin.usecases.evaluate_margin import portfolio_of
from tests.unit.usecases.house import BITCOIN, BTC, CORE, DOLLARS, NOON, PERPETUAL, a_history
from tests.unit.usecases.refusals import refused
from tests.unit.usecases.test_review_calls import Monitor, fall_short

D = Decimal
RLUSD = InstrumentId("RLUSD")
COIN = Instrument(RLUSD, Stablecoin("USD", "Ripple"), 2, "REGULATED_STABLECOIN")
INITIAL = TopUpTarget(TopUpGoal.INITIAL_MARGIN)
CALL = TopUpTarget(TopUpGoal.OPEN_CALL)
SATELLITE = AccountRef(CORE.client_id, AccountId("second"))


def item(name, quantity, rate="0", **options):
    return InventoryItem(InstrumentId(name), D(quantity), D(rate), **options)


@pytest.fixture
async def house(empty_house):
    """The usual house with RLUSD beside the dollars."""
    house = empty_house
    await store_shipped_parameters(house.ports)
    for instrument in (DOLLARS, BITCOIN, PERPETUAL, COIN):
        await house.use_cases.create_instrument(instrument, caller=house.caller())
    await house.use_cases.import_history(a_history("spot:BTC", "spot:RLUSD"))
    await house.publish(spot_RLUSD="1")
    await house.open_account("core")
    return house


async def suggested(house, inventory, target=INITIAL, account=CORE):
    return await house.use_cases.suggest_top_up(account, inventory, target)


async def deliver(house, top_up):
    for line in top_up.lines:
        if line.quantity:
            await house.deposit(str(line.quantity), line.instrument_id, account=top_up.stamp.account)


async def run_house(house):
    """Find the totals over all accounts, as the monitor does, and return the margin of the account on them."""
    view = await house.current_market()
    accounts = [portfolio_of(await house.ports.books.account_state(ref)) for ref in await house.ports.books.account_sequences()]
    await house.ports.market.record_house_view(house_view(accounts, view.market, view.parameters), epoch=0)
    return await house.use_cases.evaluate_margin(CORE)


async def test_what_is_suggested_is_what_the_margin_is_once_it_was_delivered(house):
    await fall_short(house)
    top_up = await suggested(house, [item("USD", "500000", "0.05"), item("RLUSD", "5000", "0.01"), item("BTC", "0.1", "0.002")])
    assert top_up.reaches_target
    assert top_up.after.excess >= 0 > top_up.before.excess
    assert [line.use for line in top_up.lines] == [ItemUse.SPARE, ItemUse.EXHAUSTED, ItemUse.EXHAUSTED]
    assert top_up.words.startswith("deliver ")
    await deliver(house, top_up)
    result = await house.use_cases.evaluate_margin(CORE)
    assert (result.equity.equity, result.requirement.initial_margin) == (top_up.after.equity, top_up.after.initial_margin)
    again = await suggested(house, [item("USD", "1")])
    assert (again.missing_before, again.cost, again.words[:17]) == (0, 0, "nothing is needed")


async def test_the_cheapest_comes_first_and_no_more_of_anything_than_is_needed(house):
    await fall_short(house)
    missing = -(await house.use_cases.evaluate_margin(CORE)).excess_to_initial
    top_up = await suggested(house, [item("USD", "500000", "0.05"), item("RLUSD", "10000", "0.01")])
    dollars, coins = top_up.lines
    assert coins.quantity == 10_000
    assert coins.use is ItemUse.EXHAUSTED
    assert coins.value_in_equity == D("9800.00")
    # The coins are at risk as well, which takes a few dollars more.
    assert missing - 9_800 <= dollars.quantity < missing - 9_800 + 600
    assert top_up.cost == dollars.cost + 100
    assert top_up.least_cost <= top_up.cost <= top_up.least_cost * D("1.001")


async def test_what_is_missing_is_said_to_the_cent_when_all_of_it_is_not_enough(house):
    await fall_short(house)
    missing = -(await house.use_cases.evaluate_margin(CORE)).excess_to_initial
    top_up = await suggested(house, [item("USD", "10000.00")])
    assert not top_up.reaches_target
    assert top_up.missing == missing - 10_000
    reached = top_up.after.utilization.quantize(D("0.0001"), rounding=ROUND_CEILING)
    assert top_up.words == (
        f"the inventory is not enough: 10000 USD bring it to U = {reached}, and {missing - 10_000:,.2f} USD of value are missing"
    )


async def test_a_call_is_met_by_what_is_suggested_and_by_no_cent_less(house):
    monitor = Monitor(house)
    await fall_short(house)
    call = await monitor.look()
    await house.deposit("1000")
    top_up = await suggested(house, [item("RLUSD", "500000", "0.01"), item("USD", "5000", "0")], CALL)
    assert top_up.reaches_target
    assert f"call 1 of {call.amount:,.2f} USD is met" in top_up.words
    dollars = top_up.lines[1]
    assert (dollars.quantity, top_up.missing_before) == (5_000, call.amount - 1_000)
    coins = top_up.lines[0]
    assert coins.quantity == pytest.approx((call.amount - 6_000) / D("0.98"), abs=D("0.05"))
    await house.deposit("5000")
    await house.deposit(str(coins.quantity - 1), RLUSD)
    assert (await monitor.look()).state is CallState.PARTIALLY_MET
    await house.deposit("1", RLUSD)
    # The value of each delivery is cut to the cent when it is recognised, so two may lose one that one would not.
    met = await monitor.look()
    assert met.state is CallState.MET or met.outstanding <= D("0.02")


async def test_an_open_call_is_there_or_it_is_said_that_there_is_none(house):
    await fall_short(house)
    told = await refused(suggested(house, [item("USD", "1")], CALL), Reason.UNKNOWN_CALL)
    assert "no open margin call" in told.message
    monitor = Monitor(house)
    call = await monitor.look()
    await house.deposit(str(call.amount))
    await monitor.look()
    await refused(suggested(house, [item("USD", "1")], CALL), Reason.UNKNOWN_CALL)


async def test_limits_that_accounts_share_count_as_the_house_run_after_it_finds_them(house):
    """Half a million RLUSD in the other account use up a part of the owner's tiers and of the house's cap."""
    await fall_short(house)
    await house.use_cases.create_account(Account(SATELLITE, "Second", AccountMode.CROSS), caller=house.caller())
    await house.deposit("500000", BTC, account=SATELLITE)
    await run_house(house)
    top_up = await suggested(house, [item("BTC", "30000", "0.01")])
    await deliver(house, top_up)
    result = await run_house(house)
    assert result.equity.equity == top_up.after.equity
    assert result.requirement.initial_margin == top_up.after.initial_margin
    assert top_up.reaches_target == (result.excess_to_initial >= 0)


async def test_nothing_rests_on_a_price_that_is_stale(house):
    await fall_short(house)
    stale = Quality(Verdict.STALE, NOON, D("0.9"), D("1.1"))
    later = NOON + timedelta(minutes=5)
    levels = {FactorId.parse("spot:BTC"): D(60_000), FactorId.parse("spot:RLUSD"): D(1)}
    await house.use_cases.publish_snapshot(
        MarketSnapshot(later, levels, {}, level_quality={FactorId.parse("spot:RLUSD"): stale}), principal="feed"
    )
    top_up = await suggested(house, [item("RLUSD", "900000", "0"), item("USD", "900000", "0.01")])
    assert [line.use for line in top_up.lines] == [ItemUse.NO_VALUE, ItemUse.SPARE]
    assert (top_up.lines[0].quantity, top_up.reaches_target) == (0, True)


async def test_under_doubt_the_target_is_reached_at_the_least_favourable_end(house):
    await fall_short(house)
    doubt = Quality(Verdict.SUSPECT, NOON, D(57_000), D(60_000), candidate=D(57_000), candidate_at=NOON, ticks=1)
    later = NOON + timedelta(minutes=5)
    levels = {FactorId.parse("spot:BTC"): D(60_000), FactorId.parse("spot:RLUSD"): D(1)}
    await house.use_cases.publish_snapshot(
        MarketSnapshot(later, levels, {}, level_quality={FactorId.parse("spot:BTC"): doubt}), principal="feed"
    )
    for target in (INITIAL, TopUpTarget(TopUpGoal.UTILIZATION, D("0.5"))):
        top_up = await suggested(house, [item("USD", "900000", "0.01")], target)
        assert top_up.reaches_target
        assert top_up.after.excess > 20_000, "ten bitcoin may have lost 3,000 each, and need less for it"
        less = top_up.lines[0].quantity - 200
        short = await suggested(house, [item("USD", str(less), "0.01")], target)
        assert not short.reaches_target


async def test_an_inventory_that_is_none_is_refused(house):
    for inventory, reason in (
        ([], Reason.INVALID_ARGUMENT),
        ([item("USD", "1"), item("USD", "2")], Reason.INVALID_ARGUMENT),
        ([item("BTC-PERP", "1")], Reason.INVALID_INSTRUMENT),
        ([item("DOGE", "1")], Reason.UNKNOWN_INSTRUMENT),
        ([item("USD", "10", lot=D("0.001"))], Reason.INVALID_DECIMAL),
        ([item("USD", "1")] * 21, Reason.INVALID_ARGUMENT),
    ):
        await refused(suggested(house, inventory), reason)
    await refused(suggested(house, [item("USD", "1")], account=AccountRef(CORE.client_id, AccountId("none"))), Reason.UNKNOWN_ACCOUNT)
    waiting = house.use_cases.suggest_top_up(CORE, [item("USD", "1")], INITIAL, min_sequence=99)
    await refused(waiting, Reason.SEQUENCE_NOT_REACHED)


async def test_what_counts_nothing_is_named_and_not_delivered(house):
    await house.use_cases.create_instrument(Instrument(InstrumentId("CHF"), Cash("CHF"), 2), caller=house.caller())
    await fall_short(house)
    top_up = await suggested(
        house, [item("CHF", "100"), item("RLUSD", "100", lot=D(30), minimum_transfer=D(95)), item("USD", "900000", "0.01")]
    )
    assert [line.use for line in top_up.lines] == [ItemUse.NO_VALUE, ItemUse.BELOW_MINIMUM, ItemUse.SPARE]
