"""Accounts that are asked about again are told what a margin that remembers nothing says, and take a bounded amount of memory."""

from __future__ import annotations

import pickle
from dataclasses import replace
from decimal import Decimal

import pytest

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, InstrumentId
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.position import Position, holdings_with
from crossmargin.engine import hot_account
from crossmargin.engine.methodologies.compute import compute_brief
from crossmargin.engine.revaluation import revalue_market
from crossmargin.usecases import hot_accounts
from crossmargin.usecases.asked_account import AskedAccount
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.hot_accounts import HotAccounts
from crossmargin.usecases.open_orders import worst_need
from tests.builders import a_portfolio
from tests.charge_books import a_market, parameters
from tests.unit.engine.test_market_ends import BOOK as VALUED
from tests.unit.engine.test_market_ends import RULES as VALUED_RULES
from tests.unit.engine.test_market_ends import SCENARIOS, doubted
from tests.unit.usecases.house import BTC_PERP, CORE

MARKET, RULES = a_market(), parameters()
MAIN = BookId("main")
ORDER = (Position(MAIN, InstrumentId("PERP"), Decimal(2), Decimal(200)),)
BOOK = a_portfolio({"USD": 1_000, "BTC": 3, "PERP": (-1, -100)}, policies={"BTC": CollateralPolicy.PLEDGED})


def with_order(portfolio, order=ORDER):
    return replace(portfolio, holdings=holdings_with(portfolio.holdings, order))


@pytest.fixture
def computed(monkeypatch):
    """How often a margin is made of parts."""
    made = []
    original = hot_account._margin_of
    monkeypatch.setattr(hot_account, "_margin_of", lambda account: made.append(account) or original(account))
    return made


def test_what_is_said_is_said_once_and_is_a_fresh_margin(computed):
    known = HotAccounts()
    for _ in range(3):
        assert known.margin_with(BOOK, ORDER, MARKET, RULES) == compute_brief(with_order(BOOK), MARKET, RULES)
    assert len(computed) == 1


@pytest.mark.parametrize(
    "other",
    [
        replace(BOOK, mode=AccountMode.ISOLATED),
        replace(BOOK, policies={InstrumentId("BTC"): CollateralPolicy.RISKED}),
        replace(BOOK, holdings=BOOK.holdings[1:]),
        replace(BOOK, sequence=9),
    ],
)
def test_another_portfolio_of_the_account_is_another(other):
    known = HotAccounts()
    known.margin_with(BOOK, ORDER, MARKET, RULES)
    assert known.margin_with(other, ORDER, MARKET, RULES) == compute_brief(with_order(other), MARKET, RULES)
    assert known.margin_with(BOOK, ORDER, MARKET, RULES) == compute_brief(with_order(BOOK), MARKET, RULES)
    assert len(known) == 1


@pytest.mark.parametrize(
    "searched",
    [replace(BOOK, policies={InstrumentId("BTC"): CollateralPolicy.AUTO}), replace(BOOK, methodology=Methodology.STANDARD_SCHEDULE)],
)
def test_what_cannot_be_made_of_parts_is_left_to_whoever_asks(searched):
    assert HotAccounts().margin_with(searched, ORDER, MARKET, RULES) is None


def test_a_holding_without_a_value_stands_in_nobodys_way_once_it_is_gone():
    """The account as it is cannot be margined; closing what has no value can, and is."""
    view = a_view()
    worthless = replace(BOOK, holdings=holdings_with(BOOK.holdings, [Position(MAIN, InstrumentId("GONE"), Decimal(1))]))
    with pytest.raises(DomainError) as refused:
        view.brief_margin_with(worthless, ())
    assert refused.value.reason is Reason.UNKNOWN_INSTRUMENT
    closed = view.brief_margin_with(worthless, (Position(MAIN, InstrumentId("GONE"), Decimal(-1)),))
    assert closed == compute_brief(BOOK, MARKET, RULES)


def test_accounts_asked_about_longest_ago_go_for_the_next():
    one = HotAccounts()
    one.margin_with(BOOK, (), MARKET, RULES)
    known = HotAccounts(most_bytes=2 * one.byte_count)
    accounts = [replace(BOOK, account=AccountRef(ClientId("alpha"), AccountId(f"a{number}"))) for number in range(4)]
    for account in (*accounts[:2], accounts[0], accounts[2]):
        known.margin_with(account, (), MARKET, RULES)
    assert len(known) == 2
    assert known.byte_count == 2 * one.byte_count
    assert [known.holdings_of(account.account, ()) for account in accounts[1:2]] == [()]


def test_results_of_one_account_are_bounded(computed):
    known = HotAccounts()
    orders = [(replace(ORDER[0], quantity=Decimal(number + 1)),) for number in range(hot_accounts.MOST_RESULTS + 1)]
    for order in (*orders, orders[-1], orders[0]):
        known.margin_with(BOOK, order, MARKET, RULES)
    assert len(computed) == len(orders) + 1, "the last is remembered and the first is not"


def test_an_account_as_it_stands_is_told_the_very_same_result_however_much_is_asked_between():
    known = HotAccounts()
    standing = known.margin_with(BOOK, (), MARKET, RULES)
    for number in range(2 * hot_accounts.MOST_RESULTS):
        known.margin_with(BOOK, (replace(ORDER[0], quantity=Decimal(number + 1)),), MARKET, RULES)
        assert known.margin_with(BOOK, (), MARKET, RULES) is standing
    later = replace(BOOK, sequence=9)
    moved_on = known.margin_with(later, (), MARKET, RULES)
    assert moved_on == replace(standing, stamp=replace(standing.stamp, sequence=9))
    assert known.margin_with(later, (), MARKET, RULES) is moved_on


def test_doubted_market_data_is_as_open_as_it_is_without_memory():
    snapshot = doubted(spot_BTC=("48000", "66000"))
    market = revalue_market(VALUED, snapshot, SCENARIOS, VALUED_RULES)
    views = [MarketView(snapshot, market, VALUED_RULES, 1) for _ in range(2)]
    held, order = a_portfolio({"USD": 100_000, "BTC": 2}), (Position(MAIN, BTC_PERP, Decimal(-1), Decimal(-60_000)),)
    found = views[0].brief_margin_with(held, order)
    assert [each.subject for each in found.quality.doubted] == ["spot:BTC"]
    assert found == views[1].brief_margin(with_order(held, order))


def test_a_ramp_between_parameter_sets_is_as_it_is_without_memory():
    earlier = parameters(short_option_fraction="0.5", rows={"BTC": {"minimum_rate_fraction": "0.9"}})
    views = [replace(a_view(), previous=a_view(earlier), fraction=Decimal("0.25")) for _ in range(2)]
    assert views[0].brief_margin_with(BOOK, ORDER) == views[1].brief_margin(with_order(BOOK)) != a_view().brief_margin(with_order(BOOK))


def test_in_another_process_it_begins_with_nothing():
    known = HotAccounts()
    known.margin_with(BOOK, ORDER, MARKET, RULES)
    again = pickle.loads(pickle.dumps(known))  # noqa: S301 - our own
    assert (len(known), len(again)) == (1, 0)
    assert again.margin_with(BOOK, ORDER, MARKET, RULES) == known.margin_with(BOOK, ORDER, MARKET, RULES)


async def test_positions_that_stand_are_netted_once(house):
    await house.publish()
    await house.deposit("1000000")
    view, state = await house.current_market(), await house.ports.books.account_state(CORE)
    for _ in range(2):
        worst_need(view, state, ())
    assert AskedAccount.of(view, state).held.holdings is AskedAccount.of(view, state).held.holdings


async def test_a_decision_begins_with_what_the_one_before_ended_with(house, computed):
    await house.publish()
    await house.deposit("1000000")
    view = await house.current_market()
    state = await house.ports.books.account_state(CORE)
    order = (Position(MAIN, BTC_PERP, Decimal(1), Decimal(60000)),)
    assert worst_need(view, state, (order,)) == worst_need(view, state, (), order)
    assert len(computed) == 2, "without the order, and with it"
    filled = replace(state, positions=(*state.positions, *order), head=replace(state.head, sequence=9))
    assert worst_need(view, filled, ()) == worst_need(await another(house), filled, ())
    assert view.brief_margin_with(portfolio_of(filled), ()).stamp.sequence == 9


async def test_another_market_begins_with_nothing(house):
    await house.publish()
    await house.deposit("1000000")
    view = await house.current_market()
    worst_need(view, await house.ports.books.account_state(CORE), ())
    assert len(view.hot) == 1
    assert len(replace(view, fraction=Decimal("0.5")).hot) == 0
    await house.publish("61000")
    assert len((await house.current_market()).hot) == 0


async def another(house):
    return replace(await house.current_market())


def a_view(rules=RULES):
    return MarketView(MarketSnapshot(MARKET.as_of, {}, {}), MARKET, rules, 1)
