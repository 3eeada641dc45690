"""What the calculators of the methodology say, the engine says as well: AUTO, slow prices, and what accounts share."""

from __future__ import annotations

import doctest
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from crossmargin.adapters.runtime.standard_parameters import standard_parameters
from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.house import NO_HOUSE, HouseView
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Stablecoin
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.market_building import followed_pegs
from crossmargin.engine.portfolio_margin import compute_margin
from crossmargin.engine.revaluation import revalue_market
from tests.builders import ACCOUNT, a_portfolio, an_instrument, cash, coin
from tests.charge_books import a_market, parameters
from tests.unit.engine.revaluation.markets import scenarios

PAGE = Path(__file__).resolve().parents[3] / "service" / "docs" / "methodology.md"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
D = Decimal
BTC, RLUSD = InstrumentId("BTC"), InstrumentId("RLUSD")
ASSETS = [
    cash("USD"),
    coin("BTC"),
    an_instrument("RLUSD", Stablecoin("USD", "Ripple"), collateral_class="REGULATED_STABLECOIN"),
    an_instrument("USDC", Stablecoin("USD", "Circle"), collateral_class="REGULATED_STABLECOIN"),
]


@pytest.fixture(scope="module")
def page():
    """Everything that the calculators of the page define, in the order of the page."""
    names: dict[str, object] = {}
    for example in doctest.DocTestParser().get_examples(PAGE.read_text(encoding="utf-8")):
        exec(compile(example.source, str(PAGE), "single"), names)  # noqa: S102 - the page is ours
    return names


def revalued(snapshot):
    return revalue_market(ASSETS, snapshot, scenarios(snapshot, {}), standard_parameters())


def a_snapshot(at=NOON, **levels):
    named = {"BTC": "100000", "RLUSD": "1", "USDC": "1"} | levels
    return MarketSnapshot(at, {FactorId.parse(f"spot:{name}"): D(level) for name, level in named.items()}, {})


def margin(held, snapshot=None, *, policy=CollateralPolicy.PLEDGED, house=NO_HOUSE, mode=AccountMode.CROSS):
    portfolio = a_portfolio(held, policies=dict.fromkeys(("BTC", "RLUSD", "USDC"), policy), house=house, mode=mode)
    return compute_margin(portfolio, revalued(snapshot or a_snapshot()), standard_parameters())


def line_of(result, name):
    return next(line for line in result.equity.lines if line.instrument_id == name)


def house(**units):
    parts = {"held": {}, "owned": {}, "owner_liquidity": {}, "owned_isolated": {}}
    return HouseView(**parts | {kind: known if kind == "held" else {ACCOUNT.client_id: known} for kind, known in units.items()})


def test_auto_splits_where_the_calculator_has_the_most_excess(page):
    held = {"BTC": 10, "PERP": (-6, -600)}
    rules = replace(
        parameters(),
        haircut_schedule={
            name: replace(row, residual_haircut_fraction=D("0.02"), bands=_flat(row, "0.2")) if name == "BTC" else row
            for name, row in parameters().haircut_schedule.items()
        },
    )
    auto = compute_margin(a_portfolio(held, policies={"BTC": CollateralPolicy.AUTO}), a_market(), rules)
    line = line_of(auto, "BTC")
    assert (line.risked, line.pledged) == (600, 400)
    assert float(auto.excess_to_initial) == page["excess"](6) == max(page["excess"](risked) for risked in range(11))
    for policy, risked in ((CollateralPolicy.RISKED, 10), (CollateralPolicy.PLEDGED, 0)):
        ordered = compute_margin(a_portfolio(held, policies={"BTC": policy}), a_market(), rules)
        assert float(ordered.excess_to_initial) == page["excess"](risked)


def _flat(row, fraction):
    (band,) = row.bands
    (tier,) = band.tiers
    return (replace(band, tiers=(replace(tier, haircut_fraction=D(fraction)),)),)


def test_a_coin_that_has_bounced_counts_for_what_the_calculator_says_hour_by_hour(page):
    rules, coins = standard_parameters().charges.depeg, {InstrumentId("USDC"): Stablecoin("USD", "Circle")}
    snapshot, told = None, {}
    for hour in range(60):
        now = a_snapshot(NOON + hour * timedelta(hours=1), USDC="0.88" if hour == 0 else "1")
        snapshot = replace(now, pegs=followed_pegs(now, snapshot, coins, rules))
        told[hour] = margin({"USDC": 300_000, "USD": 700_000}, snapshot)
    for hour, result in told.items():
        line = line_of(result, "USDC")
        assert float(line.market_value) == pytest.approx(300_000 * page["slow"](hour), abs=0.011)
        assert (line.value_in_equity == 0) == (page["slow"](hour) < 0.95)
    (charge,) = told[48].requirement.initial_only
    assert (charge.name, float(charge.amount)) == ("depeg", 11_760.0)


def test_accounts_share_tiers_as_the_calculator_says(page):
    alone = margin({"BTC": 4000})
    shared = margin({"BTC": 4000}, house=house(owned={BTC: D(10_000)}))
    bucket = margin({"BTC": 4000}, house=house(owned={BTC: D(2000)}), mode=AccountMode.ISOLATED)
    haircuts = [float(line_of(result, "BTC").haircut) / 1e6 for result in (alone, shared, bucket)]
    share = page["share"]
    expected = [page["haircut"](400, 250, 750), page["haircut"](400, 250 * share, 750 * share), page["haircut"](400, 250 - 200, 750)]
    assert haircuts == pytest.approx(expected, rel=1e-12)


def test_all_clients_share_a_cap_as_the_calculator_says(page):
    result = margin({"RLUSD": 2_000_000, "USD": 1_000_000}, house=house(held={RLUSD: D(500_000_000)}))
    assert float(line_of(result, "RLUSD").value_in_equity) / 1e6 == pytest.approx(page["counts"], rel=1e-12)


def test_the_scenarios_of_these_books_are_flat_so_that_values_are_all_there_is():
    assert not np.any(revalued(a_snapshot()).leg_pnl)
