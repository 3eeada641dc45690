"""A margin without explanation is the explained one in every figure, to the last bit, and changes add to holdings as entries do."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.identifiers import BookId, InstrumentId
from crossmargin.domain.position import Position, holdings_with, net_holdings
from crossmargin.engine.methodologies.compute import compute, compute_brief
from tests.builders import Revalued, a_portfolio, a_revalued_market, coin, perpetual, risk_parameters

PRICES = {"BTC-PERP": 100.0, "ETH-PERP": 50.0}
moves = st.lists(st.floats(-0.4, 0.4), min_size=8, max_size=8)
amounts = st.decimals(-1000, 1000, places=3)
positions = st.lists(
    st.builds(
        Position,
        st.sampled_from([BookId("main"), BookId("other")]),
        st.sampled_from([InstrumentId(name) for name in ("BTC", "ETH", "USD", "XRP")]),
        amounts,
        st.sampled_from([Decimal(0), Decimal("12.5"), Decimal("-12.5")]),
    ),
    max_size=8,
)


@st.composite
def markets(draw):
    perpetuals = (
        Revalued(perpetual(name, underlying=name[:3]), price, {name[:3]: [price * move for move in draw(moves)]})
        for name, price in PRICES.items()
    )
    held = Revalued(coin("BTC"), 100.0, {"BTC": [100 * move for move in draw(moves)]})
    return a_revalued_market(*perpetuals, held, groups={"BTC": "CRYPTO", "ETH": "CRYPTO"})


@settings(max_examples=40)
@given(
    market=markets(),
    contracts=st.tuples(amounts, amounts),
    coins=st.decimals(0, 100, places=3),
    policy=st.sampled_from(CollateralPolicy),
    mode=st.sampled_from(AccountMode),
)
def test_leaving_the_explanation_out_changes_no_figure(market, contracts, coins, policy, mode):
    held = {name: (units, units * 100) for name, units in zip(PRICES, contracts, strict=True)} | {"USD": 5_000, "BTC": coins}
    portfolio = replace(a_portfolio(held, mode=mode), policies={InstrumentId("BTC"): policy})
    parameters = risk_parameters(tail_fraction="0.25")
    full = compute(portfolio, market, parameters)
    assert compute_brief(portfolio, market, parameters) == replace(full, groups=(), contributions=(), worst_scenarios=())


@given(held=positions, changes=positions)
def test_changes_on_top_of_holdings_are_what_all_positions_net_to(held, changes):
    assert holdings_with(net_holdings(held), changes) == net_holdings([*held, *changes])
