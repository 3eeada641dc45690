"""The same account has the same numbers, bit for bit, on any number of threads and in whatever company it is margined."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId
from crossmargin.engine.house_view import house_view
from crossmargin.engine.netting import leg_holdings, netted_pnl, stacked
from crossmargin.engine.portfolio_arrays import portfolio_arrays
from crossmargin.engine.portfolio_margin import compute_margin
from crossmargin.engine.tail_mean import tail_means
from tests.benchmarks.houses import a_market, an_account, parameters_of_the_house
from tests.builders import a_portfolio
from tests.charge_books import a_market as a_charged_market
from tests.charge_books import parameters

ROOT = Path(__file__).parents[2]
MARKET, RULES = a_market(300, 400), parameters_of_the_house()
SLOW_RULES = parameters_of_the_house(average_daily_volume="100")
HOUSE = [an_account(seed, 20 + 15 * seed, MARKET) for seed in range(8)]
BITS = """
import sys
import numpy as np
from scipy.linalg.blas import ddot
sys.path.insert(0, sys.argv[1])
from crossmargin.engine.collateral_choice import choices
from tests.benchmarks.auto_books import Shape, auto_book
# Long enough that a BLAS with two threads cuts them in two.
one, other = np.random.default_rng(1).standard_normal((2, 1_000_000))
print(float(one @ other).hex(), ddot(one, other).hex())
for seed in (0, 2):
    for choice in choices(*auto_book(seed, Shape(group_count=50, class_count=6)).asked):
        print(choice.risked_fraction.tobytes().hex(), choice.excess.hex(), choice.bound.hex())
"""


def test_the_order_of_accounts_and_the_number_of_threads_change_nothing():
    alone = [compute_margin(portfolio, MARKET, RULES) for portfolio in HOUSE]
    backwards = [compute_margin(portfolio, MARKET, RULES) for portfolio in reversed(HOUSE)]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda portfolio: compute_margin(portfolio, MARKET, RULES), HOUSE))
    assert alone == backwards[::-1] == together


def test_the_order_of_accounts_changes_nothing_of_the_house_either():
    """Every owner has three accounts, which are charged together for what would take days to sell."""
    owned = [_of_owner(place, portfolio) for place, portfolio in enumerate(HOUSE[:6])]
    view = house_view(owned, MARKET, SLOW_RULES)
    assert len(view.owner_liquidity) > 1
    for order in ([5, 4, 3, 2, 1, 0], [2, 4, 0, 5, 1, 3], [4, 1, 2, 3, 0, 5]):
        again = house_view([owned[place] for place in order], MARKET, SLOW_RULES)
        assert (again.view_id, again.owner_liquidity) == (view.view_id, view.owner_liquidity)


def test_the_block_that_a_row_is_reduced_in_changes_nothing():
    rows = np.concatenate([_rows(portfolio) for portfolio in HOUSE])
    weights = MARKET.scenarios.weights
    whole = tail_means(rows, weights, 0.025)
    for size in (1, 7, 33):
        parts = [tail_means(rows[start : start + size], weights, 0.025) for start in range(0, len(rows), size)]
        assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_sums_and_splits_are_the_same_on_any_number_of_threads_of_the_linear_algebra():
    assert _bits(threads=1) == _bits(threads=2)


def test_what_was_margined_before_leaves_nothing_behind():
    market, rules = a_charged_market(), parameters()
    book = {"BTC": 3, "XRP": 200, "USD": 100, "PERP": (-2, -200)}
    auto = a_portfolio(book, policies=dict.fromkeys(("BTC", "XRP"), CollateralPolicy.AUTO))
    first = compute_margin(auto, market, rules)
    compute_margin(a_portfolio(book, policies={"BTC": CollateralPolicy.PLEDGED}), market, rules)
    assert compute_margin(auto, market, rules) == first


def _of_owner(place, portfolio):
    return replace(portfolio, account=AccountRef(ClientId(f"owner-{place % 2}"), AccountId(f"account-{place // 2}")))


def _rows(portfolio):
    arrays = portfolio_arrays(portfolio, MARKET)
    return stacked(netted_pnl(leg_holdings(arrays, arrays.quantity, MARKET), MARKET))


def _bits(*, threads):
    environment = os.environ | {"OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-c", BITS, str(ROOT)]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
