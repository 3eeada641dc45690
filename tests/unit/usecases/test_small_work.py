"""What is so small that a thread would take longer is sent to none, and whether it was changes nothing that anybody is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.adapters.memory import books as memory_books
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.identifiers import BookId
from crossmargin.domain.market_quality import Quality, Verdict
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.position import Position
from crossmargin.domain.reservation import Order, ReservationKind
from crossmargin.usecases import weigh_order
from crossmargin.usecases.asked_account import AskedAccount
from crossmargin.usecases.open_orders import EXACT_BLOCKS
from crossmargin.usecases.weigh_order import is_small
from tests.unit.usecases.house import BTC, BTC_PERP, CORE, NOON, USD, perpetual_trade, spot_trade

MAIN = BookId("main")
ORDER = (Position(MAIN, BTC_PERP, Decimal(1), Decimal(60_000)),)


@pytest.fixture
def standing_positions(monkeypatch):
    """Books as PostgreSQL's adapter reads them: the positions of an account that has not moved are the very same ones."""
    kept, original = {}, memory_books._state_of

    def state_of(contents, ref):
        state = original(contents, ref)
        return replace(state, positions=kept.setdefault((ref, state.positions), state.positions))

    monkeypatch.setattr(memory_books, "_state_of", state_of)


@pytest.fixture
async def known(standing_positions, house):
    """The state of an account that was asked about twice, so that the view knows it as it stands."""
    await house.deposit("1000000")
    await house.trade("2")
    for _ in range(2):
        await house.use_cases.preview_trades(CORE, [perpetual_trade("1")])
    return await house.ports.books.account_state(CORE)


async def asked_of(house, trades):
    """What a preview says, and how often that took a thread and how often none."""
    before = house.compute.run_count, house.compute.small_count
    said = await house.use_cases.preview_trades(CORE, trades)
    return said, house.compute.run_count - before[0], house.compute.small_count - before[1]


async def test_an_account_that_stands_is_previewed_without_a_thread_and_told_the_same(house, known):
    wanted = ([perpetual_trade("3")], [spot_trade("0.5")], [])
    answers = [await asked_of(house, trades) for trades in wanted]
    assert [(on_thread, small) for _, on_thread, small in answers] == [(0, 1)] * 3
    await house.publish("60000")
    afresh = [await house.use_cases.preview_trades(CORE, trades) for trades in wanted]
    stamp = afresh[0].after.stamp
    assert [said.after for said, *_ in answers] != [said.before for said, *_ in answers]
    for (said, *_), again in zip(answers, afresh, strict=True):
        assert replace(said, before=replace(said.before, stamp=stamp), after=replace(said.after, stamp=stamp)) == again


async def test_an_account_that_nobody_has_asked_about_goes_to_a_thread(standing_positions, house):
    await house.deposit("1000000")
    await house.current_market()
    _, on_thread, small = await asked_of(house, [perpetual_trade("1")])
    assert (on_thread, small) == (1, 0)


async def test_an_order_is_weighed_without_a_thread_too_unless_limits_are_held_against_it(house, known):
    async def reserve():
        order = Order(CORE, MAIN, BTC_PERP, Decimal(1), Decimal(60_000), ReservationKind.RESTING, timedelta(minutes=1))
        before = house.compute.run_count, house.compute.small_count
        reserved = await house.use_cases.reserve_margin(order, caller=house.caller())
        return reserved, house.compute.run_count - before[0], house.compute.small_count - before[1]

    reserved, on_thread, small = await reserve()
    assert (on_thread, small) == (0, 1)
    assert reserved.after == (await house.use_cases.preview_trades(CORE, [])).need_after
    await house.limit(ExposureLimits(CORE.client_id, CORE.account_id, gross=Decimal(10**9)))
    _, on_thread, small = await reserve()
    assert (on_thread, small) == (1, 0)


async def test_work_is_named_after_who_asked_for_it_wherever_it_is_done(house, known, monkeypatch):
    asked = Order(CORE, MAIN, BTC_PERP, Decimal(1), Decimal(60_000), ReservationKind.RESTING, timedelta(minutes=1))
    for effort in (weigh_order.SMALL_EFFORT, 0):
        monkeypatch.setattr(weigh_order, "SMALL_EFFORT", effort)
        house.compute.stages.clear()
        await house.use_cases.preview_trades(CORE, [perpetual_trade("1")])
        await house.use_cases.reserve_margin(asked, caller=house.caller())
        assert house.compute.stages == ["preview_trades", "reserve_margin"]


async def test_what_is_much_goes_to_a_thread(house, known, monkeypatch):
    monkeypatch.setattr(weigh_order, "SMALL_EFFORT", 10)
    _, on_thread, small = await asked_of(house, [perpetual_trade("3")])
    assert (on_thread, small) == (1, 0)


async def test_each_block_of_open_orders_doubles_what_is_to_be_done(house, known, monkeypatch):
    view, state = await house.current_market(), known
    effort = view.effort_with(state, {BTC_PERP})
    monkeypatch.setattr(weigh_order, "SMALL_EFFORT", 4 * effort)
    assert is_small(view, state, (ORDER,) * 2, ORDER)
    assert not is_small(view, state, (ORDER,) * 3, ORDER)
    monkeypatch.setattr(weigh_order, "SMALL_EFFORT", 10**12)
    assert is_small(view, state, (ORDER,) * EXACT_BLOCKS, ORDER)
    assert not is_small(view, state, (ORDER,) * (EXACT_BLOCKS + 1), ORDER)


async def test_assets_are_dearer_than_contracts(house, known):
    view, state = await house.current_market(), known
    assert view.effort_with(state, {BTC_PERP, BTC}) > view.effort_with(state, {BTC_PERP}) > 0


async def test_what_is_not_known_as_it_stands_is_not_small(house, known):
    view, state = await house.current_market(), known
    assert is_small(view, state, (), ORDER)
    others = [
        replace(state, positions=(*state.positions, *ORDER)),
        replace(state, policies={USD: CollateralPolicy.PLEDGED}),
        replace(state, account=replace(state.account, methodology=Methodology.STANDARD_SCHEDULE)),
    ]
    assert not any(is_small(view, other, (), ORDER) for other in others)
    doubt = Quality(Verdict.STALE, NOON, Decimal(59_000), Decimal(61_000))
    await house.publish("60000", at=NOON + timedelta(minutes=2), doubt=doubt)
    doubted = await house.current_market()
    for more in (doubted, replace(view, previous=view)):
        for _ in range(2):
            more.hot.margin_with(AskedAccount.of(more, state).held, (), more.market, more.parameters)
        assert more.hot.effort_with(state, {BTC_PERP}) is not None
        assert not is_small(more, state, (), ORDER), "both ends are looked at, or both parameter sets"
