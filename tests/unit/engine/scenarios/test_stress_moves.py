"""Stress events spelled out for every factor, and their weight."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.engine.scenarios import build_scenario_set
from crossmargin.engine.scenarios.stress import stress_moves
from tests.builders import risk_parameters
from tests.unit.engine.revaluation.markets import a_group
from tests.unit.engine.scenarios.histories import GROUPS, a_history, a_walk, an_event, factor, parameters

PROXIES = [
    {"curve": "spot:XRP", "proxy_curve": "spot:BTC", "beta": "1.5"},
    {"curve": "zero:CHF", "proxy_curve": "zero:USD", "beta": "0.5"},
    {"curve": "vol:XRP", "proxy_curve": "vol:BTC", "beta": "0.8"},
]


def move(name, *events, **overrides):
    """The moves of one factor, one for each scenario."""
    _, shocks = stress_moves([factor(name)], parameters(stress_events=list(events), **overrides))
    return shocks[:, 0].tolist()


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("spot:BTC", "-0.4", math.log(0.6)),
        ("fx:EUR", "0.1", math.log(1.1)),
        ("vol:BTC:1M", "1", math.log(2)),
        ("zero:USD:1Y", "0.01", 0.01),
        ("basis:BTC:1M", "-0.2", -0.2),
    ],
)
def test_prices_are_given_as_simple_returns_and_rates_as_differences(name, given, expected):
    assert move(name, an_event(moves={name: given})) == [pytest.approx(expected, rel=1e-15)]


def test_an_event_of_both_directions_is_followed_by_its_opposite():
    events = [an_event("A", moves={"spot:BTC": "-0.5", "zero:USD:1Y": "0.01"}, both_directions=True), an_event("B")]
    names, shocks = stress_moves([factor("spot:BTC"), factor("zero:USD:1Y")], parameters(stress_events=events))
    assert names == ("A", "A reversed", "B")
    np.testing.assert_allclose(shocks, [[math.log(0.5), 0.01], [math.log(2.0), -0.01], [0.0, 0.0]])


@pytest.mark.parametrize(
    ("tenor", "expected"), [("1M", 0.01), ("1Y", 0.01), ("2Y", 0.015), ("3Y", 0.02), ("4Y", 0.0), ("5Y", -0.02), ("30Y", -0.02)]
)
def test_rates_between_the_events_nodes_are_interpolated_and_flat_beyond(tenor, expected):
    event = an_event(moves={"zero:USD:3Y": "0.02", "zero:USD:1Y": "0.01", "zero:USD:5Y": "-0.02"})
    assert move(f"zero:USD:{tenor}", event) == [pytest.approx(expected, abs=1e-16)]


def test_a_curve_the_event_does_not_name_stands_still():
    event = an_event(moves={"zero:USD:1Y": "0.01", "spot:BTC": "-0.4"}, classes={"FIXED_INCOME": "-0.1", "FX": "-0.1"})
    assert move("basis:BTC:1M", event) == [0.0]
    assert move("zero:CHF:1Y", event) == [0.0]
    assert move("fx:EUR", event) == [0.0]


def test_volatilities_between_named_nodes_are_interpolated_in_log_moves():
    event = an_event(moves={"vol:BTC:1M": "1", "vol:BTC:3M": "0.5"})
    assert move("vol:BTC:2M", event) == [pytest.approx((math.log(2) + math.log(1.5)) / 2, rel=1e-12)]


def test_volatilities_not_named_answer_to_the_size_of_their_spots_move_in_both_directions():
    event = an_event(moves={"spot:BTC": "-0.4"}, both_directions=True)
    assert move("vol:BTC:1M", event, stress_vol_response="1.5") == [pytest.approx(-1.5 * math.log(0.6))] * 2
    assert move("vol:BTC:1M", event, stress_vol_response="2") == [pytest.approx(-2 * math.log(0.6))] * 2


def test_a_volatility_answers_to_a_spot_that_moves_with_its_class_or_proxy():
    event = an_event(classes={"CRYPTO": "-0.5"}, moves={"spot:BTC": "-0.1"})
    assert move("vol:ETH:1M", event) == [pytest.approx(1.5 * math.log(2))]
    assert move("vol:XRP:1M", event, proxies=PROXIES) == [pytest.approx(1.5 * 1.5 * -math.log(0.9))]


def test_the_volatility_of_a_currency_answers_to_its_rate_and_that_of_a_cross_to_the_difference():
    groups = [*GROUPS, a_group("JPY", "FX", ["fx:JPY", "vol:JPY", "vol:EURJPY"])]
    event = an_event(moves={"fx:EUR": "-0.1", "fx:JPY": "0.05"}, both_directions=True)
    both = {"vol:EUR:1M": -math.log(0.9), "vol:JPY:1Y": math.log(1.05), "vol:EURJPY:1M": math.log(1.05) - math.log(0.9)}
    for name, size in both.items():
        assert move(name, event, offset_groups=groups) == [pytest.approx(1.5 * size)] * 2
    assert move("vol:EURCHF:1M", event, offset_groups=groups) == [0.0, 0.0]


def test_named_volatilities_fall_in_the_reversed_event():
    assert move("vol:BTC:1M", an_event(moves={"vol:BTC:1M": "1"}, both_directions=True)) == pytest.approx([math.log(2), -math.log(2)])


def test_a_proxied_factor_takes_beta_times_its_proxys_move_before_that_of_its_class():
    event = an_event(moves={"spot:BTC": "-0.2"}, classes={"CRYPTO": "-0.5"})
    assert move("spot:XRP", event, proxies=PROXIES) == [pytest.approx(1.5 * math.log(0.8))]
    assert move("spot:XRP", event) == [pytest.approx(math.log(0.5))]


def test_a_move_of_its_own_comes_before_the_proxys():
    event = an_event(moves={"spot:BTC": "-0.2", "spot:XRP": "0.3"})
    assert move("spot:XRP", event, proxies=PROXIES) == [pytest.approx(math.log(1.3))]


def test_a_proxied_curve_moves_with_its_proxys_nodes():
    event = an_event(moves={"zero:USD:1Y": "0.01", "zero:USD:3Y": "0.03", "vol:BTC:1M": "1"})
    assert move("zero:CHF:2Y", event, proxies=PROXIES) == [pytest.approx(0.01)]
    assert move("vol:XRP:6M", event, proxies=PROXIES) == [pytest.approx(0.8 * math.log(2))]


def test_only_spots_take_the_move_of_their_class():
    event = an_event(classes={"CRYPTO": "-0.5"}, both_directions=True)
    assert move("spot:ETH", event) == pytest.approx([math.log(0.5), math.log(2)])
    assert move("spot:UNMAPPED", event) == [0.0, 0.0]
    assert move("basis:BTC:1M", event) == [0.0, 0.0]


def test_events_may_have_no_factors_to_move():
    names, shocks = stress_moves([], parameters(stress_events=[an_event()]))
    assert (names, shocks.shape) == (("Crash",), (1, 0))


@pytest.mark.parametrize("wrong", [{"moves": {"spot:BTC": "-1"}}, {"classes": {"CRYPTO": "-1.5"}}, {"moves": {"vol:BTC:1M": "-2"}}])
def test_nothing_can_fall_by_all_it_has(wrong):
    with pytest.raises(DomainError, match="above -1") as refused:
        parameters(stress_events=[an_event(**wrong)])
    assert refused.value.reason is Reason.INVALID_RISK_PARAMETERS


def test_a_rate_may_fall_by_more_than_one():
    assert move("basis:BTC:1M", an_event(moves={"basis:BTC:1M": "-2"})) == [-2.0]


# Weights


def test_ordinary_scenarios_share_their_weight_and_stress_scenarios_the_rest():
    events = [an_event("A", moves={"spot:BTC": "-0.5"}, both_directions=True), an_event("B")]
    chosen = parameters(stress_events=events, ordinary_weight="0.7", observation_count=50)
    scenarios = build_scenario_set(a_history({"spot:BTC": a_walk(80, 1)}), [factor("spot:BTC")], chosen)
    assert scenarios.ordinary_count == 50
    assert scenarios.names[50:] == ("A", "A reversed", "B")
    np.testing.assert_allclose(scenarios.weights, [0.7 / 50] * 50 + [0.3 / 3] * 3, rtol=1e-12)
    assert scenarios.shocks[50, 0] == math.log1p(-0.5)


def test_stress_moves_are_not_scaled_by_volatility():
    walk = [*a_walk(300, 1, step=0.2), *["100"] * 300]
    events = [an_event(moves={"spot:BTC": "-0.5"})]
    chosen = risk_parameters(
        offset_groups=GROUPS, stress_events=events, observation_count=500, minimum_observation_count=100, scaling_floor="0.1"
    )
    scenarios = build_scenario_set(a_history({"spot:BTC": walk}), [factor("spot:BTC")], chosen)
    assert scenarios.shocks[-1, 0] == math.log1p(-0.5)


def test_proxied_factors_are_stressed_too_and_unavailable_ones_have_no_column():
    history = a_history({"spot:BTC": a_walk(80, 1)})
    chosen = parameters(stress_events=[an_event(moves={"spot:BTC": "-0.2"})], ordinary_weight="0.75", proxies=PROXIES)
    scenarios = build_scenario_set(history, [factor("spot:XRP"), factor("spot:ETH")], chosen)
    assert scenarios.factors == (factor("spot:XRP"),)
    assert scenarios.shocks[-1, 0] == pytest.approx(1.5 * math.log(0.8))
