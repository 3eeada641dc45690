from dataclasses import replace
from math import inf

import numpy as np
import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.engine.methodologies.standard_schedule import (
    ScheduleBand,
    StandardScheduleParameters,
    collected_margin,
    posted_margin,
    schedule_rates,
)
from tests.unit.engine.methodologies.shipped_parameters import STANDARD_SCHEDULE

ONE = np.ones(1)


@pytest.mark.parametrize(
    ("asset_class", "rates"),
    [
        ("CREDIT", [0.02, 0.02, 0.05, 0.05, 0.10]),
        ("RATES", [0.01, 0.01, 0.02, 0.02, 0.04]),
        ("FX", [0.06] * 5),
        ("EQUITY", [0.15] * 5),
        ("COMMODITY", [0.15] * 5),
        ("OTHER", [0.15] * 5),
    ],
)
def test_rates_step_up_after_two_and_after_five_years(asset_class, rates):
    years = np.array([0.0, 2.0, 2.0 + 1e-9, 5.0, 5.0 + 1e-9])
    assert schedule_rates([asset_class] * 5, years, STANDARD_SCHEDULE).tolist() == rates


def test_opposite_trades_do_not_offset_in_the_gross_margin():
    margin = collected_margin(np.array([100.0, -100.0]), np.full(2, 0.06), np.zeros(2), gross_fraction=0.4)
    assert margin.gross == 12.0


def test_the_ratio_is_one_when_nothing_has_a_positive_value():
    assert collected_margin(ONE, ONE, np.array([-3.0]), gross_fraction=0.4).net_to_gross_ratio == 1.0
    assert collected_margin(ONE, ONE, np.zeros(1), gross_fraction=0.4).net_to_gross_ratio == 1.0


def test_the_ratio_is_zero_when_the_netted_value_is_owed_to_the_other_side():
    margin = collected_margin(np.ones(2), np.ones(2), np.array([5.0, -6.0]), gross_fraction=0.4)
    assert margin.net_to_gross_ratio == 0.0
    assert margin.initial_margin == pytest.approx(0.4 * margin.gross)


def test_each_side_nets_by_what_the_other_owes_it():
    present_value = np.array([5.0, -1.0])
    collected = collected_margin(np.ones(2), np.ones(2), present_value, gross_fraction=0.4)
    posted = posted_margin(np.ones(2), np.ones(2), present_value, gross_fraction=0.4)
    assert collected.net_to_gross_ratio == pytest.approx(0.8)
    assert posted.net_to_gross_ratio == 0.0
    assert collected.gross == posted.gross


@pytest.mark.parametrize(("gross_fraction", "margin"), [(0.0, 0.5), (1.0, 2.0)])
def test_both_ends_of_the_gross_fraction(gross_fraction, margin):
    present_value = np.array([4.0, -3.0])
    result = collected_margin(np.ones(2), np.ones(2), present_value, gross_fraction=gross_fraction)
    assert result.initial_margin == pytest.approx(margin)


def test_no_trades_need_nothing():
    none = np.zeros(0)
    margin = collected_margin(none, none, none, gross_fraction=0.4)
    assert (margin.gross, margin.initial_margin) == (0.0, 0.0)


def test_an_asset_class_without_a_rate_is_refused_by_name():
    with pytest.raises(DomainError) as caught:
        schedule_rates(["FX", "WEATHER"], np.ones(2), STANDARD_SCHEDULE)
    assert caught.value.reason is Reason.INVALID_RISK_PARAMETERS
    assert caught.value.facts["asset_class"] == "WEATHER"


@pytest.mark.parametrize(
    "bands",
    [
        (),
        (ScheduleBand(2.0, 0.1),),
        (ScheduleBand(5.0, 0.1), ScheduleBand(2.0, 0.1), ScheduleBand(inf, 0.1)),
        (ScheduleBand(inf, 0.1), ScheduleBand(inf, 0.1)),
        (ScheduleBand(inf, -0.1),),
        (ScheduleBand(inf, 1.1),),
    ],
)
def test_bands_with_a_gap_or_a_rate_out_of_range_are_refused(bands):
    with pytest.raises(DomainError) as caught:
        StandardScheduleParameters({"FX": bands}, gross_fraction=0.4)
    assert caught.value.reason is Reason.INVALID_RISK_PARAMETERS


@pytest.mark.parametrize("gross_fraction", [-0.1, 1.1, float("nan")])
def test_a_gross_fraction_that_is_no_share_is_refused(gross_fraction):
    with pytest.raises(DomainError):
        replace(STANDARD_SCHEDULE, gross_fraction=gross_fraction)
