"""The market is revalued once for everybody, and again when anything it is made of has changed."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from crossmargin.domain.errors import Reason
from crossmargin.domain.identifiers import AccountId, AccountRef
from crossmargin.domain.market import FactorHistory
from tests.unit.usecases.house import BITCOIN, CORE, DOLLARS, ETHER, EUROS, NOON, a_history
from tests.unit.usecases.refusals import refused

SCENARIOS_AND_REVALUATION = 2
REVALUATION_ONLY = 1
LAYING_OUT = 1
"""Of instruments that were not known before."""


async def build_count(house, *, callers: int = 1) -> int:
    """How much work on the compute pool it takes to answer so many callers at once; all of them get one view."""
    before = house.compute.run_count
    views = await asyncio.gather(*(house.current_market() for _ in range(callers)))
    assert len({id(view) for view in views}) == 1
    return house.compute.run_count - before


async def test_concurrent_callers_share_one_revaluation(house):
    assert await build_count(house, callers=10) == LAYING_OUT + SCENARIOS_AND_REVALUATION


async def test_what_has_not_changed_is_not_revalued(house):
    await build_count(house)
    assert await build_count(house, callers=3) == 0


async def test_trades_deposits_and_clients_do_not_change_the_market(house):
    await build_count(house)
    await house.deposit("1000")
    await house.trade("1")
    await house.open_account("second")
    assert await build_count(house) == 0


async def test_a_new_snapshot_is_revalued_under_the_scenarios_there_are(house):
    first = await house.current_market()
    snapshot = await house.publish("61000", at=NOON + timedelta(seconds=1))
    assert await build_count(house, callers=3) == REVALUATION_ONLY
    second = await house.current_market()
    assert second.market.snapshot_id == snapshot.snapshot_id != first.market.snapshot_id
    assert second.market.scenarios is first.market.scenarios


async def test_instruments_are_read_again_when_one_was_created_and_not_with_every_snapshot(house, monkeypatch):
    await build_count(house)
    asked, listed = [], house.current_market.instruments.list_instruments

    async def counted(page):
        asked.append(page)
        return await listed(page)

    monkeypatch.setattr(house.current_market.instruments, "list_instruments", counted)
    for place in range(3):
        await house.publish("61000", at=NOON + timedelta(seconds=1 + place))
        await build_count(house)
    assert asked == []
    await house.use_cases.create_instrument(EUROS, caller=house.caller())
    await build_count(house)
    assert len(asked) == 1


async def test_a_late_snapshot_of_an_earlier_moment_changes_nothing(house):
    await build_count(house)
    await house.publish("1", at=NOON - timedelta(seconds=1))
    assert await build_count(house) == 0


async def test_a_new_instrument_is_in_the_next_view(house):
    first = await house.current_market()
    await house.use_cases.create_instrument(EUROS, caller=house.caller())
    assert await build_count(house) == LAYING_OUT + REVALUATION_ONLY
    second = await house.current_market()
    assert "EUR" not in first.market.row_of | dict(first.market.unavailable)
    assert second.market.unavailable[EUROS.instrument_id].reason is Reason.MISSING_RISK_FACTOR


async def test_an_instrument_on_another_factor_needs_new_scenarios(house):
    await house.publish(spot_ETH="3000", at=NOON + timedelta(seconds=1))
    await build_count(house)
    await house.use_cases.create_instrument(ETHER, caller=house.caller())
    assert await build_count(house) == LAYING_OUT + SCENARIOS_AND_REVALUATION
    assert "ETH" in (await house.current_market()).market.row_of


async def test_new_history_makes_new_scenarios(house):
    first = await house.current_market()
    await house.use_cases.import_history(a_history("spot:BTC", seed=1))
    assert await build_count(house, callers=3) == SCENARIOS_AND_REVALUATION
    second = await house.current_market()
    assert second.market.scenarios.content_hash != first.market.scenarios.content_hash


async def test_new_parameters_make_new_scenarios_and_are_in_the_view(house):
    await build_count(house)
    await house.adopt("standard-2")
    assert await build_count(house) == SCENARIOS_AND_REVALUATION
    assert (await house.current_market()).parameters.set_id == "standard-2"


async def test_all_instruments_are_revalued_however_many_pages_they_fill(house, monkeypatch):
    monkeypatch.setattr("crossmargin.usecases.current_market._PAGE_SIZE", 1)
    view = await house.current_market()
    assert [instrument.instrument_id for instrument in view.market.instruments] == ["BTC", "BTC-PERP", "USD"]


async def test_a_failed_revaluation_is_tried_again_by_the_next_caller(empty_house):
    house = empty_house
    for instrument in (DOLLARS, BITCOIN):
        await house.use_cases.create_instrument(instrument, caller=house.caller())
    await refused(house.current_market(), Reason.NO_MARKET_SNAPSHOT)
    await house.publish()
    await refused(house.current_market(), Reason.NO_RISK_PARAMETERS)


async def test_a_market_without_enough_history_says_so_until_it_is_imported(house):
    house.database.history.clear()
    house.database.history_version += 1
    await house.use_cases.import_history(a_history("spot:BTC", days=20))
    await refused(house.current_market(), Reason.INSUFFICIENT_HISTORY)
    await house.use_cases.import_history(a_history("spot:BTC"))
    assert "BTC" in (await house.current_market()).market.row_of


async def test_without_any_history_the_reason_is_told(house):
    house.database.history.clear()
    house.database.history_version += 1
    await house.use_cases.import_history(FactorHistory((), {}))
    await refused(house.current_market(), Reason.INSUFFICIENT_HISTORY)


@pytest.mark.parametrize("account", ["core", "stranger"])
async def test_an_unknown_account_is_refused_before_the_market_is_looked_at(empty_house, account):
    ref = AccountRef(CORE.client_id, AccountId(account))
    await refused(empty_house.use_cases.evaluate_margin(ref), Reason.UNKNOWN_ACCOUNT)
    assert empty_house.compute.run_count == 0
