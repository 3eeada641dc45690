"""Every methodology behind one interface: the same equity, and a requirement that can be followed by hand."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.margin import Charge
from crossmargin.domain.methodology import Methodology
from crossmargin.engine.kernels.black76 import black76
from crossmargin.engine.methodologies.compute import METHODOLOGIES, compute
from crossmargin.engine.portfolio_margin import compute_margin
from crossmargin.engine.revaluation import revalue_moved_market
from tests.builders import a_portfolio
from tests.methodology_books import (
    GRIDS,
    INSTRUMENTS,
    MARKET,
    OTHERS,
    PARAMETERS,
    SNAPSHOT,
    a_market,
    maintenance,
    margin,
    methodology_parameters,
)
from tests.unit.engine.revaluation.markets import a_snapshot, parameters

D = Decimal
SPAN, TIMS, SCHEDULE, RATIO = OTHERS
MIXED = {"USD": 100_000, "BTC": 2, "EUR": -1000, "PERP": (-1, -60_000), "CALL": -3, "INVERSE": (-100, "0.1666"), "BILL-4": 50_000}


def test_there_is_one_computation_for_each_methodology():
    assert set(METHODOLOGIES) == set(Methodology)


@pytest.mark.parametrize("methodology", Methodology)
def test_equity_is_the_same_and_the_stamp_names_the_methodology(methodology):
    result = margin(methodology, MIXED)
    assert result.equity == margin(Methodology.EXPECTED_SHORTFALL, MIXED).equity
    assert result.stamp.methodology is methodology
    assert sum(line.amount for line in result.contributions) == result.requirement.maintenance_margin


def test_the_main_methodology_is_the_portfolio_margin_itself():
    portfolio = a_portfolio(MIXED)
    assert compute(portfolio, MARKET, PARAMETERS) == compute_margin(portfolio, MARKET, PARAMETERS)


def test_a_scan_range_of_a_tenth_takes_a_tenth_of_a_perpetual():
    result = margin(SPAN, {"PERP": (-2, -120_000)})
    assert result.requirement.market_requirement == D("12000.00")
    assert result.requirement.initial_margin == D("15000.00")
    (worst,) = result.worst_scenarios
    assert (worst.name, worst.pnl, worst.is_stress) == ("BTC: price +3/3 of range, volatility up", D("-12000.00"), False)


def test_an_extreme_move_that_counts_enough_is_the_worst_point_and_shows_what_of_it_counts():
    chosen = methodology_parameters(span={"cover_fraction": "0.75"})
    (worst,) = margin(SPAN, {"PERP": (-1, -60_000)}, parameters=chosen).worst_scenarios
    assert (worst.name, worst.pnl, worst.is_stress, worst.weight) == ("BTC: price extreme up", D("-9000.00"), True, D("0.75"))


def test_an_option_is_revalued_at_price_and_volatility_of_the_point():
    held = margin(SPAN, {"CALL": -1})
    forward, total, discount = _call_inputs()
    now = discount * black76(forward=forward, strike=60_000.0, total_volatility=total, sign=1.0)
    up = discount * black76(forward=1.1 * forward, strike=60_000.0, total_volatility=1.25 * total, sign=1.0)
    group = next(group for group in held.groups if group.group_id == "BTC")
    assert float(group.requirement) == pytest.approx(up - now, abs=0.02)


def test_what_moves_with_several_groups_is_scanned_in_each_of_them():
    names = {group.group_id for group in margin(SPAN, {"FORWARD": 1000}).groups}
    assert names == {"EUR", "EUR-RATES", "USD-RATES"}
    rates = next(point for point in margin(TIMS, {"BILL-4": 100_000}).worst_scenarios)
    assert rates.name == "USD-RATES: 5/5 of range up"


def test_a_price_that_may_be_negative_moves_by_a_difference():
    # A thousand barrels and a scan range of five dollars, whatever the price; six times that in the extreme, of which a fifth counts.
    chosen = methodology_parameters(span={"extreme_multiple": "6", "cover_fraction": "0.2"})
    result = margin(SPAN, {"OIL": (-2, -6000)}, parameters=chosen)
    assert result.requirement.market_requirement == D("12000.00")
    assert result.worst_scenarios[0].name == "WTI: price extreme up"


def test_an_offset_inside_a_group_is_netting_and_between_groups_there_is_none():
    requirement = margin(SPAN, {"BTC": 1, "PERP": (-1, -60_000), "ETH": 1}).requirement
    assert requirement.gross == D("12300.00")
    assert requirement.netting_inside_groups == D("12000.00")
    assert requirement.netting_inside_classes == requirement.netting_across_classes == 0
    assert requirement.market_requirement == D("300.00")


def test_a_hedge_takes_off_and_contributions_add_up():
    result = margin(SPAN, {"BTC": 2, "PERP": (-1, -60_000)})
    assert {line.instrument_id: line.amount for line in result.contributions} == {"BTC": D("12000.00"), "PERP": D("-6000.00")}


def test_the_grid_takes_the_basis_of_a_hedge_that_no_point_moves():
    chosen = methodology_parameters(charges={"basis": {"perpetual_fraction": "0.01", "dated_fraction": "0.01"}})
    requirement = margin(SPAN, {"BTC": 1, "PERP": (-1, -60_000)}, parameters=chosen).requirement
    assert requirement.charges == (Charge("basis", D("600.00")),)


def test_a_short_option_far_from_the_money_takes_the_short_option_minimum():
    chosen = methodology_parameters(span={"price_fraction": "0.001", "volatility_fraction": "0"}, charges={"short_option_fraction": "0.01"})
    result = margin(SPAN, {"FAR-CALL": -1}, parameters=chosen)
    (charge,) = result.requirement.charges
    assert charge.name == "short-option minimum"
    btc = next(group.requirement for group in result.groups if group.group_id == "BTC")
    assert float(btc + charge.amount) == pytest.approx(0.01 * _call_inputs()[0], abs=0.03)


def test_an_asymmetric_range_takes_more_from_the_side_it_reaches_further():
    chosen = methodology_parameters(groups={"tims": {"BTC": {"lowest_fraction": "-0.08", "highest_fraction": "0.06"}}})
    assert maintenance(TIMS, {"PERP": (1, 60_000)}, parameters=chosen) == D("4800.00")
    assert maintenance(TIMS, {"PERP": (-1, -60_000)}, parameters=chosen) == D("3600.00")


def test_each_contract_has_its_minimum_whatever_it_offsets():
    chosen = methodology_parameters(tims={"contract_minimum": "5000"})
    requirement = margin(TIMS, {"BTC": 1, "PERP": (-1, -60_000)}, parameters=chosen).requirement
    assert requirement.charges == (Charge("contract minimum", D("5000.00")),)
    # 100 contracts of 100 dollars are a sixth of a coin.
    inverse = margin(TIMS, {"INVERSE": (100, "-0.1666")}, parameters=methodology_parameters(tims={"contract_minimum": "60000"})).requirement
    assert float(inverse.maintenance_margin) == pytest.approx(10_000, abs=0.02)


def test_what_has_no_multiplier_has_no_contract_minimum():
    chosen = methodology_parameters(tims={"contract_minimum": "1000"})
    assert margin(TIMS, {"FORWARD": 1000, "BTC": 1}, parameters=chosen).requirement.charges == ()


def test_the_schedule_takes_its_rate_of_every_notional_in_full():
    # Contracts that are worth nothing: nothing has a positive replacement cost, and the ratio is one.
    requirement = margin(SCHEDULE, {"PERP": (-1, -60_000), "BTC": 1, "EUR": 1000}).requirement
    assert requirement.gross == requirement.market_requirement == D("18066.00")
    assert requirement.netting_benefit == 0


def test_the_net_to_gross_ratio_nets_what_the_broker_is_owed_with_what_it_owes():
    # The perpetual owes the broker 6,000, the inverse contracts have gained 3,000 for the client: half of the gross cost is left.
    result = margin(SCHEDULE, {"PERP": (-1, -54_000), "INVERSE": (-600, "0.95")})
    assert result.equity.contract_value == -3000
    assert result.requirement.gross == D("18000.00")
    assert result.requirement.maintenance_margin == D("12600.00")
    assert result.requirement.netting_across_classes == D("5400.00")


def test_a_contract_that_lowers_the_net_replacement_cost_takes_off_the_requirement():
    lines = margin(SCHEDULE, {"PERP": (-1, -54_000), "INVERSE": (-600, "0.95")}).contributions
    # Each has a gross margin of 9,000 of which 70% count; the ratio moves by half of either cost over the gross cost.
    assert {line.instrument_id: line.amount for line in lines} == {"INVERSE": D("900.00"), "PERP": D("11700.00")}


def test_the_schedule_steps_with_maturity():
    for name, required in (("BILL-1", "1000.00"), ("BILL-4", "2000.00"), ("BILL-8", "4000.00")):
        assert maintenance(SCHEDULE, {name: 100_000}) == D(required)


def test_fixed_rates_are_taken_of_every_notional_and_nothing_offsets():
    requirement = margin(RATIO, {"BTC": 1, "PERP": (-1, -60_000)}).requirement
    assert requirement.maintenance_margin == D("6000.00")
    assert requirement.initial_margin == D("12000.00")
    assert requirement.initial_only == (Charge("initial rate", D("4500.00")),)
    assert requirement.netting_benefit == 0


def test_the_initial_margin_is_at_least_the_multiple_of_the_maintenance_margin():
    requirement = margin(RATIO, {"BTC": 1}, parameters=methodology_parameters(ratio={"initial_fraction": "0.05"})).requirement
    assert (requirement.initial_margin, requirement.initial_only) == (D("3750.00"), ())


def test_a_bought_option_needs_no_more_than_it_is_worth():
    assert 0 < maintenance(RATIO, {"FAR-CALL": 1}) < D("300")
    assert maintenance(RATIO, {"FAR-CALL": -1}) > D("3000")


def test_rates_of_a_group_go_before_those_of_its_class_and_follow_maturity():
    bands = [("1.5", "0.02", "0.01"), (None, "0.06", "0.03")]
    row = {"bands": [dict(zip(("up_to_years", "initial_fraction", "maintenance_fraction"), band, strict=True)) for band in bands]}
    chosen = methodology_parameters(groups={"ratio": {"USD-RATES": row}})
    for name, required in (("BILL-1", "1000.00"), ("BILL-4", "3000.00")):
        assert maintenance(RATIO, {name: 100_000}, parameters=chosen) == D(required)


@pytest.mark.parametrize("methodology", Methodology)
def test_pledged_collateral_is_outside_every_requirement(methodology):
    pledged = {"BTC": CollateralPolicy.PLEDGED}
    assert maintenance(methodology, {"BTC": 5, "PERP": (1, 60_000)}, policies=pledged) == maintenance(methodology, {"PERP": (1, 60_000)})


@pytest.mark.parametrize("methodology", Methodology)
def test_base_currency_needs_nothing(methodology):
    assert maintenance(methodology, {"USD": -1_000_000}) == 0
    assert margin(methodology, {}).requirement.initial_margin == 0


@pytest.mark.parametrize("methodology", [SPAN, TIMS, RATIO])
def test_a_set_from_before_there_were_methodologies_refuses_them_by_name(methodology):
    without = replace(PARAMETERS, methodologies=None)
    with pytest.raises(DomainError) as caught:
        margin(methodology, {"BTC": 1}, parameters=without)
    assert caught.value.reason is Reason.METHODOLOGY_UNAVAILABLE
    assert caught.value.facts == {"methodology": methodology.value, "parameter_set": "test-1", "missing": "methodologies"}


def test_a_schedule_without_rates_for_a_class_is_refused_by_name():
    with pytest.raises(DomainError) as caught:
        margin(SCHEDULE, {"BTC": 1}, parameters=parameters())
    assert caught.value.reason is Reason.METHODOLOGY_UNAVAILABLE
    assert caught.value.facts["missing"] == "rates of the standard schedule for CRYPTO"


@pytest.mark.parametrize("methodology", GRIDS)
def test_a_grid_starts_from_the_market_as_it_is(methodology):
    cheaper = a_market(snapshot=a_snapshot({"spot:BTC": "30000"}))
    half = margin(methodology, {"PERP": (1, 60_000)}, market=cheaper, parameters=PARAMETERS)
    assert half.requirement.maintenance_margin * 2 == maintenance(methodology, {"PERP": (1, 60_000)})


def test_a_grid_of_a_market_without_its_snapshot_is_a_mistake_of_ours():
    (moved,) = revalue_moved_market(INSTRUMENTS, SNAPSHOT, np.zeros((1, len(MARKET.scenarios.factors))), MARKET.scenarios, PARAMETERS)
    with pytest.raises(ValueError, match="snapshot"):
        margin(SPAN, {"BTC": 1}, market=moved)


@pytest.mark.parametrize("methodology", Methodology)
def test_the_gap_of_an_isolated_account_is_the_same_under_every_methodology(methodology):
    isolated = {"mode": AccountMode.ISOLATED}
    result = margin(methodology, {"USD": 1000, "PERP": (1, 60_000)}, **isolated)
    assert result.gap == margin(Methodology.EXPECTED_SHORTFALL, {"USD": 1000, "PERP": (1, 60_000)}, **isolated).gap
    assert result.gap.expected > 0
    assert margin(methodology, {"USD": 1000, "PERP": (1, 60_000)}).gap is None


def _call_inputs():
    """Forward, total volatility and discount factor of the calls: carry, volatility and rate at a fifth of a year, linear in tenor."""
    carry = np.interp(0.2, [1 / 12, 0.5], [0.05, 0.08])
    volatility = np.interp(0.2, [1 / 12, 0.5], [0.55, 0.65])
    rate = np.interp(0.2, [1 / 12, 1.0], [0.041, 0.039])
    return 60_000 * np.exp(carry * 0.2), volatility * 0.2**0.5, np.exp(-rate * 0.2)
