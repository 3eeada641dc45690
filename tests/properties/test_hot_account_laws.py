"""A margin made of remembered parts is the margin that remembers nothing, to the last bit, whatever changes."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import BookId, InstrumentId
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.position import Holding, Position, holdings_with
from crossmargin.engine.account_parts.group_part import GroupPart
from crossmargin.engine.hot_account import HotAccount, hot_account
from crossmargin.engine.methodologies.compute import compute_brief
from crossmargin.engine.portfolio_arrays import haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.portfolio_margin import margin_figures
from crossmargin.engine.revaluation.valuation import BasisKind
from tests.benchmarks.houses import a_market as a_large_market
from tests.benchmarks.houses import an_account, parameters_of_the_house
from tests.builders import (
    Revalued,
    a_portfolio,
    a_revalued_market,
    cash,
    coin,
    fx_forward,
    perpetual,
    stablecoin,
)
from tests.charge_books import issuers, parameters

D = Decimal
MAIN = BookId("main")
SCENARIOS = 60
LARGE = {"spread_fraction": "0.004", "average_daily_volume": "5000", "minimum_rate_fraction": "0.2"}
RULES = parameters(
    rows=dict.fromkeys(("BTC", "ETH", "XRP", "USDC", "RLUSD"), LARGE),
    beside={"offset_within_class": "0.6", "offset_across_classes": "0.3"},
    basis={
        "perpetual_fraction": "0.01",
        "dated_fraction": "0.015",
        "stablecoin_tiers": [{"up_to": "5000", "charge_fraction": "0.02"}, {"up_to": None, "charge_fraction": "0.03"}],
    },
    short_option_fraction="0.01",
    depeg={"haircut_slope": "4", "ineligible_price": "0.95"},
    schedule_floor={
        "floor_fraction": "0.5",
        "in_scope": ["FX_FORWARD"],
        "rates": {name: [{"up_to_years": None, "rate_fraction": "0.1"}] for name in ("CRYPTO", "FX", "FIXED_INCOME")},
    },
    issuers=issuers(),
)


def a_market(seed: int = 5, *, usdc_counts_at: float = 1.0):
    """Every kind of leg: one group and two, costs in money, in a coin of another group and in the contract's own group, options."""
    random = np.random.default_rng(seed)
    moves = {name: 0.05 * random.standard_t(4, SCENARIOS) for name in ("BTC", "ETH", "XRP", "USDC", "RLUSD", "EURUSD")}

    def of(group, value):
        return (value * (moves[group] + 0.01 * random.standard_normal(SCENARIOS))).tolist()

    coins = [
        Revalued(coin("BTC"), 100.0, {"BTC": of("BTC", 100.0)}),
        Revalued(coin("ETH"), 50.0, {"ETH": of("ETH", 50.0)}),
        Revalued(coin("XRP", collateral_class="ALT"), 2.0, {"XRP": of("XRP", 2.0)}, issuer_pnl=[{"XRP": -1.0}]),
        Revalued(stablecoin("USDC", collateral_class="STABLE"), 1.0, {"USDC": of("USDC", 0.1)}, used_fraction=usdc_counts_at),
        Revalued(stablecoin("RLUSD", collateral_class="STABLE"), 0.97, {"RLUSD": of("RLUSD", 0.1)}, issuer_pnl=[{"RLUSD": -0.12}]),
        Revalued(cash("EUR", collateral_class="G10-CASH"), 1.1, {"EURUSD": of("EURUSD", 1.1)}, translation_days=2.5),
    ]
    contracts = [
        Revalued(perpetual("PERP"), 100.0, {"BTC": of("BTC", 100.0)}, basis=BasisKind.PERPETUAL),
        Revalued(perpetual("FUTURE"), 100.0, {"BTC": of("BTC", 100.0)}, basis=BasisKind.DATED),
        Revalued(perpetual("ETH-PERP", underlying="ETH"), 50.0, {"ETH": of("ETH", 50.0)}, basis=BasisKind.PERPETUAL),
        Revalued(perpetual("ETH-IN-BTC", underlying="ETH", settlement="BTC"), 50.0, {"ETH": of("ETH", 50.0)}),
        Revalued(perpetual("PERP-IN-BTC", settlement="BTC"), 100.0, {"BTC": of("BTC", 200.0)}, basis=BasisKind.PERPETUAL),
        Revalued(
            perpetual("PERP-USDC", settlement="USDC"),
            100.0,
            {"BTC": of("BTC", 100.0), "USDC": of("USDC", 10.0)},
            exposure={"BTC": 100.0, "USDC": 100.0},
            basis=BasisKind.PERPETUAL,
        ),
        Revalued(perpetual("CALL"), 3.0, {"BTC": of("BTC", 30.0)}, exposure={"BTC": 40.0}, notional=100.0, is_option=True),
        Revalued(perpetual("ETH-CALL", underlying="ETH"), 3.0, {"ETH": of("ETH", 20.0)}, notional=50.0, is_option=True),
        Revalued(fx_forward("FORWARD"), 0.05, {"EURUSD": of("EURUSD", 1.1)}, residual_years=1.0, notional=1.1),
        Revalued(fx_forward("FORWARD-2"), 0.05, {"EURUSD": of("EURUSD", 1.1)}, residual_years=2.0, notional=1.1),
    ]
    return a_revalued_market(*coins, *contracts, groups=dict.fromkeys(("BTC", "ETH", "RLUSD", "USDC", "XRP"), "CRYPTO") | {"EURUSD": "FX"})


MARKET, SLOWED = a_market(), a_market(usdc_counts_at=0.98)
NAMES = [instrument.instrument_id for instrument in MARKET.instruments]
ASSETS = [instrument.instrument_id for instrument in MARKET.instruments if instrument.is_asset]
CONTRACTS = [name for name in NAMES if name not in ASSETS]
LARGE_MARKET, LARGE_RULES = a_large_market(1_500, 40), parameters_of_the_house()

quantities = st.decimals(-1000, 1000, places=3)
costs = st.sampled_from([D(0), D("12.5"), D(-700), D(40_000)])


@st.composite
def changes(draw, names=tuple(NAMES)):
    name = draw(st.sampled_from(names))
    return Position(MAIN, name, draw(quantities), draw(costs) if name in CONTRACTS else D(0))


@st.composite
def books(draw):
    held = holdings_with((), draw(st.lists(changes(), max_size=9)))
    policies = draw(st.dictionaries(st.sampled_from(ASSETS), st.sampled_from([CollateralPolicy.RISKED, CollateralPolicy.PLEDGED])))
    book = replace(a_portfolio({}, mode=draw(st.sampled_from(AccountMode))), holdings=held)
    return replace(book, policies={"USD": draw(st.sampled_from(CollateralPolicy))} | policies)


@st.composite
def legs_of_trades(draw, book):
    """Changes of one or several legs: some new, some of what is held, some that close it."""
    wanted = draw(st.lists(changes(), min_size=1, max_size=3))
    for holding in book.holdings:
        if draw(st.integers(0, 5)) == 0:
            wanted.append(Position(MAIN, holding.instrument_id, -holding.quantity, -holding.cost))
    return wanted


@settings(max_examples=120, deadline=None)
@given(st.booleans(), books(), st.data())
def test_a_change_to_a_remembered_account_is_a_fresh_margin_of_what_it_makes(is_slowed, book, data):
    """New instruments and known ones, closed positions, several legs, new groups, other currencies, isolated accounts."""
    market = SLOWED if is_slowed else MARKET
    remembered = hot_account(book, market, RULES)
    if remembered is None:
        event("has to be searched for")
        return
    assert remembered.margin() == compute_brief(book, market, RULES)
    wanted = data.draw(legs_of_trades(book))
    after = replace(book, holdings=holdings_with(book.holdings, wanted))
    found = remembered.margin_with(wanted)
    if found is None:
        assert hot_account(after, market, RULES) is None
        return
    event("made of parts")
    assert found == compute_brief(after, market, RULES)
    moved = remembered.moved_to(after)
    assert moved is not None
    assert_same_bits(moved, after, market, RULES)
    again = data.draw(legs_of_trades(after))
    last = replace(after, holdings=holdings_with(after.holdings, again))
    onward = moved.margin_with(again)
    assert onward is None or onward == compute_brief(last, market, RULES)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 5), st.data())
def test_large_groups_are_added_up_of_the_same_blocks(seed, data):
    """Of 60 groups with 25 instruments each none has blocks, so all are held in one group of 1,500."""
    market = replace(
        LARGE_MARKET, leg_group=np.zeros_like(LARGE_MARKET.leg_group), instrument_group=np.zeros_like(LARGE_MARKET.instrument_group)
    )
    account = an_account(seed, 130 + 60 * seed, market)
    remembered = hot_account(account, market, LARGE_RULES)
    assert len(remembered.groups.profits[0].blocks) > 1
    names = data.draw(st.lists(st.sampled_from([each.instrument_id for each in market.instruments]), min_size=1, max_size=3))
    wanted = [Position(MAIN, name, data.draw(quantities), D(0)) for name in names]
    gone = data.draw(st.lists(st.sampled_from(account.holdings), max_size=2, unique=True))
    wanted += [Position(MAIN, each.instrument_id, -each.quantity, -each.cost) for each in gone]
    after = replace(account, holdings=holdings_with(account.holdings, wanted))
    assert_same_bits(remembered.moved_to(after), after, market, LARGE_RULES)


def test_a_group_that_gains_a_block_is_added_up_anew():
    market = replace(
        LARGE_MARKET, leg_group=np.zeros_like(LARGE_MARKET.leg_group), instrument_group=np.zeros_like(LARGE_MARKET.instrument_group)
    )
    account = an_account(1, 128, market)
    remembered = hot_account(account, market, LARGE_RULES)
    held = {holding.instrument_id for holding in account.holdings}
    new = next(each.instrument_id for each in market.instruments if each.instrument_id not in held)
    after = replace(account, holdings=holdings_with(account.holdings, [Position(MAIN, new, D(3), D(300))]))
    moved = remembered.moved_to(after)
    assert (remembered.groups.profits[0].block_count, moved.groups.profits[0].block_count) == (2, 4)
    assert_same_bits(moved, after, market, LARGE_RULES)


def test_a_change_of_one_instrument_leaves_the_arrays_of_other_groups_as_they_are():
    account = an_account(3, 100, LARGE_MARKET)
    remembered = hot_account(account, LARGE_MARKET, LARGE_RULES)
    first = account.holdings[0]
    moved = remembered.moved_to(replace(account, holdings=(replace(first, quantity=first.quantity + 1), *account.holdings[1:])))
    touched = LARGE_MARKET.instrument_group[LARGE_MARKET.row_of[first.instrument_id]]
    assert all(moved.groups.profits[group] is remembered.groups.profits[group] for group in remembered.groups.profits if group != touched)
    assert moved.groups.profits[touched] is not remembered.groups.profits[touched]


def test_an_instrument_without_a_value_is_refused_as_a_fresh_margin_refuses_it():
    remembered = hot_account(a_portfolio({"USD": 100}), MARKET, RULES)
    change = Position(MAIN, InstrumentId("NO-SUCH"), D(1))
    with pytest.raises(DomainError) as refused:
        remembered.margin_with([change])
    with pytest.raises(DomainError) as fresh:
        compute_brief(replace(a_portfolio({"USD": 100}), holdings=(Holding(InstrumentId("NO-SUCH"), D(1), D(0)),)), MARKET, RULES)
    assert (refused.value.reason, str(refused.value)) == (Reason.UNKNOWN_INSTRUMENT, str(fresh.value))


@pytest.mark.parametrize(
    "portfolio",
    [
        a_portfolio({"BTC": 1}, policies={"BTC": CollateralPolicy.AUTO}),
        replace(a_portfolio({"BTC": 1}), methodology=Methodology.SPAN_GRID),
        replace(a_portfolio({"BTC": 1}), risked_fractions={InstrumentId("BTC"): D("0.5")}),
    ],
)
def test_what_depends_on_everything_at_once_is_not_taken_apart(portfolio):
    assert hot_account(portfolio, MARKET, RULES) is None


def assert_same_bits(remembered: HotAccount, portfolio, market, rules):
    """Not the rounded result alone: every float that it is made of."""
    fresh = hot_account(portfolio, market, rules)
    assert remembered.margin() == fresh.margin() == compute_brief(portfolio, market, rules)
    assert bits_of(remembered.groups) == bits_of(fresh.groups)
    for name in ("row", "quantity", "value", "gross"):
        assert getattr(remembered.contracts, name).tobytes() == getattr(fresh.contracts, name).tobytes()
    arrays = portfolio_arrays(portfolio, market, rules.default_policy)
    figures = margin_figures(arrays, market, margin_rates(rules, portfolio.mode), haircut_rates(rules), is_explained=False)
    groups = remembered.groups
    assert groups.account_pnl.tobytes() == figures.netted.account_pnl.tobytes()
    assert groups.requirement[: len(groups.groups)].tobytes() == figures.group_requirement.tobytes()
    assert groups.charged.net.tobytes() == figures.exposures.net.tobytes()
    assert float(groups.alone.sum()) == figures.gross


def bits_of(part: GroupPart):
    matched = part.charged.matched
    arrays = [part.groups, part.classes, part.alone, part.losses, part.account_pnl, part.charged.net, part.charged.gross]
    arrays += [part.charged.short_notional, part.charged.joint, matched.carry, matched.quoted, matched.coin, matched.coin_net]
    profits = [
        (group, each.block_count, [(number, pnl.tobytes()) for number, pnl in each.blocks.items()], each.total.tobytes())
        for group, each in part.profits.items()
    ]
    entries = [(group, each.key.tobytes(), each.quantity.tobytes(), each.whole.tobytes()) for group, each in sorted(part.entries.items())]
    return [each.tobytes() for each in arrays], profits, entries, [(row, pnl.tobytes()) for row, pnl in part.class_pnl.items()]
