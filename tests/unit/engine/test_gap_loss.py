"""What goes beyond the equity of an isolated account is the broker's, and only that."""

import doctest
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from crossmargin.domain.account import AccountMode
from crossmargin.domain.margin import GapLoss
from crossmargin.engine import gap_loss as module
from crossmargin.engine.gap_loss import gap_loss
from crossmargin.engine.portfolio_margin import compute_margin
from tests.builders import Revalued, a_portfolio, a_revalued_market, a_scenario_set, perpetual, risk_parameters

D = Decimal
FALL = [-40.0, -10.0, 5.0, 20.0]
MARKET = a_revalued_market(Revalued(perpetual("PERP"), 100.0, {"BTC": FALL}), groups={"BTC": "CRYPTO"}, weights=[0.1, 0.2, 0.3, 0.4])


def gap(cash_held, quantity=1, mode=AccountMode.ISOLATED):
    book = {"USD": cash_held, "PERP": (quantity, 100 * quantity)}
    return compute_margin(a_portfolio(book, mode=mode), MARKET, risk_parameters()).gap


def test_examples_hold():
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("cash_held", "expected", "worst", "name"),
    [
        (100, "0", "0", ""),  # nothing gets through
        (40, "0", "0", ""),  # the worst scenario takes all there is and no more
        (15, "2.5", "25", "move 0"),  # 0.1 x 25
        (5, "4.5", "35", "move 0"),  # 0.1 x 35 + 0.2 x 5
    ],
)
def test_the_put_is_what_losses_take_beyond_equity_by_weight(cash_held, expected, worst, name):
    assert gap(cash_held) == GapLoss(D("0.00"), D(expected), D(worst), name)


def test_equity_below_zero_is_borne_already_and_counts_in_every_scenario():
    # 20 below zero: 0.1 x 60 + 0.2 x 30 + 0.3 x 15 + 0.4 x 0
    assert gap(-20) == GapLoss(D(20), D("16.5"), D(60), "move 0")


def test_a_short_loses_where_a_long_gains():
    assert gap(10, quantity=-1) == GapLoss(D("0.00"), D(4), D(10), "move 3")


def test_a_cross_account_has_none():
    assert gap(5, mode=AccountMode.CROSS) is None


def test_a_fraction_of_a_cent_is_a_cent():
    scenarios = replace(a_scenario_set(2), weights=np.array([0.001, 0.999]))
    assert gap_loss(0.0, np.array([-1.0, 1.0]), scenarios, scale=1.0).expected == D("0.01")


def test_neither_requirement_nor_equity_knows_of_it():
    """Measured and never charged: the same figures as a cross account in which all diversification counts."""
    book = {"USD": 5, "PERP": (1, 100)}
    isolated = compute_margin(a_portfolio(book, mode=AccountMode.ISOLATED), MARKET, risk_parameters())
    cross = compute_margin(a_portfolio(book), MARKET, risk_parameters(offset_within_class="1", offset_across_classes="1"))
    assert (isolated.requirement, isolated.equity, isolated.band) == (cross.requirement, cross.equity, cross.band)
