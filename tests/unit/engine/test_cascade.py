"""Cascades: what a shock sets off, what it costs, and what isolation keeps apart."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from crossmargin.domain.account import AccountMode
from crossmargin.domain.cascade import CascadeTerms, DepthKind
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import OffsetGroupId
from crossmargin.domain.margin import Band
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.stress import StressKind
from crossmargin.engine.cascade import Cascade, CascadeAccount
from crossmargin.engine.market_depth import MarketDepth
from crossmargin.engine.methodologies.moved_methodology import MovedMethodology
from crossmargin.engine.stress import outcome_of, prepared, standing_of, stressed_block
from crossmargin.engine.stress_library import StressScenario
from tests.unit.engine.stressed_books import INSTRUMENTS, RULES, SCENARIOS, a_book, a_market, a_move, a_run, an_account

HELD = {"USD", "EUR", "BTC", "ETH", "PERP-LINEAR-USD", "EURUSD"}
MARKET = a_market(instruments=[each for each in INSTRUMENTS if each.instrument_id in HELD])
FALL = a_move(spot_BTC=-0.2, spot_ETH=-0.2)
THIN = CascadeTerms(depth_multiple=Decimal("0.001"))
BTC = OffsetGroupId("BTC")


def an_entry(name, held, *, mode=AccountMode.CROSS, parent=None):
    return CascadeAccount(replace(a_book(held, mode=mode), account=an_account(name)), None if parent is None else an_account(parent))


def longs(count=4):
    """Accounts long of the same coin: each is brought down by a fall that the one before it makes a little larger."""
    return [an_entry(f"long{each}", {"USD": 185_000 + 2_500 * each, "PERP-LINEAR-USD": (10, "601200")}) for each in range(count)]


def run(accounts, terms=THIN, shock=FALL, market=MARKET):
    cascade = Cascade(accounts, market, RULES, shock, terms, random=np.random.default_rng(terms.seed))
    return list(cascade.rounds()), cascade


def test_one_fall_brings_down_the_next():
    rounds, cascade = run(longs())
    alone = len(rounds[1].fallen)
    summary = cascade.summary()
    assert 0 < alone < summary.fallen
    assert summary.is_over
    prices = [flow.price for each in rounds for flow in each.flows if flow.group_id == BTC]
    assert prices == sorted(prices, reverse=True)
    assert all(price < 0 for price in prices)
    assert all(flow.traded < 0 for each in rounds for flow in each.flows if flow.group_id == BTC)


def test_with_infinite_depth_it_is_the_plain_stress():
    accounts = [
        *longs(),
        an_entry("ruined", {"USD": 50_000, "PERP-LINEAR-USD": (10, "601200")}),
        an_entry("rich", {"USD": 9_000_000, "BTC": 1}),
    ]
    rounds, cascade = run(accounts, replace(THIN, depth=DepthKind.INFINITE))
    scenario = StressScenario("fall", StressKind.AD_HOC, FALL)
    stressed = a_run(MARKET, scenario)
    block = stressed_block(stressed, (0, prepared(stressed, [each.portfolio for each in accounts])))
    plain = outcome_of(scenario, [block], account_count=99, position_count=0)
    first = rounds[0]
    assert first.bands == plain.bands_after
    assert first.broker_loss == plain.broker_loss == cascade.summary().broker_loss > 0
    assert float(first.revaluation) == pytest.approx(float(plain.pnl), abs=0.05)
    assert [each.number for each in rounds] == [0, 1]
    assert all(flow.price == 0 for flow in rounds[1].flows)
    assert abs(rounds[1].paid_to_street) < Decimal("0.01")


def test_no_core_is_touched_by_its_bucket_and_without_isolation_it_is():
    core = an_entry("core", {"USD": 400_000, "BTC": 1})
    bucket = an_entry("bucket", {"USD": 30_000, "PERP-LINEAR-USD": (10, "601200")}, mode=AccountMode.ISOLATED, parent="core")
    alone = run([core], replace(THIN, depth=DepthKind.INFINITE))[1]
    together = run([core, bucket], replace(THIN, depth=DepthKind.INFINITE))[1]
    assert together.standings()[an_account("core")] == alone.standings()[an_account("core")]
    assert together.holdings()[an_account("core")] == alone.holdings()[an_account("core")]
    assert together.standings()[an_account("bucket")].equity < 0
    joined = run([core, bucket], replace(THIN, depth=DepthKind.INFINITE, isolated=False))[1]
    assert set(joined.standings()) == {an_account("core")}
    assert joined.standings()[an_account("core")].equity < alone.standings()[an_account("core")].equity
    assert joined.summary().broker_loss < together.summary().broker_loss


def test_the_same_seed_is_the_same_cascade_and_the_order_is_what_a_seed_changes():
    first, second = (run(longs(), replace(THIN, seed=7))[0] for _ in range(2))
    assert first == second
    alike = [an_entry(f"same{each}", {"USD": 185_000, "PERP-LINEAR-USD": (10, "601200")}) for each in range(3)]
    assert len({tuple(one.account for one in run(alike, replace(THIN, seed=seed))[0][1].fallen) for seed in range(6)}) > 1


def test_thinner_markets_lose_the_broker_more():
    losses = [run(longs(), replace(THIN, depth_multiple=Decimal(depth)))[1].summary().broker_loss for depth in ("1", "0.0001", "0.00001")]
    assert losses == sorted(losses)
    assert losses[0] < losses[-1]


@pytest.mark.parametrize("methodology", [Methodology.SPAN_GRID, Methodology.TIMS_GRID, Methodology.RATIO], ids=str)
def test_an_account_falls_by_its_own_methodology(methodology):
    """Three accounts with the same book and more and more money: each is sold out exactly when its own margin says so."""
    entries = [an_entry(f"own{cash}", {"USD": cash, "PERP-LINEAR-USD": (10, "601200")}) for cash in (130_000, 190_000, 600_000)]
    accounts = [CascadeAccount(replace(each.portfolio, methodology=methodology)) for each in entries]
    rounds, cascade = run([*accounts, *longs(1)])
    assert cascade.summary().failures == ()
    scenario = StressScenario("fall", StressKind.AD_HOC, FALL)
    stressed = a_run(MARKET, scenario)
    block = stressed_block(stressed, (0, prepared(stressed, [each.portfolio for each in accounts])))
    first = {one.account: one.after for one in block.accounts}
    fallen = {one.account: one for one in rounds[1].fallen}
    for name, after in first.items():
        assert (name in fallen) is (after.band is Band.LIQUIDATION)
        if name in fallen:
            assert fallen[name].before == after
            assert fallen[name].is_closed or fallen[name].after.utilization < 1
    assert an_account("own600000") not in fallen


def test_a_grid_starts_from_where_the_flow_has_left_the_market():
    """Margined at the market of the last round, and by the engine's own search at moved markets, to the cent."""
    entry = an_entry("grid", {"USD": 120_000, "PERP-LINEAR-USD": (10, "601200")})
    accounts = [CascadeAccount(replace(entry.portfolio, methodology=Methodology.SPAN_GRID)), *longs()]
    _, cascade = run(accounts)
    portfolio = cascade._accounts[entry.portfolio.account].portfolio
    search = MovedMethodology(portfolio, MARKET.snapshot, MARKET, RULES)
    (again,) = search.margins(cascade._move[np.newaxis])
    assert cascade._move.any()
    assert (cascade._move != FALL).any()
    assert standing_of(again) == cascade.standings()[entry.portfolio.account]


def test_depth_by_hand():
    sigma = float(np.sqrt(np.mean(SCENARIOS.shocks[:, [str(each) for each in SCENARIOS.factors].index("spot:BTC")] ** 2))) / np.sqrt(2)
    root = MarketDepth(SCENARIOS, RULES, CascadeTerms(depth_multiple=Decimal("0.1")))
    straight = MarketDepth(SCENARIOS, RULES, CascadeTerms(depth=DepthKind.LINEAR))
    assert root.impact(BTC, -1.5e9) == pytest.approx(-sigma)
    assert root.impact(BTC, -0.375e9) == pytest.approx(-sigma / 2)
    assert straight.impact(BTC, 3e9) == pytest.approx(0.2 * sigma)
    assert root.average(BTC, 0.0, -1.5e9) == pytest.approx(-2 * sigma / 3)
    assert straight.average(BTC, 0.0, 3e9) == pytest.approx(0.1 * sigma)
    # What two orders meet one after the other is what one of both meets.
    both = (root.average(BTC, 0.0, -1e8) * 1e8 + root.average(BTC, -1e8, -4e8) * 3e8) / 4e8
    assert both == pytest.approx(root.average(BTC, 0.0, -4e8))
    assert root.average(BTC, -1e8, 1e8) == pytest.approx(0.0)
    assert root.impact(OffsetGroupId("USD-RATES"), 1e9) == 0.0


def test_terms_that_make_no_sense_are_refused():
    nothing, one = Decimal(0), Decimal(1)
    wrongs = {"depth_multiple": nothing, "impact_coefficient": -one, "most_rounds": 0, "seed": -1, "target_utilization": one}
    for name, value in wrongs.items():
        with pytest.raises(DomainError) as refused:
            CascadeTerms(**{name: value})
        assert refused.value.reason is Reason.INVALID_ARGUMENT


def test_what_is_left_of_an_account_that_was_sold_out_may_fall_again():
    rounds, cascade = run(longs(), replace(THIN, depth_multiple=Decimal("0.00002")))
    names = [one.account for each in rounds for one in each.fallen]
    assert len(names) > len(set(names))
    assert all(each.band is not Band.LIQUIDATION or each.equity <= 0 for each in cascade.standings().values())
