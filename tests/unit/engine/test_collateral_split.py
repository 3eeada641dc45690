import math

import numpy as np
import pytest

from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.engine.collateral_limits import share_limited
from crossmargin.engine.collateral_split import held_assets, split_collateral
from crossmargin.engine.collateral_terms import tiered_haircut
from crossmargin.engine.portfolio_arrays import haircut_rates, portfolio_arrays
from tests.builders import (
    Revalued,
    a_haircut_row,
    a_portfolio,
    a_revalued_market,
    bill,
    cash,
    coin,
    fx_forward,
    perpetual,
    risk_parameters,
    stablecoin,
)

PLEDGED, RISKED = CollateralPolicy.PLEDGED, CollateralPolicy.RISKED


def test_risked_collateral_loses_the_residual_haircut_and_stays_in_the_scenarios():
    line = _split_one(coin(), quantity=2, value=50.0, row=a_haircut_row("BTC", residual="0.02", flat="0.2"), policy=RISKED)
    assert line == {"market_value": 100.0, "haircut": 2.0, "over_limit": 0.0, "value_in_equity": 98.0, "scenario_quantity": 2.0}


def test_pledged_collateral_loses_the_flat_haircut_and_leaves_the_scenarios():
    line = _split_one(coin(), quantity=2, value=50.0, row=a_haircut_row("BTC", residual="0.02", flat="0.2"), policy=PLEDGED)
    assert line == {"market_value": 100.0, "haircut": 20.0, "over_limit": 0.0, "value_in_equity": 80.0, "scenario_quantity": 0.0}


def test_risked_is_the_policy_of_who_said_nothing():
    line = _split_one(coin(), quantity=2, value=50.0, row=a_haircut_row("BTC", residual="0.02", flat="0.2"), policy=None)
    assert line["haircut"] == 2.0


@pytest.mark.parametrize(("value", "haircut"), [(0.0, 0.0), (80.0, 8.0), (100.0, 10.0), (150.0, 35.0), (200.0, 60.0), (300.0, 160.0)])
def test_tiers_are_marginal_and_nothing_counts_above_the_last(value, haircut):
    assert tiered_haircut(value, ((100.0, 0.1), (200.0, 0.5))) == haircut


def test_a_tier_without_end_goes_on():
    assert tiered_haircut(1e9, ((100.0, 0.0), (math.inf, 0.5))) == pytest.approx(0.5e9 - 50)


@pytest.mark.parametrize(("residual_years", "haircut"), [(0.0, 1.0), (1.0, 1.0), (1.01, 10.0), (30.0, 40.0)])
def test_a_pledged_bond_takes_the_haircut_of_its_maturity(residual_years, haircut):
    row = a_haircut_row("GOVERNMENT", bands=[_band("1", "0.01"), _band("5", "0.1"), _band(None, "0.4")])
    line = _split_one(bill("BILL"), quantity=100, value=1.0, row=row, policy=PLEDGED, residual_years=residual_years)
    assert line["haircut"] == pytest.approx(haircut)


def test_what_has_no_maturity_takes_the_last_band():
    row = a_haircut_row("BTC", bands=[_band("1", "0.01"), _band(None, "0.4")])
    assert _split_one(coin(), quantity=100, value=1.0, row=row, policy=PLEDGED)["haircut"] == 40.0


def test_pledged_money_of_another_currency_takes_the_scaled_mismatch_haircut():
    row = a_haircut_row("G10-CASH", flat="0.01", has_fx_mismatch=True)
    line = _split_one(_euro(), quantity=100, value=1.0, row=row, policy=PLEDGED, translation_days=2.5)
    assert line["haircut"] == pytest.approx(100 * (0.01 + 0.08 * math.sqrt(2.5 / 10)))


@pytest.mark.parametrize(
    ("policy", "has_fx_mismatch", "translation_days"), [(RISKED, True, 2.0), (PLEDGED, False, 2.0), (PLEDGED, True, 0.0)]
)
def test_no_mismatch_haircut_when_risked_or_not_asked_for_or_in_base_currency(policy, has_fx_mismatch, translation_days):
    row = a_haircut_row("G10-CASH", has_fx_mismatch=has_fx_mismatch)
    assert _split_one(_euro(), quantity=100, value=1.0, row=row, policy=policy, translation_days=translation_days)["haircut"] == 0.0


def test_above_the_last_tier_a_mismatch_takes_nothing_off_what_still_counts():
    bands = [{"up_to_years": None, "tiers": [{"up_to": "100", "haircut_fraction": "0.1"}]}]
    row = a_haircut_row("G10-CASH", bands=bands, has_fx_mismatch=True)
    lines = [_split_one(_euro(), quantity=held, value=1.0, row=row, policy=PLEDGED, translation_days=10.0) for held in (100, 1000)]
    assert [line["value_in_equity"] for line in lines] == pytest.approx([82.0, 82.0])


def test_haircuts_never_take_more_than_the_value():
    row = a_haircut_row("G10-CASH", flat="0.99", has_fx_mismatch=True)
    line = _split_one(_euro(), quantity=100, value=1.0, row=row, policy=PLEDGED, translation_days=10.0)
    assert (line["haircut"], line["value_in_equity"]) == (100.0, 0.0)


@pytest.mark.parametrize("collateral_class", [None, "NOT-IN-THE-SCHEDULE"])
@pytest.mark.parametrize("policy", [RISKED, PLEDGED])
def test_an_asset_that_is_not_eligible_counts_nowhere(collateral_class, policy):
    line = _split_one(coin(collateral_class=collateral_class), quantity=2, value=50.0, row=a_haircut_row("BTC"), policy=policy)
    assert line == {"market_value": 100.0, "haircut": 0.0, "over_limit": 100.0, "value_in_equity": 0.0, "scenario_quantity": 0.0}


@pytest.mark.parametrize("policy", [RISKED, PLEDGED])
@pytest.mark.parametrize("collateral_class", [None, "BTC"])
def test_what_is_owed_counts_in_full_and_always_in_the_scenarios(policy, collateral_class):
    line = _split_one(
        coin(collateral_class=collateral_class),
        quantity=-2,
        value=50.0,
        row=a_haircut_row("BTC", residual="0.1", flat="0.5"),
        policy=policy,
    )
    assert line == {"market_value": -100.0, "haircut": 0.0, "over_limit": 0.0, "value_in_equity": -100.0, "scenario_quantity": -2.0}


def test_a_contract_is_worth_its_mark_less_its_cost_at_the_settlement_price():
    market = a_revalued_market(Revalued(_euro(), 1.2), Revalued(perpetual("PERP", settlement="EUR"), 120.0))
    split = _split(a_portfolio({"PERP": (2, 150)}, policies={"PERP": PLEDGED}), market, a_haircut_row("USD"))
    assert split.value_in_equity.tolist() == [240.0 - 150 * 1.2]
    assert split.scenario_quantity.tolist() == [2.0]
    assert (list(split.collateral), list(split.liability), list(split.contract)) == ([], [], [0])


def test_a_forward_of_either_sign_is_a_contract():
    market = a_revalued_market(Revalued(fx_forward("FWD"), -0.02))
    split = _split(a_portfolio({"FWD": 100}), market, a_haircut_row("USD"))
    assert split.value_in_equity == pytest.approx([-2.0])
    assert list(split.contract) == [0]


def test_an_absolute_limit_caps_the_market_value_that_counts():
    row = a_haircut_row("BTC", residual="0.1", flat="0.1", absolute_limit="60")
    line = _split_one(coin(), quantity=2, value=50.0, row=row, policy=RISKED)
    assert line == {"market_value": 100.0, "haircut": 6.0, "over_limit": 40.0, "value_in_equity": 54.0, "scenario_quantity": 2.0}


def test_a_share_limit_caps_what_counts_at_a_share_of_all_that_counts():
    market = a_revalued_market(Revalued(stablecoin(collateral_class="USDC"), 1.0))
    rows = a_haircut_row("USD"), a_haircut_row("USDC", residual="0.02", share_limit="0.4")
    split = _split(a_portfolio({"USD": 60, "USDC": 1000}), market, *rows)
    assert split.value_in_equity == pytest.approx([60.0, 40.0])
    # What still counts keeps its own haircut: 40 = 40.82 less 2%.
    assert split.haircut[1] == pytest.approx(40 / 0.98 * 0.02)
    assert split.scenario_quantity.tolist() == [60.0, 1000.0]


@pytest.mark.parametrize(
    ("values", "limits", "expected"),
    [
        ([60.0, 10.0], [math.inf, 0.4], [60.0, 10.0]),
        ([60.0, 1000.0], [math.inf, 0.4], [60.0, 40.0]),
        ([40.0, 1000.0, 1000.0], [math.inf, 0.4, 0.2], [40.0, 40.0, 20.0]),
        ([40.0, 15.0, 1000.0], [math.inf, 0.4, 0.2], [40.0, 15.0, 13.75]),
        ([100.0, 100.0], [0.5, 0.5], [100.0, 100.0]),
        ([30.0, 70.0], [0.3, 0.7], [30.0, 70.0]),
        ([0.3, 0.7000000000000001], [0.3, 0.7], [0.3, 0.7]),
        ([100.0, 300.0], [0.5, 0.5], [100.0, 100.0]),
        ([100.0, 100.0], [0.4, 0.4], [0.0, 0.0]),
        ([100.0], [0.4], [0.0]),
        ([0.0, 0.0], [math.inf, 0.4], [0.0, 0.0]),
        ([100.0, 50.0, 80.0], [0.6, 0.6, 0.6], [100.0, 50.0, 80.0]),
        ([], [], []),
    ],
)
def test_share_limits_are_solved_together(values, limits, expected):
    counted = share_limited(np.array(values), np.array(limits)).counted
    assert counted == pytest.approx(expected, rel=1e-9)
    order = np.arange(len(values))[::-1]
    assert share_limited(np.array(values)[order], np.array(limits)[order]).counted[order] == pytest.approx(counted, rel=1e-12)


def test_what_is_remembered_of_a_market_is_of_one_schedule():
    market, portfolio = a_revalued_market(Revalued(coin(), 50.0)), a_portfolio({"BTC": 2}, policies={"BTC": PLEDGED})
    haircuts = [_split(portfolio, market, a_haircut_row("BTC", flat=flat)).haircut.tolist() for flat in ("0.2", "0.3", "0.2")]
    assert haircuts == [[20.0], [30.0], [20.0]]
    assert _split(portfolio, market, a_haircut_row("ETH", flat="0.2")).value_in_equity.tolist() == [0.0]


def _euro():
    return cash("EUR", collateral_class="G10-CASH")


def _band(up_to_years, fraction):
    return {"up_to_years": up_to_years, "tiers": [{"up_to": None, "haircut_fraction": fraction}]}


def _split(portfolio, market, *rows):
    arrays = portfolio_arrays(portfolio, market)
    held = held_assets(arrays, market, haircut_rates(risk_parameters(haircut_schedule=rows)))
    return split_collateral(held, arrays, arrays.risked_fraction)


def _split_one(instrument, *, quantity, value, row, policy, residual_years=0.0, translation_days=0.0):
    name = instrument.instrument_id
    market = a_revalued_market(Revalued(instrument, value, residual_years=residual_years, translation_days=translation_days))
    split = _split(a_portfolio({name: quantity}, policies={name: policy} if policy else {}), market, row)
    lines = ("market_value", "haircut", "over_limit", "value_in_equity", "scenario_quantity")
    return {line: float(getattr(split, line)[0]) for line in lines}
