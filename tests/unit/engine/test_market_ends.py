"""The ends of a doubted market, on accounts whose ends can be worked out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import OptionRight
from crossmargin.domain.margin import Band
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.market_quality import Quality, Verdict
from crossmargin.engine.market_ends import Grid, doubts_touched_by, margin_with_ends, utilization_ends
from crossmargin.engine.portfolio_margin import compute_margin
from crossmargin.engine.revaluation import revalue_market
from tests.builders import a_haircut_row, a_portfolio, cash, coin
from tests.unit.engine.revaluation.markets import a_bond, a_perpetual, a_snapshot, an_option, parameters, random_scenarios

D = Decimal
SEEN = datetime(2026, 3, 2, 8, tzinfo=UTC)
RULES = parameters(tail_fraction="0.1", haircut_schedule=[a_haircut_row(name) for name in ("USD", "BTC", "EUR", "GOV")])
PERP = InstrumentId("BTC-PERP")
BOOK = (
    cash("USD"),
    cash("EUR", collateral_class="EUR"),
    coin("BTC"),
    a_perpetual("BTC-PERP"),
    an_option("CALL-64", strike=64_000),
    an_option("PUT-64", right=OptionRight.PUT, strike=64_000),
    replace(a_bond("EUR-BOND", settlement="EUR"), collateral_class="GOV"),
)
BASE = a_snapshot()
SCENARIOS = random_scenarios(BASE, 60, 7)


def doubted(verdict=Verdict.STALE, *, marks=None, ticks=0, **ranges):
    """The base snapshot with ranges of some levels, `spot_BTC=(low, high)`, and of marks."""

    def quality(ends):
        return Quality(verdict, SEEN, D(ends[0]), D(ends[1]), ticks=ticks)

    levels = {FactorId.parse(name.replace("_", ":")): quality(ends) for name, ends in ranges.items()}
    quoted = {InstrumentId(name): (D(mark), quality(ends)) for name, (mark, ends) in (marks or {}).items()}
    return MarketSnapshot(
        BASE.as_of,
        BASE.levels,
        {name: mark for name, (mark, _) in quoted.items()},
        levels,
        {name: known for name, (_, known) in quoted.items()},
    )


def margin(held, snapshot):
    market = revalue_market(BOOK, snapshot, SCENARIOS, RULES)
    return margin_with_ends(a_portfolio(held), snapshot, market, RULES)


def excess_at(held, **values):
    levels = {FactorId.parse(name.replace("_", ":")): D(value) for name, value in values.items()}
    snapshot = MarketSnapshot(BASE.as_of, {**BASE.levels, **levels}, {})
    return compute_margin(a_portfolio(held), revalue_market(BOOK, snapshot, SCENARIOS, RULES), RULES).excess_to_initial


def test_a_coin_is_worth_its_ends():
    held = {"USD": 100_000, "BTC": 2}
    quality = margin(held, doubted(spot_BTC=("48000", "66000"))).quality
    assert [each.subject for each in quality.doubted] == ["spot:BTC"]
    assert quality.excess_to_initial_low == pytest.approx(excess_at(held, spot_BTC="48000"), abs=1)
    assert quality.excess_to_initial_high == pytest.approx(excess_at(held, spot_BTC="66000"), abs=1)


def test_a_hedge_closes_the_range_because_both_legs_stand_on_one_price():
    held = {"USD": 100_000, "BTC": 2, "BTC-PERP": (-2, -120_000)}
    quality = margin(held, doubted(spot_BTC=("48000", "66000"))).quality
    assert quality.excess_to_initial_high - quality.excess_to_initial_low < 100


def test_a_hedge_whose_mark_is_known_leaves_the_coin_alone_in_doubt():
    held = {"USD": 100_000, "BTC": 2, "BTC-PERP": (-2, -120_000)}
    snapshot = replace(doubted(spot_BTC=("48000", "66000")), marks={PERP: D(60_000)})
    quality = margin(held, snapshot).quality
    assert quality.excess_to_initial_low < excess_at(held) - 2 * 11_000
    assert quality.excess_to_initial_high > excess_at(held) + 8_000


def test_a_doubted_mark_moves_what_is_marked_and_nothing_else():
    held = {"USD": 200_000, "BTC-PERP": (2, 120_000)}
    quality = margin(held, doubted(marks={"BTC-PERP": ("60000", ("54000", "63000"))})).quality
    assert [each.subject for each in quality.doubted] == ["BTC-PERP"]
    assert quality.excess_to_initial_low < excess_at(held) - 9_000
    assert margin({"USD": 200_000, "BTC": 1}, doubted(marks={"BTC-PERP": ("60000", ("54000", "63000"))})).quality is None


@pytest.mark.parametrize(
    ("held", "ranges"),
    [
        ({"USD": 1_000}, {"spot_BTC": ("1", "1000000")}),
        ({"USD": 1_000, "BTC": 1}, {"spot_ETH": ("1", "1000000")}),
        ({"USD": 1_000, "EUR": 1}, {"zero_EUR_10Y": ("0", "0.1")}),
    ],
)
def test_what_nothing_held_is_exposed_to_does_not_count(held, ranges):
    assert margin(held, doubted(**ranges)).quality is None


def test_an_asset_that_a_contract_is_only_paid_in_counts():
    quality = margin({"USD": 1_000, "EUR-BOND": 100_000}, doubted(fx_EUR=("1.0", "1.2"))).quality
    assert [each.subject for each in quality.doubted] == ["fx:EUR"]


def test_a_worst_price_between_the_nodes_is_allowed_for():
    """A book long of more calls than puts is worst off near 72,000, between the nodes 67,500 and 75,000."""
    held = {"USD": 500_000, "CALL-64": 70, "PUT-64": 50}
    nodes = ("45000", "52500", "60000", "67500", "75000")
    inside = [excess_at(held, spot_BTC=str(price)) for price in range(45_000, 75_001, 500)]
    quality = margin(held, doubted(spot_BTC=("45000", "75000"))).quality
    assert min(inside) < min(excess_at(held, spot_BTC=node) for node in nodes) - 5_000
    assert quality.excess_to_initial_high >= max(inside)
    assert quality.excess_to_initial_low <= min(inside)


def test_what_many_doubted_inputs_do_together_is_allowed_for():
    """A bond in euros gains from a dear euro and from low rates, and from both more than from each alone added up."""
    held = {"USD": 10_000, "EUR-BOND": 1_000_000}
    ranges = {"fx_EUR": ("0.7", "1.6"), "zero_EUR_3M": ("-0.05", "0.15"), "zero_EUR_10Y": ("-0.05", "0.15")}
    quality = margin(held, doubted(**ranges)).quality
    assert len(quality.doubted) == 3
    best = excess_at(held, fx_EUR="1.6", zero_EUR_3M="-0.05", zero_EUR_10Y="-0.05")
    moves = {"fx_EUR": "1.6", "zero_EUR_3M": "-0.05", "zero_EUR_10Y": "-0.05"}
    rest = excess_at(held)
    alone = sum(excess_at(held, **{name: value}) - rest for name, value in moves.items())
    best = excess_at(held, **moves)
    assert best > rest + alone + 10_000
    assert quality.excess_to_initial_high >= best


def test_what_cannot_be_valued_at_an_end_can_be_anything():
    held = {"USD": 1_000_000, "CALL-64": 10}
    snapshot = replace(doubted(marks={"CALL-64": ("2000", ("0", "9000"))}), levels=BASE.levels)
    bounded = margin(held, snapshot).quality
    assert bounded.excess_to_initial_low is not None
    without_price = replace(
        snapshot, marks={InstrumentId("BTC-PERP"): D(60_000)}, mark_quality={PERP: Quality(Verdict.STALE, SEEN, D(0), D(60_000))}
    )
    unbounded = margin({"USD": 1_000_000, "BTC-PERP": (1, 60_000)}, without_price)
    assert (unbounded.quality.excess_to_initial_low, unbounded.quality.excess_to_initial_high) == (None, None)
    assert unbounded.utilization_range == (0, None)
    assert (unbounded.quality.best_band, unbounded.quality.worst_band) == (Band.HEALTHY, Band.LIQUIDATION)


def line(*figures):
    return Grid((np.arange(float(len(figures))),), np.array(figures, dtype=np.float64))


@pytest.mark.parametrize(
    ("figures", "ends"),
    [
        ([(100, 50, 0), (100, 50, 0), (100, 50, 0)], ("0.5", "0.5")),
        ([(100, 50, 0), (125, 50, 0), (150, 50, 0)], ("0.333333", "0.5")),
        ([(-50, 50, 0), (25, 50, 0), (100, 50, 0)], ("0.5", None)),
        ([(-10, 0, 0), (-10, 0, 0), (-10, 0, 0)], (None, None)),
        ([(10, 0, 0), (10, 0, 0), (10, 0, 0)], ("0", "0")),
    ],
)
def test_utilization_is_read_off_the_figures_at_both_ends(figures, ends):
    low, high = utilization_ends(line(*figures))
    for found, expected in ((low, ends[0]), (high, ends[1])):
        assert (found is None) is (expected is None)
        assert expected is None or found == pytest.approx(D(expected), abs=D("0.000002"))


def touched(traded, held, snapshot):
    market = revalue_market(BOOK, snapshot, SCENARIOS, RULES)
    result = margin_with_ends(a_portfolio(held), snapshot, market, RULES)
    names = [InstrumentId(name) for name in traded]
    return [each.subject for each in doubts_touched_by(names, result.quality, market, RULES)]


def test_an_order_touches_what_its_instrument_and_its_hedges_rest_on_and_nothing_else():
    held = {"USD": 100_000, "BTC": 1, "EUR": 1_000, "BTC-PERP": (-1, -60_000)}
    snapshot = doubted(spot_BTC=("50000", "70000"), fx_EUR=("1.0", "1.2"), marks={"BTC-PERP": ("60000", ("59000", "61000"))})
    assert touched(["BTC"], held, snapshot) == ["BTC-PERP", "spot:BTC"]
    assert touched(["CALL-64"], held, snapshot) == ["BTC-PERP", "spot:BTC"]
    assert touched(["EUR"], held, snapshot) == ["fx:EUR"]
    assert touched(["EUR-BOND"], held, snapshot) == ["fx:EUR"]
    assert touched(["USD"], held, snapshot) == []
    assert touched(["NOBODY-KNOWS"], held, snapshot) == ["BTC-PERP", "fx:EUR", "spot:BTC"]
    assert touched(["BTC"], {"USD": 5}, snapshot) == []
