"""Every limit of collateral, where it binds and where it does not, and the tightest of several."""

import numpy as np
import pytest
from scipy.optimize import linprog

from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.engine.collateral_limits import NO_ISSUER, share_limited
from crossmargin.engine.collateral_split import held_assets, split_collateral
from crossmargin.engine.portfolio_arrays import haircut_rates, portfolio_arrays
from tests.builders import (
    Revalued,
    a_haircut_row,
    a_portfolio,
    a_revalued_market,
    charges_document,
    coin,
    risk_parameters,
    risk_parameters_document,
    stablecoin,
)

RISKED, PLEDGED = CollateralPolicy.RISKED, CollateralPolicy.PLEDGED
FLAT = [0.0, 0.0]
SUPPLY = [{"curve": "spot:RLUSD", "units": "20000"}]


@pytest.mark.parametrize("policy", [RISKED, PLEDGED])
@pytest.mark.parametrize(("fraction", "counted"), [("0", 0.0), ("0.1", 500.0), ("0.2", 1000.0), ("0.3", 1000.0)])
def test_a_share_of_the_daily_volume_of_its_group_is_all_that_counts(policy, fraction, counted):
    split = _split({"RLUSD": 1000}, a_haircut_row("RLUSD", volume_limit_fraction=fraction), policy=policy)
    assert split.value_in_equity == pytest.approx([counted])
    assert split.over_limit == pytest.approx([1000.0 - counted])


@pytest.mark.parametrize("policy", [RISKED, PLEDGED])
@pytest.mark.parametrize(("fraction", "counted"), [("0", 0.0), ("0.01", 200.0), ("0.05", 1000.0), ("1", 1000.0)])
def test_a_share_of_the_circulating_supply_is_all_that_counts(policy, fraction, counted):
    split = _split({"RLUSD": 1000}, a_haircut_row("RLUSD", supply_limit_fraction=fraction), policy=policy)
    assert split.value_in_equity == pytest.approx([counted])


def test_the_supply_is_a_number_of_units_and_not_of_dollars():
    split = _split({"RLUSD": 1000}, a_haircut_row("RLUSD", supply_limit_fraction="0.01"), price=0.9)
    assert split.value_in_equity == pytest.approx([200 * 0.9])


def test_an_asset_limited_by_a_supply_that_nobody_stated_counts_nothing():
    split = _split({"RLUSD": 1000}, a_haircut_row("RLUSD", supply_limit_fraction="1"), circulating_supply=[])
    assert split.value_in_equity.tolist() == [0.0]


def test_the_base_currency_trades_in_no_group_and_has_no_limit_by_volume():
    split = _split({"USD": 1000}, a_haircut_row("RLUSD"), a_haircut_row("USD", volume_limit_fraction="0"))
    assert split.value_in_equity.tolist() == [1000.0]


@pytest.mark.parametrize(
    ("limits", "counted"),
    [
        ({"absolute_limit": 100, "volume_limit_fraction": "0.1", "supply_limit_fraction": "0.01", "share_limit": "0.4"}, 100.0),
        ({"absolute_limit": 600, "volume_limit_fraction": "0.01", "supply_limit_fraction": "0.01", "share_limit": "0.4"}, 50.0),
        ({"absolute_limit": 600, "volume_limit_fraction": "0.1", "supply_limit_fraction": "0.01", "share_limit": "0.4"}, 200.0),
        ({"absolute_limit": 600, "volume_limit_fraction": "0.1", "supply_limit_fraction": "0.9", "share_limit": "0.2"}, 250.0),
    ],
)
def test_the_tightest_limit_is_the_one_that_counts(limits, counted):
    split = _split({"RLUSD": 1000, "USD": 1000}, a_haircut_row("RLUSD", **limits))
    assert split.value_in_equity == pytest.approx([counted, 1000.0])


@pytest.mark.parametrize(("limit", "counted"), [("0", [0.0, 0.0]), ("60", [20.0, 40.0]), ("90", [30.0, 60.0]), ("1000", [30.0, 60.0])])
def test_what_an_issuer_limit_takes_it_takes_from_all_that_is_the_issuers(limit, counted):
    split = _split({"RLUSD": 30, "XRP": 30, "USD": 500}, a_haircut_row("RLUSD"), a_haircut_row("XRP"), issuer_limit=limit)
    assert split.value_in_equity == pytest.approx([counted[0], 500.0, counted[1]])


def test_an_issuer_limit_is_on_values_after_haircuts_and_what_counts_keeps_its_own():
    rows = a_haircut_row("RLUSD", residual="0.02"), a_haircut_row("XRP", residual="0.05")
    split = _split({"RLUSD": 100, "XRP": 50, "USD": 500}, *rows, issuer_limit="96.5")
    assert split.value_in_equity == pytest.approx([49.0, 500.0, 47.5])
    assert split.haircut == pytest.approx([1.0, 0.0, 2.5])
    assert split.over_limit == pytest.approx([50.0, 0.0, 50.0])


@pytest.mark.parametrize(
    ("values", "shares", "issuer", "limits", "expected"),
    [
        ([60.0, 1000.0], [np.inf, 0.4], [NO_ISSUER, 0], [20.0], [60.0, 20.0]),
        ([60.0, 1000.0], [np.inf, 0.4], [NO_ISSUER, 0], [50.0], [60.0, 40.0]),
        ([60.0, 1000.0, 1000.0], [np.inf, 0.4, np.inf], [NO_ISSUER, 0, 0], [40.0], [60.0, 40 * 40 / 1040, 40 * 1000 / 1040]),
        ([100.0, 100.0], [0.4, np.inf], [NO_ISSUER, 0], [30.0], [20.0, 30.0]),
        ([100.0, 100.0, 100.0], [0.5, 0.5, 0.5], [0, 1, NO_ISSUER], [10.0, 20.0], [10.0, 20.0, 30.0]),
    ],
)
def test_shares_and_issuers_are_solved_together(values, shares, issuer, limits, expected):
    counted = share_limited(np.array(values), np.array(shares), issuer=np.array(issuer), issuer_limits=np.array(limits)).counted
    assert counted == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(40))
def test_what_counts_is_the_most_that_the_limits_allow(seed):
    """Against the linear program that says what the limits are."""
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 7))
    values = random.uniform(0, 100, count)
    shares = np.where(random.random(count) < 0.5, np.inf, random.uniform(0.05, 0.9, count))
    issuer = random.integers(-1, 2, count)
    limits = random.uniform(0, 80, 2)
    rows = [np.eye(count)[place] - share for place, share in enumerate(shares) if np.isfinite(share)]
    rows += [(issuer == one).astype(float) for one in range(2)]
    ends = [0.0] * int(np.isfinite(shares).sum()) + limits.tolist()
    best = linprog(-np.ones(count), A_ub=rows, b_ub=ends, bounds=[(0, value) for value in values])
    assert share_limited(values, shares, issuer=issuer, issuer_limits=limits).counted.sum() == pytest.approx(-best.fun, rel=1e-7, abs=1e-7)


def _split(held, *rows, policy=RISKED, price=1.0, issuer_limit=None, circulating_supply=SUPPLY):
    market = a_revalued_market(
        Revalued(stablecoin("RLUSD", collateral_class="RLUSD"), price, {"RLUSD": FLAT}),
        Revalued(coin("XRP", collateral_class="XRP"), 2.0, {"XRP": FLAT}),
    )
    groups = [group | {"curves": group["curves"] or [f"spot:{group['group_id']}"]} for group in risk_parameters_document()["offset_groups"]]
    moves = {"spot:RLUSD": "-0.12", "spot:XRP": "-0.5"}
    issuers = [{"issuer_id": "RIPPLE", "is_own_issue": False, "moves": moves, "collateral_limit": issuer_limit}]
    charges = charges_document(groups, rows={"RLUSD": {"average_daily_volume": "5000"}}, issuers=issuers)
    schedule = rows if any(row["collateral_class"] == "USD" for row in rows) else (*rows, a_haircut_row("USD"))
    parameters = risk_parameters(
        offset_groups=groups, charges=charges, haircut_schedule=list(schedule), circulating_supply=circulating_supply
    )
    portfolio = a_portfolio(held, policies=dict.fromkeys(held, policy))
    arrays = portfolio_arrays(portfolio, market)
    return split_collateral(held_assets(arrays, market, haircut_rates(parameters)), arrays, arrays.risked_fraction)


@pytest.mark.parametrize(
    ("values", "shares", "issuer", "limits", "counted"),
    [
        # Shares that add up to all, where an issuer's limit decides: 0.4 T = 40, and the others follow.
        ([300, 300, 200], [0.4, 0.4, 0.2], [0, -1, -1], [40], [40, 40, 20]),
        ([100, 100], [0.5, 0.5], [0, -1], [40], [40, 40]),
        ([100, 100], [0.5, 0.5], [0, 1], [40, 40], [40, 40]),
        # An issuer of whose limit nothing is left takes the others along, because nothing else is held.
        ([60, 100, 100], [0.4, 0.4, 0.2], [0, -1, -1], [0], [0, 0, 0]),
        ([60, 2], [0.5, 0.5], [0, 1], [10_000, 0], [0, 0]),
        # Alone, at a share of all.
        ([60], [1.0], [0], [40], [40]),
        ([60], [1.0], [-1], [], [60]),
        # Met exactly, at values that no float holds.
        ([1.1, 1.1, 0.55], [0.4, 0.4, 0.2], [-1, -1, -1], [], [1.1, 1.1, 0.55]),
        ([0.1 + 0.2, 0.3], [0.5, 0.5], [-1, -1], [], [0.3, 0.3]),
    ],
)
def test_limits_that_bind_at_once(values, shares, issuer, limits, counted):
    found = share_limited(np.array(values, float), np.array(shares), issuer=np.array(issuer), issuer_limits=np.array(limits, float))
    assert found.counted == pytest.approx(counted, abs=1e-9)
    assert np.isfinite(found.slope).all()
    assert (found.slope >= 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_at_round_numbers_where_limits_meet_the_most_that_satisfies_them_counts(seed):
    """Against the linear program above, at the corners that random numbers never hit."""
    random = np.random.default_rng(seed)
    for _ in range(60):
        count, issuers = int(random.integers(1, 6)), int(random.integers(0, 3))
        values = random.choice([0, 1, 2, 30, 40, 60, 100], count).astype(float)
        shares, limits = random.choice([0.1, 0.2, 0.25, 0.4, 0.5, 1.0, np.inf], count), random.choice([0.0, 1, 40, 50, 1e4], issuers)
        issuer = random.integers(-1, issuers, count)
        rows = [np.eye(count)[place] - share for place, share in enumerate(shares) if np.isfinite(share)]
        bounds = [0.0] * len(rows) + limits.tolist()
        rows += [(issuer == place).astype(float) for place in range(issuers)]
        program = linprog(
            -np.ones(count), A_ub=np.array(rows) if rows else None, b_ub=bounds or None, bounds=[(0, value) for value in values]
        )
        found = share_limited(values, shares, issuer=issuer, issuer_limits=limits)
        assert found.counted.sum() == pytest.approx(-program.fun, abs=1e-6)
        assert (found.counted <= values + 1e-12).all()
