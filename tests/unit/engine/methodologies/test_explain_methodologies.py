"""An explanation says of every methodology what can be said of it, revaluing the account by its own rules."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from crossmargin.domain.market import FactorKind
from crossmargin.domain.methodology import Methodology
from crossmargin.engine.explanation import explain_margin
from crossmargin.engine.methodologies.moved_methodology import MovedMethodology
from tests.builders import a_portfolio
from tests.methodology_books import MARKET, OTHERS, PARAMETERS, SNAPSHOT, a_market, margin
from tests.unit.engine.revaluation.markets import a_snapshot

D = Decimal
SPAN, TIMS, SCHEDULE, RATIO = OTHERS
RATES = {SPAN: 0.1, TIMS: 0.15, SCHEDULE: 0.15, RATIO: 0.05}
MIXED = {"USD": 20_000, "BTC": 1, "PERP": (-2, -120_000), "CALL": 3, "EUR": 500, "BILL-4": 10_000}


def explain(methodology, holdings):
    portfolio = replace(a_portfolio(holdings), methodology=methodology)
    return explain_margin(portfolio, SNAPSHOT, MARKET, PARAMETERS, random=np.random.default_rng(1))


@pytest.mark.parametrize("methodology", OTHERS)
def test_the_distance_of_a_perpetual_is_where_what_is_left_is_its_rate_of_the_price(methodology):
    (distance,) = explain(methodology, {"USD": 20_000, "PERP": (1, 60_000)}).distances
    # cash + (price - 60,000) = rate x price
    price = (60_000 - 20_000) / (1 - RATES[methodology])
    assert (distance.group_id, distance.kind) == ("BTC", FactorKind.SPOT)
    assert float(distance.move.size) == pytest.approx(price / 60_000 - 1, abs=2e-6)


@pytest.mark.parametrize("methodology", OTHERS)
def test_a_moved_account_is_margined_as_the_market_that_has_moved(methodology):
    portfolio = replace(a_portfolio(MIXED), methodology=methodology)
    account = MovedMethodology(portfolio, SNAPSHOT, MARKET, PARAMETERS)
    factors = [str(factor) for factor in MARKET.scenarios.factors]
    moves = np.zeros((2, len(factors)))
    moves[0, factors.index("spot:BTC")], moves[1, factors.index("zero:USD:5Y")] = np.log(0.8), 0.01
    snapshots = [a_snapshot({"spot:BTC": "48000"}), a_snapshot({"zero:USD:5Y": "0.05"})]
    for headroom, snapshot in zip(account.headrooms(moves), snapshots, strict=True):
        published = margin(methodology, MIXED, market=a_market(snapshot=snapshot), parameters=PARAMETERS)
        assert headroom == pytest.approx(float(published.excess_to_maintenance), abs=0.03)
    assert not account.look_closely(moves)


@pytest.mark.parametrize("methodology", OTHERS)
def test_what_rests_on_a_tail_is_said_of_the_expected_shortfall_alone(methodology):
    explained = explain(methodology, MIXED)
    assert explained.margin == margin(methodology, MIXED)
    assert (explained.interval, explained.tail, explained.scenarios, explained.isolation_advice) == (None, None, None, ())
    assert explained.diversification.largest_group == "BTC"
    assert (explained.worst_direction is not None) == (methodology in {SPAN, TIMS})


def test_the_worst_direction_on_a_grid_is_every_group_at_its_worst_point():
    direction = explain(SPAN, {"USD": 1_000_000, "PERP": (1, 60_000), "ETH": -1}).worst_direction
    assert direction.multiple is None or direction.multiple > 1
    moves = {move.group_id: float(move.size) for move in direction.moves}
    assert moves["BTC"] < 0 < moves["ETH"]


def test_books_that_go_one_way_are_told_from_books_that_cancel_out():
    one_way = explain(Methodology.EXPECTED_SHORTFALL, {"BTC": 1, "ETH": 20}).directions[0]
    assert (one_way.asset_class, one_way.kind, one_way.is_long, one_way.fraction) == ("CRYPTO", FactorKind.SPOT, True, 1)
    short = explain(Methodology.EXPECTED_SHORTFALL, {"USD": 10**6, "BTC": -1, "ETH": -20}).directions[0]
    assert (short.is_long, short.fraction) == (False, 1)
    assert float(short.amount) == pytest.approx(float(one_way.amount), rel=1e-6)
    pair = explain(Methodology.EXPECTED_SHORTFALL, {"BTC": 1, "ETH": -20}).directions[0]
    assert 0 <= pair.fraction < D("0.3")
    assert not explain(Methodology.EXPECTED_SHORTFALL, {"USD": 5}).directions


def test_a_class_of_rates_is_long_when_it_gains_as_rates_rise():
    (rates,) = explain(Methodology.EXPECTED_SHORTFALL, {"BILL-4": 100_000}).directions
    assert (rates.asset_class, rates.kind, rates.is_long) == ("FIXED_INCOME", FactorKind.ZERO, False)
