"""The revaluation has the bits of one that takes every instrument by itself, prepared before or not, whatever changes between snapshots."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal

import numpy as np
import pytest

from crossmargin.domain.errors import Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.engine.kernels.choice import Kernels
from crossmargin.engine.revaluation import RevaluedMarket, moved_values, prepared, revalue_market, revalue_moved_market
from tests.builders import charges_document
from tests.reference.slow_revaluation import slow_market, slow_moved_markets
from tests.unit.engine.revaluation.markets import ASSETS, GROUPS, an_option, parameters, random_scenarios
from tests.unit.engine.revaluation.random_markets import a_book, a_market, some_scenarios

ISSUER = {"issuer_id": "ACME", "moves": {"spot:BTC": "-0.3"}, "collateral_limit": "1000000", "is_own_issue": False}
RULES = parameters()
SEEDS = range(6)


def assert_same_bits(one: RevaluedMarket, other: RevaluedMarket) -> None:
    for field in fields(RevaluedMarket):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, np.ndarray):
            assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape), field.name
            assert mine.tobytes() == theirs.tobytes(), field.name
        elif field.name == "unavailable":
            assert [*mine] == [*theirs]
            assert {name: (error.reason, error.message, error.facts) for name, error in mine.items()} == {
                name: (error.reason, error.message, error.facts) for name, error in theirs.items()
            }
        elif field.name != "departure":
            assert mine == theirs or mine is theirs, field.name


@pytest.mark.parametrize("kernels", Kernels)
@pytest.mark.parametrize("seed", SEEDS)
def test_random_markets_have_the_same_bits(seed, kernels):
    random = np.random.default_rng(seed)
    book = a_book(random)
    snapshot = a_market(random, book)
    drawn = some_scenarios(random, snapshot)
    mine = revalue_market(book, snapshot, drawn, RULES, kernels=kernels)
    assert_same_bits(mine, slow_market(book, snapshot, drawn, RULES, kernels))
    assert len(mine.instruments) > 30
    assert len(mine.unavailable) > 3


def test_joint_shocks_of_issuers_and_values_beyond_numbers_have_the_same_bits():
    random = np.random.default_rng(50)
    book = a_book(random)
    snapshot = a_market(random, book)
    drawn = random_scenarios(snapshot, 20, seed=1)
    shocks = drawn.shocks.copy()
    shocks[3, [place for place, factor in enumerate(drawn.factors) if str(factor) == "zero:USD:30Y"]] = -1e4
    wild = replace(drawn, shocks=shocks)
    rules = parameters(charges=charges_document(GROUPS, issuers=[ISSUER]))
    mine = revalue_market(book, snapshot, wild, rules)
    assert_same_bits(mine, slow_market(book, snapshot, wild, rules, Kernels.NUMPY))
    assert mine.issuer_leg_pnl.shape[0] == 1
    assert Reason.INVALID_SNAPSHOT in {error.reason for error in mine.unavailable.values()}


def test_a_book_prepared_once_has_the_same_bits_in_every_snapshot_whatever_changes_between_them():
    """Ticks of a second, then a day on which coupons fall due and options end; nodes of curves come and go."""
    random = np.random.default_rng(9)
    book = a_book(random)
    ready = prepared(book)
    for seconds in (0, 1, 2, 86_400, 30 * 86_400, 400 * 86_400, 3):
        snapshot = a_market(random, book, seconds=seconds)
        drawn = some_scenarios(random, snapshot)
        assert_same_bits(revalue_market(ready, snapshot, drawn, RULES), slow_market(book, snapshot, drawn, RULES, Kernels.NUMPY))


def test_instruments_that_are_listed_or_have_other_terms_change_no_bit_of_the_others():
    random = np.random.default_rng(10)
    book = a_book(random)
    snapshot = a_market(random, book)
    drawn = some_scenarios(random, snapshot)
    changed = [replace(each, terms=replace(each.terms, multiplier=Decimal(77))) if each.instrument_id == "Z3" else each for each in book]
    for others in ([*book, an_option("NEW", strike=61_000)], book[: len(book) // 2] + list(ASSETS), changed):
        unique = list({each.instrument_id: each for each in others}.values())
        mine = revalue_market(unique, snapshot, drawn, RULES)
        assert_same_bits(mine, slow_market(unique, snapshot, drawn, RULES, Kernels.NUMPY))
    assert InstrumentId("Z3") in mine.row_of


@pytest.mark.parametrize("seed", range(3))
def test_moved_markets_and_moved_values_have_the_same_bits(seed):
    random = np.random.default_rng(20 + seed)
    book = a_book(random)
    snapshot = a_market(random, book)
    drawn = random_scenarios(snapshot, 12, seed=seed)
    moves = np.random.default_rng(seed).normal(0, 0.02, (3, len(drawn.factors)))
    mine = revalue_moved_market(prepared(book), snapshot, moves, drawn, RULES)
    theirs = slow_moved_markets(book, snapshot, moves, drawn, RULES, Kernels.NUMPY)
    for one, other in zip(mine, theirs, strict=True):
        assert_same_bits(one, other)
    units, _ = moved_values([each for each in book if each.settlement in mine[0].row_of], snapshot, moves, drawn, RULES)
    ordered = sorted(each.instrument_id for each in book if each.settlement in mine[0].row_of)
    for place, market in enumerate(mine):
        rows = [ordered.index(each.instrument_id) for each in market.instruments]
        assert units[rows, place].tobytes() == market.unit_value.tobytes()
