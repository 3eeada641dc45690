"""Worked examples of the methodologies beside the expected shortfall, of call amounts and of backtest statistics."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.margin_call import CallAmount, CallDirection, CallTerms, call_amount
from crossmargin.engine.backtest_statistics import ZoneLimits, proportion_of_failures, zone_limits
from crossmargin.engine.kernels.black76 import black76
from crossmargin.engine.methodologies.ratio import RatioParameters, RatioRate, check_bucket, ratio_margin
from crossmargin.engine.methodologies.span_grid import POINT_NAMES, risk_arrays, scan_risks
from crossmargin.engine.methodologies.standard_schedule import collected_margin, posted_margin, schedule_rates
from crossmargin.engine.methodologies.tims_grid import contract_minimums, tims_requirements, valuation_pnl, worst_losses
from crossmargin.engine.mitigated_exposure import mitigated_exposure
from tests.unit.engine.methodologies.shipped_parameters import SPAN_GRID, STANDARD_SCHEDULE, TIMS_GRID

CASES = Path(__file__).parent / "cases"
CENT = 0.005  # the figures are given to the cent


def _cases(name):
    return [pytest.param(case, id=case["name"]) for case in json.loads((CASES / name).read_text())]


@pytest.mark.parametrize("case", _cases("schedule_margins.json"))
def test_schedule_margin(case):
    trades, as_of = case["trades"], date.fromisoformat(case["as_of"])
    years = np.array([(date.fromisoformat(trade["end_date"]) - as_of).days / 365 for trade in trades])
    rate = schedule_rates([trade["asset_class"] for trade in trades], years, STANDARD_SCHEDULE)
    notional, present_value = (np.array([trade[name] for trade in trades]) for name in ("notional", "present_value"))
    collected = collected_margin(notional, rate, present_value, gross_fraction=STANDARD_SCHEDULE.gross_fraction)
    posted = posted_margin(notional, rate, present_value, gross_fraction=STANDARD_SCHEDULE.gross_fraction)
    assert collected.gross == posted.gross == pytest.approx(case["gross"], abs=CENT)
    assert collected.net_to_gross_ratio == pytest.approx(case["net_to_gross_ratio"], abs=5e-7)
    assert collected.initial_margin == pytest.approx(case["collected"], abs=CENT)
    assert posted.initial_margin == pytest.approx(case["posted"], abs=CENT)


@pytest.mark.parametrize("case", _cases("scan_risks.json"))
def test_scan_risk(case):
    pnl = sum(quantity * np.array(case["arrays"][name], float) for name, quantity in case["held"].items())
    assert scan_risks(pnl[np.newaxis]).tolist() == [case["scan_risk"]]
    assert POINT_NAMES[pnl.argmin()] == case["worst_scenario"]


def test_the_published_array_of_a_future_is_what_revaluing_it_gives():
    published = next(case for case in json.loads((CASES / "scan_risks.json").read_text()) if "future" in case["held"])
    arrays = risk_arrays(lambda price, volatility: (100_000.0 * (1 + price) + 0.0 * volatility)[np.newaxis], SPAN_GRID)
    # The textbook rounds thirds of the range to tens.
    assert arrays[0] == pytest.approx(published["arrays"]["future"], abs=5)


def _units(price_move):
    spot, total_volatility = 100.0 * (1 + price_move), 0.30 * 0.5**0.5
    return {
        "share": spot,
        "put": 100 * black76(forward=spot, strike=95.0, total_volatility=total_volatility, sign=-1.0),
        "call": 100 * black76(forward=spot, strike=105.0, total_volatility=total_volatility, sign=1.0),
    }


def test_option_values_are_black_scholes():
    values = _units(0.0)
    assert values["put"] == pytest.approx(597.4460, abs=5e-5)
    assert values["call"] == pytest.approx(638.5270, abs=5e-5)


@pytest.mark.parametrize("case", _cases("valuation_point_losses.json"))
def test_valuation_point_loss(case):
    held = case["held"]
    pnl = valuation_pnl(lambda move: np.stack([_units(move)[name] for name in held]), TIMS_GRID.range_of("OTHER"))
    group_pnl = (np.array(list(held.values()), float) @ pnl)[np.newaxis]
    contracts = np.array([quantity for name, quantity in held.items() if name != "share"], float)
    minimum = contract_minimums(
        contracts,
        np.full(len(contracts), 100.0),
        np.zeros(len(contracts), np.int64),
        group_count=1,
        contract_minimum=TIMS_GRID.contract_minimum,
    )
    assert worst_losses(group_pnl)[0] == pytest.approx(case["worst_loss"], abs=CENT)
    assert minimum.tolist() == [case["contract_minimum"]]
    assert tims_requirements(group_pnl, minimum)[0] == pytest.approx(case["requirement"], abs=CENT)


@pytest.mark.parametrize("case", _cases("bucket_checks.json"))
def test_bucket_check(case):
    instrument = InstrumentId("PERP")
    parameters = RatioParameters({instrument: RatioRate(case["initial_fraction"], maintenance_fraction=0.0)})
    requirement = ratio_margin([instrument], np.array([case["notional"]], float), parameters).initial
    check = check_bucket(collateral=case["collateral"], pnl=case["pnl"], requirement=requirement)
    assert requirement == pytest.approx(case["requirement"])
    assert check.excess == pytest.approx(case["excess"])
    assert check.is_covered is case["is_covered"]
    assert (check.client_loss, check.gap_loss) == (case["client_loss"], case["gap_loss"])


@pytest.mark.parametrize("case", _cases("mitigated_exposures.json"))
def test_mitigated_exposure(case):
    given = {name: value for name, value in case.items() if name not in {"name", "source", "mitigated_exposure"}}
    assert mitigated_exposure(**given) == pytest.approx(case["mitigated_exposure"], rel=1e-12)


@pytest.mark.parametrize("case", _cases("call_amounts.json"))
def test_call_amount(case):
    terms = CallTerms(*(Decimal(case[name]) for name in ("threshold", "minimum_transfer_amount", "rounding_unit")))
    moved = call_amount(required=Decimal(case["required"]), posted=Decimal(case["posted"]), terms=terms)
    assert moved == CallAmount(CallDirection(case["direction"]), Decimal(case["amount"]))


@pytest.mark.parametrize("case", _cases("coverage_tests.json"))
def test_coverage(case):
    result = proportion_of_failures(case["observations"], case["breaches"], case["expected_fraction"])
    limits = zone_limits(case["observations"], case["expected_fraction"], yellow_from=0.95, red_from=0.9999)
    assert result.statistic == pytest.approx(case["kupiec"], abs=5e-6)
    assert limits == ZoneLimits(green_max=case["green_max"], yellow_max=case["yellow_max"])
