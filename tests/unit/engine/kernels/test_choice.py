"""Either kernels give one margin of a book of every kind of instrument; each is named by what it made, and loaded when it is chosen."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace
from decimal import Decimal

import numpy as np
import pytest

from crossmargin import app
from crossmargin.config import Settings
from crossmargin.engine import ENGINE_VERSION
from crossmargin.engine.kernels.choice import KERNELS_OF_ENGINE, Kernels
from crossmargin.engine.portfolio_margin import compute_margin
from crossmargin.engine.revaluation import revalue_market, revalue_moved_market
from crossmargin.engine.stress import moved_market
from tests.builders import a_portfolio
from tests.unit.engine.stressed_books import INSTRUMENTS, RULES, SCENARIOS, SNAPSHOT, a_move

NUMPY = revalue_market(INSTRUMENTS, SNAPSHOT, SCENARIOS, RULES)
NUMBA = revalue_market(INSTRUMENTS, SNAPSHOT, SCENARIOS, RULES, kernels=Kernels.NUMBA)
WITHOUT = "import sys, crossmargin.app, crossmargin.usecases.current_market; sys.exit('numba' in sys.modules)"


def assert_same_market(one, other):
    """The same to 1e-12 of what an instrument is worth, and to the bit where no option and no payment is in between."""
    size = 1e-12 * np.maximum(np.abs(one.unit_value), one.notional_unit)
    assert np.all(np.abs(one.unit_value - other.unit_value) <= size)
    assert np.all(np.abs(one.leg_pnl - other.leg_pnl) <= size[one.leg_instrument, np.newaxis])
    for part in ("leg_group", "settlement_price", "groups", "residual_years", "basis_kind", "is_option"):
        assert np.array_equal(getattr(one, part), getattr(other, part)), part
    assert one.unavailable.keys() == other.unavailable.keys()


def test_a_market_is_the_same_by_either():
    assert_same_market(NUMPY, NUMBA)
    assert (NUMPY.leg_pnl != NUMBA.leg_pnl).any(), "both by the same kernels"


def test_a_moved_market_is_revalued_by_what_it_was_revalued_by():
    move = a_move(spot_BTC=-0.3)
    moved = moved_market(NUMBA, RULES, move)
    assert moved.kernels is Kernels.NUMBA
    assert_same_market(moved_market(NUMPY, RULES, move), moved)
    (direct,) = revalue_moved_market(NUMBA.instruments, SNAPSHOT, move[np.newaxis], SCENARIOS, RULES, kernels=Kernels.NUMBA)
    assert moved.leg_pnl.tobytes() == direct.leg_pnl.tobytes()


@pytest.mark.parametrize("seed", range(10))
def test_margins_of_random_books_agree(seed):
    random = np.random.default_rng(seed)
    names = [str(each.instrument_id) for each in NUMPY.instruments]
    held = {name: int(random.integers(-50, 50)) or 1 for name in random.choice(names, 12, replace=False)}
    portfolio = a_portfolio({**held, "USD": 10_000_000})
    one, other = (compute_margin(portfolio, market, RULES) for market in (NUMPY, NUMBA))
    size = abs(one.requirement.maintenance_margin) + abs(one.equity.equity) + 10_000_000
    for part in ("maintenance_margin", "initial_margin"):
        difference = getattr(one.requirement, part) - getattr(other.requirement, part)
        assert abs(difference) <= Decimal("1e-12") * size, part
    assert abs(one.equity.equity - other.equity.equity) <= Decimal("1e-12") * size


def test_a_result_names_the_kernels_and_nothing_else_of_its_stamp_differs():
    one, other = (compute_margin(a_portfolio({"USD": 1}), market, RULES).stamp for market in (NUMPY, NUMBA))
    assert (one.engine_version, other.engine_version) == (ENGINE_VERSION, f"{ENGINE_VERSION}+numba")
    assert replace(other, engine_version=one.engine_version) == one
    assert {Kernels.NUMPY, Kernels.NUMBA} == set(KERNELS_OF_ENGINE.values())
    assert len(fields(one)) > 5


def test_instruments_and_scenarios_beside_an_instrument_change_no_bit_of_it():
    """What reproduces a margin revalues what is held alone."""
    few = [each for each in INSTRUMENTS if each.is_asset or "OPTION" in each.instrument_id or "BOND" in each.instrument_id]
    assert 6 < len(few) < len(INSTRUMENTS)
    part = revalue_market(few, SNAPSHOT, SCENARIOS, RULES, kernels=Kernels.NUMBA)
    for row, instrument in enumerate(part.instruments):
        whole_row = NUMBA.row_of[instrument.instrument_id]
        assert part.unit_value[row] == NUMBA.unit_value[whole_row]
        assert part.leg_pnl[part.leg_instrument == row].tobytes() == NUMBA.leg_pnl[NUMBA.leg_instrument == whole_row].tobytes()


def test_nothing_of_numba_is_imported_unless_it_is_chosen():
    assert subprocess.run([sys.executable, "-c", WITHOUT], check=False, timeout=60).returncode == 0
    assert Settings().kernels == "numpy"


def test_without_the_package_the_service_says_what_to_install(monkeypatch):
    monkeypatch.setattr("crossmargin.engine.kernels.choice.find_spec", lambda _: None)
    with pytest.raises(app.StartError, match=r"kernels numba .*pip install 'crossmargin\[kernels\]'"):
        app.serve(Settings(embedded=True, insecure=True, kernels="numba"))
