"""How far the line is: found by revaluing the account at the moved market, and checked by margining it there from scratch."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from decimal import Decimal

import numpy as np
import pytest

from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import OptionRight, Stablecoin
from crossmargin.domain.market import LOG_KINDS, FactorId, MarketSnapshot
from crossmargin.engine.explanation import average_tail_move, explain_margin
from crossmargin.engine.liquidation_distance import FALLS, MULTIPLES, RATE_MOVES, RISES, smallest_crossing
from crossmargin.engine.portfolio_arrays import haircut_rates, margin_rates, portfolio_arrays
from crossmargin.engine.portfolio_margin import compute_margin, margin_figures
from crossmargin.engine.revaluation import revalue_market, revalue_moved_market
from crossmargin.engine.revaluation.revalued_market import in_scenarios, part_of, with_rows_of
from crossmargin.engine.scenarios.restriction import restricted_to
from crossmargin.engine.tail_mean import tail_mean
from tests.builders import a_haircut_row, a_portfolio, an_instrument, cash, charges_document, coin, stablecoin
from tests.unit.engine.revaluation.markets import (
    ASSETS,
    GROUPS,
    MARKS,
    a_bond,
    a_group,
    a_perpetual,
    a_snapshot,
    an_option,
    one_of_each_kind,
    parameters,
    random_scenarios,
)

UTILIZATION_TOLERANCE = 1e-4
"""A move is reported to a millionth; a book of ten times its equity moves by a hundred thousandth of it."""
HAIRCUTS = [
    a_haircut_row("USD"),
    a_haircut_row("BTC", residual="0.02", flat="0.2"),
    a_haircut_row("ETH", residual="0.03", flat="0.25", share_limit="0.4"),
    a_haircut_row("G10-CASH", has_fx_mismatch=True),
    a_haircut_row("GOVERNMENT", residual="0.0025", flat="0.02"),
    a_haircut_row("STABLE", residual="0.005", flat="0.02"),
]
RULES = parameters(tail_fraction="0.1", haircut_schedule=HAIRCUTS)
SNAPSHOT = a_snapshot()
SCENARIOS = random_scenarios(SNAPSHOT, 200, 7)
BOOK = (
    cash("USD"),
    cash("EUR", collateral_class="G10-CASH"),
    cash("GBP", collateral_class="G10-CASH"),
    coin("BTC"),
    coin("ETH", collateral_class="ETH"),
    stablecoin("USDC", collateral_class="STABLE"),
    a_perpetual(),
    an_option("CALL", strike=80_000),
    an_option("PUT", right=OptionRight.PUT, strike=45_000),
    an_option("FAR-PUT", right=OptionRight.PUT, strike=30_000),
    replace(a_bond(), collateral_class="GOVERNMENT"),
)


def explained(held, *, snapshot=SNAPSHOT, instruments=BOOK, scenarios=SCENARIOS, rules=RULES):
    market = revalue_market(instruments, snapshot, scenarios, rules)
    return explain_margin(a_portfolio(held), snapshot, market, rules, random=np.random.default_rng(0))


def move_of(explanation, group, kind="spot"):
    (distance,) = [one for one in explanation.distances if (one.group_id, one.kind.value) == (group, kind)]
    return None if distance.move is None else float(distance.move.size)


def moved_snapshot(snapshot: MarketSnapshot, moves: dict[str, float]) -> MarketSnapshot:
    """The snapshot with the levels of some curves moved by simple returns or differences."""
    levels = {factor: _moved(factor, level, moves.get(factor.curve, 0.0)) for factor, level in snapshot.levels.items()}
    return MarketSnapshot(snapshot.as_of, levels, snapshot.marks)


def _moved(factor: FactorId, level: Decimal, move: float) -> Decimal:
    if not move:
        return level
    shifted = float(level) * (1.0 + move) if factor.kind in LOG_KINDS else float(level) + move
    return Decimal(f"{shifted:.15f}")


def utilization_at(held, curve_moves, *, scenarios=SCENARIOS, rules=RULES):
    """Margin the account from scratch in a market where the levels have moved."""
    snapshot = moved_snapshot(SNAPSHOT, curve_moves)
    return compute_margin(a_portfolio(held), revalue_market(BOOK, snapshot, scenarios, rules), rules).utilization


def test_one_linear_contract_has_a_distance_in_closed_form():
    """Equity C + q S x, requirement q S (1 + x) e, e the tail mean of a unit's loss: equal at x = (q S e - C) / (q S (1 - e))."""
    shocks = SCENARIOS.shocks[:, SCENARIOS.column_of[FactorId.parse("spot:BTC")]]
    for quantity, cash_held in ((4.0, 90_000.0), (2.0, 60_000.0), (-3.0, 70_000.0)):
        loss = tail_mean(math.copysign(1.0, quantity) * np.expm1(shocks), SCENARIOS.weights, 0.1)
        notional = abs(quantity) * 60_000
        sign = math.copysign(1.0, quantity)
        expected = (notional * loss - cash_held) / (notional * (sign - loss))
        found = move_of(explained({"USD": cash_held, "PERP": (quantity, quantity * 60_000)}), "BTC")
        assert found == pytest.approx(expected, abs=2e-6)
        assert math.copysign(1.0, found) == -sign


HELD = {
    "levered long": {"USD": 60_000, "PERP": (4, 240_000)},
    "short": {"USD": 60_000, "PERP": (-3, -180_000)},
    "coin against a loan": {"BTC": 3, "USD": -80_000, "ETH": 10},
    "short strangle": {"USD": 90_000, "CALL": -6, "PUT": -6},
    "call seller with coins": {"USD": 20_000, "BTC": 1, "CALL": -4},
    "bonds on credit": {"USD": -900_000, "BOND": 1_000_000},
    "owed coins and euros": {"USD": 200_000, "ETH": -25, "EUR": -40_000, "PERP": (1, 60_000)},
}


@pytest.mark.parametrize("held", HELD.values(), ids=HELD)
def test_moved_to_the_reported_distance_utilization_is_one(held):
    found = [one.move for one in explained(held).distances if one.move is not None]
    assert found
    for move in found:
        curves = {f.curve for f in SCENARIOS.factors if RULES.group_of(f).group_id == move.group_id and f.kind is move.kind}
        utilization = utilization_at(held, dict.fromkeys(curves, float(move.size)))
        assert float(utilization) == pytest.approx(1.0, abs=UTILIZATION_TOLERANCE), move


@pytest.mark.parametrize("held", HELD.values(), ids=HELD)
def test_nothing_on_the_grid_before_the_reported_distance_is_liquidated(held):
    """What the search saw through few scenarios is what all of them say."""
    for one in explained(held).distances:
        curves = {f.curve for f in SCENARIOS.factors if RULES.group_of(f).group_id == one.group_id and f.kind is one.kind}
        sizes = RATE_MOVES if one.kind not in LOG_KINDS else FALLS
        limit = math.inf if one.move is None else abs(float(one.move.size))
        for size in [side * size for size in sizes for side in (-1, 1) if size < limit - 1e-6]:
            utilization = utilization_at(held, dict.fromkeys(curves, size))
            assert utilization is not None
            assert utilization < 1, (one, size)


def charged(**charges):
    return parameters(tail_fraction="0.1", haircut_schedule=HAIRCUTS, charges=charges_document(GROUPS, **charges))


THIN = {"spread_fraction": "0.004", "average_daily_volume": "100000", "minimum_rate_fraction": "0.05"}
DEPEG = {"mild_price": "0.99", "haircut_slope": "4", "ineligible_price": "0.95"}
FAILING = {"issuer_id": "SATOSHI", "is_own_issue": False, "moves": {"spot:BTC": "-0.3"}}
CHARGED = charged(
    rows={"BTC": THIN, "ETH": THIN},
    basis={"perpetual_fraction": "0.01", "dated_fraction": "0.02", "stablecoin_tiers": [{"up_to": None, "charge_fraction": "0.02"}]},
    short_option_fraction="0.01",
    depeg=DEPEG,
    issuers=[FAILING],
)
CHARGED_HELD = {
    "levered long": {"USD": 120_000, "PERP": (4, 240_000)},
    "short": {"USD": 90_000, "PERP": (-3, -180_000)},
    "coin against a loan": {"BTC": 3, "USD": -60_000, "ETH": 10},
    "short strangle": {"USD": 190_000, "CALL": -6, "PUT": -6},
    "bonds on credit": {"USD": -900_000, "BOND": 1_000_000},
    "coins half hedged": {"USD": -350_000, "BTC": 10, "PERP": (-5, -300_000)},
    "stablecoins against a loan": {"USDC": 100_000, "USD": -70_000, "PERP": ("0.5", 30_000)},
    "short far puts": {"USD": 90_000, "FAR-PUT": -10},
}


@pytest.mark.parametrize("held", CHARGED_HELD.values(), ids=CHARGED_HELD)
def test_the_reported_distance_is_where_the_charges_of_the_moved_market_liquidate(held):
    found = [one.move for one in explained(held, rules=CHARGED).distances if one.move is not None]
    assert found
    for move in found:
        curves = {f.curve for f in SCENARIOS.factors if CHARGED.group_of(f).group_id == move.group_id and f.kind is move.kind}
        assert move.size != 0
        before, after = (
            utilization_at(held, dict.fromkeys(curves, float(move.size) + step * math.copysign(1.0, move.size)), rules=CHARGED)
            for step in (-2e-5, 2e-5)
        )
        assert before < 1, move
        assert after is None or after >= 1, move


CHARGES_ALONE = {
    "spread": ({"rows": {"BTC": {"spread_fraction": "0.02"}}}, {"USD": 90_000, "PERP": (4, 240_000)}),
    "long close-out": ({"rows": {"BTC": {"average_daily_volume": "100000"}}}, {"USD": 90_000, "PERP": (4, 240_000)}),
    "basis": ({"basis": {"perpetual_fraction": "0.05", "dated_fraction": "0.05"}}, {"USD": -350_000, "BTC": 10, "PERP": (-5, -300_000)}),
    "issuer": ({"issuers": [FAILING]}, {"USD": 120_000, "PERP": (4, 240_000)}),
    "short options": ({"short_option_fraction": "0.2"}, {"USD": 90_000, "FAR-PUT": -5}),
}


@pytest.mark.parametrize(("charges", "held"), CHARGES_ALONE.values(), ids=CHARGES_ALONE)
def test_every_charge_brings_the_line_nearer(charges, held):
    near, far = move_of(explained(held, rules=charged(**charges)), "BTC"), move_of(explained(held), "BTC")
    assert near != 0
    assert far is None or abs(near) < abs(far)


def test_a_minimum_of_a_moved_exposure_has_a_distance_in_closed_form():
    """Equity C + q S x, minimum r q S (1 + x), above the tail mean: equal at x = (r q S - C) / (q S (1 - r))."""
    rules = charged(rows={"BTC": {"minimum_rate_fraction": "0.4"}})
    found = move_of(explained({"USD": 150_000, "PERP": (4, 240_000)}, rules=rules), "BTC")
    assert found == pytest.approx((0.4 * 240_000 - 150_000) / (240_000 * 0.6), abs=2e-6)


def test_a_lost_peg_liquidates_where_it_is_lost():
    """At 0.95 the stablecoins count for nothing, all at once; they are worth 0.999."""
    held = {"USDC": 1_000_000, "USD": -400_000}
    assert move_of(explained(held, rules=charged(depeg=DEPEG)), "USDC") == pytest.approx(0.95 / 0.999 - 1, abs=2e-6)
    assert move_of(explained(held), "USDC") < -0.3


def test_the_nearer_side_is_reported():
    near_call = {"USD": 90_000, "CALL": -8, "PUT": -1}
    near_put = {"USD": 90_000, "CALL": -1, "PUT": -8}
    assert move_of(explained(near_call), "BTC") > 0 > move_of(explained(near_put), "BTC")


def test_a_spell_of_liquidation_that_ends_again_is_found():
    """Short puts at 45,000 hurt on the way down, and many long ones at 30,000 repair it further down: utilization is not monotone."""
    held = {"USD": 50_000, "PUT": -8, "FAR-PUT": 24}
    found = move_of(explained(held), "BTC")
    assert found is not None
    assert -0.5 < found < 0
    assert utilization_at(held, {"spot:BTC": -0.9}) < 1


def test_rates_are_reported_as_differences():
    explanation = explained({"USD": -900_000, "BOND": 1_000_000})
    (distance,) = [one for one in explanation.distances if one.kind.value == "zero"]
    assert not distance.move.is_return
    assert 0.0005 < distance.move.size < 0.03


def test_money_alone_has_no_distance_and_no_direction():
    explanation = explained({"USD": 100})
    assert (explanation.distances, explanation.worst_direction) == ((), None)


@pytest.mark.parametrize("quantity", [1, 10])
def test_a_hedge_is_not_reported_as_liquidating(quantity):
    """Coins and a short perpetual on them: whatever bitcoin does, nothing is lost but the residual haircut."""
    explanation = explained({"USD": 60_000, "BTC": quantity, "PERP": (-quantity, -60_000 * quantity)})
    assert all(one.move is None for one in explanation.distances)
    assert explanation.margin.utilization == 0


def test_scaling_book_and_equity_together_leaves_distances_alone():
    # Large enough for a cent, which the figures are rounded to, to move no distance by a millionth.
    held = {"USD": 600_000, "PERP": (40, 2_400_000), "CALL": -20, "EUR": -200_000}
    scaled = {name: tuple(7 * part for part in amount) if isinstance(amount, tuple) else 7 * amount for name, amount in held.items()}
    one, seven = explained(held), explained(scaled)
    for mine, other in zip(one.distances, seven.distances, strict=True):
        assert (mine.group_id, mine.kind) == (other.group_id, other.kind)
        assert (mine.move is None) == (other.move is None)
        if mine.move is not None:
            assert float(mine.move.size) == pytest.approx(float(other.move.size), abs=2e-6)
    assert float(one.worst_direction.multiple) == pytest.approx(float(seven.worst_direction.multiple), abs=2e-6)


def test_an_account_past_the_line_is_at_distance_zero():
    explanation = explained({"USD": 1_000, "PERP": (4, 240_000)})
    assert move_of(explanation, "BTC") == 0
    assert explanation.worst_direction.multiple == 0


def test_more_equity_is_further_from_the_line():
    distances = [move_of(explained({"USD": equity, "PERP": (4, 240_000)}), "BTC") for equity in (60_000, 90_000, 120_000)]
    assert distances == sorted(distances, reverse=True)
    assert move_of(explained({"USD": 10_000_000, "PERP": (4, 240_000)}), "BTC") is None


@pytest.mark.parametrize("held", HELD.values(), ids=HELD)
def test_at_the_multiple_of_the_worst_direction_utilization_is_one(held):
    market, portfolio = revalue_market(BOOK, SNAPSHOT, SCENARIOS, RULES), a_portfolio(held)
    arrays, rates = portfolio_arrays(portfolio, market), margin_rates(RULES, portfolio.mode)
    tail_move = average_tail_move(margin_figures(arrays, market, rates, haircut_rates(RULES)), SCENARIOS, rates)
    direction = explained(held).worst_direction
    multiple = 10.0 if direction.multiple is None else float(direction.multiple)
    (moved,) = revalue_moved_market(BOOK, SNAPSHOT, multiple * tail_move[np.newaxis], SCENARIOS, RULES)
    utilization = compute_margin(portfolio, moved, RULES).utilization
    if direction.multiple is None:
        assert utilization < 1
    else:
        assert direction.pnl < 0
        assert float(utilization) == pytest.approx(1.0, abs=UTILIZATION_TOLERANCE)


def test_the_worst_direction_of_one_contract_is_its_own_distance():
    """With one factor the average tail move scaled to the line is the move to the line."""
    held = {"USD": 90_000, "PERP": (4, 240_000)}
    explanation = explained(held)
    (move,) = explanation.worst_direction.moves
    assert float(move.size) == pytest.approx(move_of(explanation, "BTC"), abs=2e-6)
    assert float(explanation.worst_direction.pnl) == pytest.approx(240_000 * float(move.size), abs=1.0)


def test_a_direction_that_never_liquidates_is_shown_once():
    explanation = explained({"USD": 10_000_000, "PERP": (1, 60_000)})
    (move,) = explanation.worst_direction.moves
    assert explanation.worst_direction.multiple is None
    assert float(explanation.worst_direction.pnl) == pytest.approx(60_000 * float(move.size), abs=1.0)


def test_the_grids_are_ascending_and_end_where_the_api_says():
    for grid in (FALLS, RISES, RATE_MOVES, MULTIPLES):
        assert list(grid) == sorted(set(grid))
    assert (FALLS[-1], RISES[-1], RATE_MOVES[-1], MULTIPLES[-1]) == (0.99, 4.0, 0.10, 10.0)


EURO_COIN = an_instrument("EURC", Stablecoin("EUR", "CIRCLE"))
PEGGED_GROUPS = [*GROUPS, a_group("EURC", "STABLECOIN", ["spot:EURC"])]
PEGGED_LEVELS = {"spot:EURC": "1.089"}
EVERYTHING = (*one_of_each_kind(), EURO_COIN)
"""With a stablecoin whose peg moves with another factor than its price."""


def rules_with_issuer():
    return parameters(offset_groups=PEGGED_GROUPS, charges=charges_document(PEGGED_GROUPS, issuers=[FAILING]))


@pytest.mark.parametrize("marks", [{}, MARKS], ids=["without marks", "with marks"])
def test_a_move_of_nothing_leaves_the_market_as_it_is(marks):
    snapshot = a_snapshot(PEGGED_LEVELS, marks=marks)
    rules, scenarios = rules_with_issuer(), random_scenarios(snapshot, 30, 3)
    market = revalue_market(EVERYTHING, snapshot, scenarios, rules)
    (moved,) = revalue_moved_market(EVERYTHING, snapshot, np.zeros((1, len(scenarios.factors))), scenarios, rules)
    assert_same_market(moved, market)


def test_a_moved_market_is_the_market_of_the_moved_levels():
    snapshot = a_snapshot(PEGGED_LEVELS)
    rules, scenarios = rules_with_issuer(), random_scenarios(snapshot, 30, 3)
    # One move for each curve: between nodes that move apart, moves are interpolated and not the moved levels.
    by_curve = {factor.curve: np.random.default_rng(len(factor.curve)).normal(scale=0.02, size=2) for factor in scenarios.factors}
    moves = np.array([by_curve[factor.curve] for factor in scenarios.factors]).T
    for move, moved in zip(moves, revalue_moved_market(EVERYTHING, snapshot, moves, scenarios, rules), strict=True):
        shifts = dict(zip(scenarios.factors, move.tolist(), strict=True))
        levels = {
            factor: Decimal(
                f"{float(level) * math.exp(shifts[factor]) if factor.kind in LOG_KINDS else float(level) + shifts[factor]:.14f}"
            )
            for factor, level in snapshot.levels.items()
        }
        assert_same_market(moved, revalue_market(EVERYTHING, MarketSnapshot(snapshot.as_of, levels, {}), scenarios, rules))


def test_a_moved_mark_keeps_what_the_factors_leave_unexplained():
    """A perpetual marked above spot keeps its premium as a ratio: at twice the spot its mark is twice as high."""
    snapshot = a_snapshot(marks={"PERP": "60600"})
    scenarios = random_scenarios(snapshot, 5, 1)
    move = np.zeros((1, len(scenarios.factors)))
    move[0, scenarios.column_of[FactorId.parse("spot:BTC")]] = math.log(2)
    (moved,) = revalue_moved_market((*ASSETS, a_perpetual()), snapshot, move, scenarios, parameters())
    assert moved.unit_value[moved.row_of[InstrumentId("PERP")]] == pytest.approx(121_200)


def test_a_part_of_a_market_with_moved_rows_is_that_part_revalued_in_full():
    """Every field of the market, so that a field added later cannot be forgotten in the parts."""
    snapshot = a_snapshot(PEGGED_LEVELS)
    rules, scenarios = rules_with_issuer(), random_scenarios(snapshot, 30, 3)
    whole = revalue_market(EVERYTHING, snapshot, scenarios, rules)
    named = {"USD", "BTC", "EUR", "PERP-INVERSE", "FUTURE-LINEAR-EUR", "CALL-CASH", "BOND-USD", "EURC"}
    held = [each for each in whole.instruments if each.instrument_id in named]
    part = part_of(whole, held)
    assert_same_market(part, revalue_market(held, snapshot, scenarios, rules))
    places = np.array([2, 3, 17])
    few = restricted_to(scenarios, places)
    assert_same_market(in_scenarios(part, few, places), revalue_market(held, snapshot, few, rules))
    move = np.zeros((1, len(scenarios.factors)))
    move[0, scenarios.column_of[FactorId.parse("spot:BTC")]] = -0.3
    touched = [each for each in held if each.instrument_id != "BOND-USD"]
    (moved,) = revalue_moved_market(touched, snapshot, move, scenarios, rules)
    (in_full,) = revalue_moved_market(held, snapshot, move, scenarios, rules)
    assert_same_market(with_rows_of(part, moved), in_full)


def assert_same_market(one, other):
    for field in fields(one):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if field.name in {"scenarios", "snapshot_id", "snapshot"}:
            continue
        if field.name in {"groups", "classes", "leg_group", "group_class", "instrument_group"}:
            continue  # positions on axes of different length: compared by name below
        if isinstance(mine, np.ndarray):
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-9, err_msg=field.name)
        else:
            assert mine == theirs, field.name
    assert [one.groups[group] for group in one.leg_group] == [other.groups[group] for group in other.leg_group]
    assert _groups_of_instruments(one) == _groups_of_instruments(other)
    assert [one.classes[one.group_class[group]] for group in one.leg_group] == [
        other.classes[other.group_class[group]] for group in other.leg_group
    ]


def _groups_of_instruments(market):
    return [None if group < 0 else market.groups[group] for group in market.instrument_group]


@pytest.mark.parametrize(("least_benefit", "advised"), [("0", 0), ("1", 1)])
def test_the_parameter_decides_what_is_advised(least_benefit, advised):
    rules = parameters(tail_fraction="0.1", haircut_schedule=HAIRCUTS, isolation_benefit_fraction=least_benefit)
    advice = explained({"USD": 200_000, "PERP": (1, 60_000), "CALL": -1}, rules=rules).isolation_advice
    assert len(advice) == advised


def test_what_cannot_be_valued_is_refused_as_margin_refuses_it():
    snapshot = a_snapshot(without=["spot:BTC"])
    with pytest.raises(DomainError, match="which cannot be valued"):
        explained({"USD": 1, "PERP": (1, 60_000)}, snapshot=snapshot, scenarios=random_scenarios(snapshot, 50, 1))


class Slope:
    """An account whose headroom is a function of one move."""

    factor_count = 1

    def __init__(self, headroom):
        self.headroom, self.looked = headroom, []

    def headrooms(self, moves):
        return np.array([self.headroom(round(float(move), 9)) for (move,) in moves])

    def look_closely(self, moves):
        self.looked.append([float(move) for (move,) in moves])
        return False


def crossing(headroom):
    return smallest_crossing(Slope(headroom), ((-0.1, -0.2, -0.3, -0.4, -0.5), (0.1, 0.2, 0.3, 0.4, 0.5)), lambda size: np.array([size]))


def test_an_account_exactly_on_the_line_is_at_distance_zero():
    assert crossing(lambda _: 0.0) == 0.0


def test_a_market_that_only_touches_the_line_liquidates_there():
    assert crossing(lambda move: abs(move + 0.2)) == -0.2


def test_nothing_is_said_of_what_lies_beyond_a_market_that_cannot_be_valued():
    """Three sizes are looked at together: the fourth would be past the one that nothing is known of."""
    assert crossing(lambda move: math.nan if move == -0.3 else -1.0 if move == -0.5 else 1.0) is None


def test_the_search_begins_where_the_middle_and_the_end_of_each_side_were_revalued_in_full():
    account = Slope(lambda _: 1.0)
    smallest_crossing(account, ((-0.1, -0.2, -0.3), (0.1, 0.4)), lambda size: np.array([size]))
    assert account.looked[0] == [-0.2, -0.3, 0.4, 0.4]
