"""The most plausible move that breaks an account, against cases that have a formula."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from crossmargin.domain.margin import Band
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.stress import BreakLine
from crossmargin.engine.moved_account import MovedAccount
from crossmargin.engine.reverse_stress import DISTANCES, reverse_stress
from crossmargin.engine.stress import prepared
from tests.unit.engine.stressed_books import MARKET, RULES, SCENARIOS, SNAPSHOT, a_book, a_run

ORDINARY = SCENARIOS.shocks


def searched(held, line=BreakLine.RUIN, **options):
    (account,) = prepared(a_run(MARKET), [replace(a_book(held), **options)])
    return reverse_stress(account, MARKET, RULES, line)


def column(name: str) -> int:
    return [str(factor) for factor in SCENARIOS.factors].index(name)


def test_a_linear_book_of_one_factor_breaks_where_its_equity_is_gone():
    """Long 10 contracts at the mark 60,120 with 120,000 dollars: gone when the mark has lost 12,000, and nothing else matters."""
    found = searched({"USD": 120_000, "PERP-LINEAR-USD": (10, "601200")})
    spot = next(move for move in found.moves if move.group_id == "BTC" and move.kind.value == "spot")
    assert float(spot.size) == pytest.approx(-12_000 / 60_120, abs=1e-4)
    deviation = math.sqrt(float(np.mean(ORDINARY[:, column("spot:BTC")] ** 2)))
    assert float(found.plausibility.distance) == pytest.approx(-math.log1p(-12_000 / 60_120) / deviation, rel=1e-3)
    assert abs(found.outcome.after.equity) < 1
    assert found.outcome.pnl == pytest.approx(found.outcome.after.equity - found.outcome.before.equity, abs=1)


def test_of_two_linear_factors_the_move_goes_along_the_covariance():
    """The nearest point of a plane g.x = -c is -c C g / (g'Cg), at distance c / sqrt(g'Cg); small losses are all but linear."""
    held = {"USD": -19_000, "PERP-LINEAR-USD": ("0.2", "12024"), "EUR": "20000"}
    found = searched(held)
    columns = [column("spot:BTC"), column("fx:EUR")]
    covariance = ORDINARY[:, columns].T @ ORDINARY[:, columns] / len(ORDINARY)
    slope = np.array([0.2 * 60_120, 20_000 * 1.1])
    equity = float(found.outcome.before.equity)
    linear = equity / math.sqrt(slope @ covariance @ slope)
    # Log-returns bend: a fall of x costs less than x, so the line is a little further than the plane says.
    assert linear < float(found.plausibility.distance) < 1.2 * linear


def test_no_direction_out_of_thousands_breaks_the_account_nearer_by():
    held = {"USD": 60_000, "BTC": 2, "ETH": -25, "CALL-CASH": "-0.3"}
    found = searched(held)
    move_distance = float(found.plausibility.distance)
    (account,) = prepared(a_run(MARKET), [a_book(held)])
    moving = MovedAccount(account.portfolio, SNAPSHOT, MARKET, RULES)
    names = ["spot:BTC", "spot:ETH", "vol:BTC:1M", "vol:BTC:6M", "basis:BTC:1M", "basis:BTC:6M", "zero:USD:1M", "zero:USD:1Y"]
    columns = [column(name) for name in names]
    covariance = ORDINARY[:, columns].T @ ORDINARY[:, columns] / len(ORDINARY)
    root = np.linalg.cholesky(covariance)
    directions = np.random.default_rng(5).normal(size=(1500, len(columns)))
    directions /= np.linalg.norm(directions, axis=1)[:, np.newaxis]
    moves = np.zeros((len(directions), len(SCENARIOS.factors)))
    moves[:, columns] = 0.97 * move_distance * directions @ root.T
    assert min(moving.equities(moves)) > 0


def test_a_book_that_is_flat_where_it_stands_is_found_to_break_by_the_scenarios_that_hurt_it():
    """Short calls, hedged to a slope of nothing: the search sets out from the worst scenarios too."""
    found = searched({"USD": 150_000, "CALL-CASH": -1, "PERP-LINEAR-USD": ("5.9", "354708")})
    assert found.outcome is not None
    assert found.start_count > 1
    assert abs(found.outcome.after.equity) < 5


def test_the_line_of_liquidation_is_nearer_than_ruin_and_is_met_by_full_revaluation():
    held = {"USD": 200_000, "PERP-LINEAR-USD": (6, "360720"), "ETH": 10}
    near, far = (searched(held, line) for line in (BreakLine.LIQUIDATION, BreakLine.RUIN))
    assert near.plausibility.distance < far.plausibility.distance
    after = near.outcome.after
    assert float(after.maintenance_margin / after.equity) == pytest.approx(1.0, abs=1e-3)
    assert near.outcome.before.band is not Band.LIQUIDATION


def test_the_three_answers_on_how_likely_it_is():
    found = searched({"USD": 120_000, "PERP-LINEAR-USD": (10, "601200")})
    distance = float(found.plausibility.distance)
    assert float(found.plausibility.normal_probability) == pytest.approx(0.5 * math.erfc(distance / math.sqrt(2)), abs=1e-6)
    assert float(found.plausibility.greatest_probability) == pytest.approx(1 / (1 + distance**2), abs=1e-6)
    falls = np.mean(60_120 * np.expm1(ORDINARY[:, column("spot:BTC")]) * 10 <= float(found.outcome.pnl))
    assert float(found.plausibility.scenario_weight) == pytest.approx(falls, abs=0.006)


def test_an_account_without_risk_does_not_break_and_says_how_far_was_looked():
    found = searched({"USD": 1_000_000})
    assert (found.outcome, found.plausibility, found.moves) == (None, None, ())
    assert float(found.searched_to) == DISTANCES[-1]


def test_a_broken_account_is_at_distance_nothing():
    found = searched({"USD": -10_000, "BTC": "0.1"}, BreakLine.LIQUIDATION)
    assert found.plausibility.distance == 0
    assert found.outcome.pnl == 0


def test_a_grid_is_searched_too():
    held = {"USD": 120_000, "PERP-LINEAR-USD": (10, "601200")}
    found = searched(held, BreakLine.LIQUIDATION, methodology=Methodology.SPAN_GRID)
    assert float(found.outcome.after.maintenance_margin / found.outcome.after.equity) == pytest.approx(1.0, abs=1e-3)
