from dataclasses import replace

import numpy as np
import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.engine.methodologies.tims_grid import (
    MoveRange,
    contract_minimums,
    tims_requirements,
    valuation_moves,
    valuation_pnl,
    worst_losses,
)
from tests.unit.engine.methodologies.shipped_parameters import TIMS_GRID


@pytest.mark.parametrize(
    ("underlying_class", "moves"),
    [
        ("HIGH_CAP_INDEX", [-0.08, -0.064, -0.048, -0.032, -0.016, 0.012, 0.024, 0.036, 0.048, 0.06]),
        ("BROAD_INDEX", [-0.10, -0.08, -0.06, -0.04, -0.02, 0.02, 0.04, 0.06, 0.08, 0.10]),
        ("OTHER", [-0.15, -0.12, -0.09, -0.06, -0.03, 0.03, 0.06, 0.09, 0.12, 0.15]),
    ],
)
def test_five_moves_down_and_five_up_for_each_class(underlying_class, moves):
    assert valuation_moves(TIMS_GRID.range_of(underlying_class)) == pytest.approx(moves, rel=1e-12)


def test_a_loss_inside_the_range_is_found():
    # A short butterfly loses most in the middle of a wing, not at an end.
    pnl = valuation_pnl(lambda move: np.maximum(0.0, 0.1 - np.abs(move - 0.06))[np.newaxis] * -1000, TIMS_GRID.range_of("OTHER"))
    assert worst_losses(pnl).tolist() == pytest.approx([60.0])


def test_profits_are_changes_from_the_unmoved_value():
    pnl = valuation_pnl(lambda move: 200.0 * (1 + move)[np.newaxis], MoveRange(lowest_fraction=-0.5, highest_fraction=1.0))
    assert pnl[0, [0, -1]].tolist() == [-100.0, 200.0]


def test_bought_and_sold_contracts_add_up_and_every_group_has_its_own_minimum():
    contracts, multipliers, groups = np.array([1.0, -1.0, 3.0, -0.5]), np.array([100.0, 100.0, 10.0, 1.0]), np.array([1, 1, 0, 0])
    minimums = contract_minimums(contracts, multipliers, groups, group_count=3, contract_minimum=0.375)
    assert minimums.tolist() == [0.375 * 30.5, 75.0, 0.0]


def test_the_requirement_is_the_larger_of_loss_and_minimum():
    pnl = np.zeros((2, 10))
    pnl[:, 4] = -50.0
    assert tims_requirements(pnl, np.array([40.0, 60.0])).tolist() == [50.0, 60.0]


def test_a_book_without_a_loss_still_needs_its_contract_minimum():
    assert tims_requirements(np.full((1, 10), 7.0), np.array([37.5])).tolist() == [37.5]


def test_another_number_of_points_is_refused():
    with pytest.raises(ValueError, match="11 valuation points"):
        worst_losses(np.zeros((1, 11)))


def test_a_class_without_a_range_is_refused_by_name():
    with pytest.raises(DomainError) as caught:
        TIMS_GRID.range_of("CRYPTO")
    assert caught.value.reason is Reason.INVALID_RISK_PARAMETERS
    assert caught.value.facts["underlying_class"] == "CRYPTO"


@pytest.mark.parametrize("ends", [(0.0, 0.1), (-1.0, 0.1), (0.05, 0.1), (-0.1, 0.0), (-0.1, -0.05)])
def test_a_range_that_does_not_reach_both_ways_is_refused(ends):
    with pytest.raises(DomainError) as caught:
        MoveRange(*ends)
    assert caught.value.reason is Reason.INVALID_RISK_PARAMETERS


@pytest.mark.parametrize("change", [{"ranges": {}}, {"contract_minimum": -0.1}])
def test_parameters_without_ranges_or_with_a_negative_minimum_are_refused(change):
    with pytest.raises(DomainError) as caught:
        replace(TIMS_GRID, **change)
    assert caught.value.reason is Reason.INVALID_RISK_PARAMETERS
