"""What is so small that a thread would take longer is sent to none, and whether it was changes nothing that anybody is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.identifiers import BookId
from crossmargin.domain.market_quality import Quality, Verdict
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.position import Position
from crossmargin.usecases import weigh_order
from crossmargin.usecases.asked_account import AskedAccount
from crossmargin.usecases.open_orders import EXACT_BLOCKS
from crossmargin.usecases.preview_trades import PreviewTrades
from crossmargin.usecases.weigh_order import is_small
from tests.unit.usecases.house import BTC, BTC_PERP, CORE, NOON, USD, perpetual_trade, spot_trade

MAIN = BookId("main")
ORDER = (Position(MAIN, BTC_PERP, Decimal(1), Decimal(60_000)),)


class BooksThatStand:
    """Books as the database's adapter reads them: the positions of an account that has not moved are the very same ones."""

    def __init__(self, books):
        self.books = books

    async def read_books(self, *_):
        return self.books


@pytest.fixture
async def known(house):
    """An account that was asked about twice, so that the view knows it as it stands."""
    await house.deposit("1000000")
    await house.trade("2")
    books = BooksThatStand(await house.ports.books.read_books(CORE))
    preview = PreviewTrades(books, house.ports.instruments, house.current_market, house.compute)
    for _ in range(2):
        await preview(CORE, [perpetual_trade("1")])
    return preview


async def asked_of(preview, house, trades):
    """What a preview says, and how often that took a thread and how often none."""
    before = house.compute.run_count, house.compute.small_count
    said = await preview(CORE, trades)
    return said, house.compute.run_count - before[0], house.compute.small_count - before[1]


async def test_an_account_that_stands_is_previewed_without_a_thread_and_told_the_same(house, known):
    wanted = ([perpetual_trade("3")], [spot_trade("0.5")], [])
    answers = [await asked_of(known, house, trades) for trades in wanted]
    assert [(on_thread, small) for _, on_thread, small in answers] == [(0, 1)] * 3
    await house.publish("60000")
    afresh = [await house.use_cases.preview_trades(CORE, trades) for trades in wanted]
    stamp = afresh[0].after.stamp
    assert [said.after for said, *_ in answers] != [said.before for said, *_ in answers]
    for (said, *_), again in zip(answers, afresh, strict=True):
        assert replace(said, before=replace(said.before, stamp=stamp), after=replace(said.after, stamp=stamp)) == again


async def test_an_account_that_nobody_has_asked_about_goes_to_a_thread(house):
    await house.deposit("1000000")
    books = BooksThatStand(await house.ports.books.read_books(CORE))
    preview = PreviewTrades(books, house.ports.instruments, house.current_market, house.compute)
    await house.current_market()
    _, on_thread, small = await asked_of(preview, house, [perpetual_trade("1")])
    assert (on_thread, small) == (1, 0)


async def test_what_is_much_goes_to_a_thread(house, known, monkeypatch):
    monkeypatch.setattr(weigh_order, "SMALL_EFFORT", 10)
    _, on_thread, small = await asked_of(known, house, [perpetual_trade("3")])
    assert (on_thread, small) == (1, 0)


async def test_each_block_of_open_orders_doubles_what_is_to_be_done(house, known, monkeypatch):
    view, state = await house.current_market(), known.books.books.states[CORE]
    effort = view.effort_with(state, {BTC_PERP})
    monkeypatch.setattr(weigh_order, "SMALL_EFFORT", 4 * effort)
    assert is_small(view, state, (ORDER,) * 2, ORDER)
    assert not is_small(view, state, (ORDER,) * 3, ORDER)
    monkeypatch.setattr(weigh_order, "SMALL_EFFORT", 10**12)
    assert is_small(view, state, (ORDER,) * EXACT_BLOCKS, ORDER)
    assert not is_small(view, state, (ORDER,) * (EXACT_BLOCKS + 1), ORDER)


async def test_assets_are_dearer_than_contracts(house, known):
    view, state = await house.current_market(), known.books.books.states[CORE]
    assert view.effort_with(state, {BTC_PERP, BTC}) > view.effort_with(state, {BTC_PERP}) > 0


async def test_what_is_not_known_as_it_stands_is_not_small(house, known):
    view, state = await house.current_market(), known.books.books.states[CORE]
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
