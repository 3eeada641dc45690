"""Ordinary scenarios: the window, the clocks, proxies and what is unavailable."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.market import FactorHistory
from crossmargin.engine.scenarios import build_scenario_set
from tests.unit.engine.revaluation.markets import a_group
from tests.unit.engine.scenarios.histories import GROUPS, a_history, a_walk, factor, parameters

BTC, ETH, XRP, EUR = factor("spot:BTC"), factor("spot:ETH"), factor("spot:XRP"), factor("fx:EUR")
# A week and two days from Monday 1 January 2024; the level of a day is a power of two of its number.
DAYS = [2**day for day in range(10)]
WEEKDAYS_ONLY = [level if day % 7 < 5 else None for day, level in enumerate(DAYS)]
ONE_DAY = [a_group("BTC", "CRYPTO", ["spot:BTC", "vol:BTC", "basis:BTC"], days=1)]


def doublings(scenarios, name):
    """Shocks of a factor in powers of two, by start day."""
    column = scenarios.shocks[: scenarios.ordinary_count, scenarios.column_of[name]] / math.log(2)
    return dict(zip(scenarios.names, np.round(column, 9).tolist(), strict=False))


def test_a_calendar_group_moves_over_its_days_from_every_day():
    scenarios = build_scenario_set(a_history({"spot:BTC": DAYS}), [BTC], parameters(offset_groups=ONE_DAY))
    assert scenarios.names == tuple(f"2024-01-{day:02}" for day in range(1, 10))
    assert set(doublings(scenarios, BTC).values()) == {1.0}


def test_rates_move_by_difference():
    history = a_history({"zero:USD:1Y": ["0.01", "0.015", "-0.01"]})
    scenarios = build_scenario_set(history, [factor("zero:USD:1Y")], parameters(offset_groups=[GROUPS[4]]))
    np.testing.assert_allclose(scenarios.shocks[:, 0], [0.005, -0.025], rtol=1e-12)


def test_the_business_clock_jumps_the_weekend_and_starts_on_it_from_friday():
    history = a_history({"fx:EUR": WEEKDAYS_ONLY})
    scenarios = build_scenario_set(history, [EUR], parameters(offset_groups=[GROUPS[3]]))
    assert doublings(scenarios, EUR) == {
        "2024-01-01": 2.0,
        "2024-01-02": 2.0,
        "2024-01-03": 2.0,
        "2024-01-04": 4.0,  # Thursday to Monday
        "2024-01-05": 4.0,  # Friday to Tuesday
        "2024-01-06": 4.0,  # Saturday has Friday's level
        "2024-01-07": 4.0,
        "2024-01-08": 2.0,
    }


def test_a_closed_market_on_a_calendar_clock_stands_still_and_gaps_on_monday():
    groups = [a_group("EUR", "FX", ["fx:EUR"], days=1)]
    scenarios = build_scenario_set(a_history({"fx:EUR": WEEKDAYS_ONLY}), [EUR], parameters(offset_groups=groups))
    assert list(doublings(scenarios, EUR).values()) == [1, 1, 1, 1, 0, 0, 3, 1, 1]


def test_all_groups_start_on_the_same_day_and_the_longest_horizon_ends_the_window():
    history = a_history({"spot:BTC": DAYS, "spot:ETH": DAYS})
    scenarios = build_scenario_set(history, [BTC, ETH], parameters(offset_groups=GROUPS[:2]))
    assert scenarios.names[-1] == "2024-01-08"
    assert set(doublings(scenarios, BTC).values()) == {1.0}
    assert set(doublings(scenarios, ETH).values()) == {2.0}


def test_the_window_is_the_same_whichever_factors_are_asked_for():
    history = a_history({"spot:BTC": DAYS, "spot:ETH": DAYS})
    assert build_scenario_set(history, [BTC], parameters(offset_groups=GROUPS[:2])).names[-1] == "2024-01-08"


def test_the_window_holds_the_last_observations():
    history = a_history({"spot:BTC": DAYS})
    scenarios = build_scenario_set(history, [BTC], parameters(offset_groups=ONE_DAY, observation_count=3))
    assert scenarios.names == ("2024-01-07", "2024-01-08", "2024-01-09")
    assert scenarios.ordinary_count == 3


@pytest.mark.parametrize(("minimum", "enough"), [(9, True), (10, False)])
def test_a_history_shorter_than_wanted_is_used_down_to_the_minimum(minimum, enough):
    history = a_history({"spot:BTC": DAYS})
    chosen = parameters(offset_groups=ONE_DAY, minimum_observation_count=minimum)
    if enough:
        assert build_scenario_set(history, [BTC], chosen).ordinary_count == 9
        return
    with pytest.raises(DomainError) as refused:
        build_scenario_set(history, [BTC], chosen)
    assert refused.value.reason is Reason.INSUFFICIENT_HISTORY
    assert refused.value.facts == {"observations": "9", "needed": "10"}


def test_an_empty_history_is_refused():
    with pytest.raises(DomainError) as refused:
        build_scenario_set(FactorHistory((), {}), [BTC], parameters())
    assert refused.value.reason is Reason.INSUFFICIENT_HISTORY


def test_no_factors_make_scenarios_without_columns():
    scenarios = build_scenario_set(a_history({"spot:BTC": DAYS}), [], parameters())
    assert scenarios.shocks.shape == (scenarios.ordinary_count, 0)


def test_a_factor_that_lacks_a_level_in_the_window_is_unavailable_and_the_window_stays():
    history = a_history({"spot:BTC": DAYS, "spot:XRP": [None, *DAYS[1:]]})
    scenarios = build_scenario_set(history, [BTC, XRP], parameters(offset_groups=[GROUPS[0], GROUPS[2]]))
    assert scenarios.factors == (BTC,)
    assert len(scenarios.names) == 9
    error = scenarios.unavailable[XRP]
    assert error.reason is Reason.INSUFFICIENT_HISTORY
    assert error.facts == {
        "factor": "spot:XRP",
        "first": "2024-01-02",
        "last": "2024-01-10",
        "needed_from": "2024-01-01",
        "needed_to": "2024-01-10",
    }
    assert "spot:XRP" in error.message


def test_a_gap_longer_than_the_carry_limit_makes_a_factor_unavailable_and_a_shorter_one_does_not():
    history = a_history({"spot:BTC": DAYS, "spot:XRP": [1, None, None, None, *DAYS[4:]]})
    for limit, expected in ((3, ()), (2, (XRP,))):
        chosen = parameters(offset_groups=[GROUPS[0], GROUPS[2]], maximum_carry_days=limit)
        assert tuple(build_scenario_set(history, [BTC, XRP], chosen).unavailable) == expected


def test_a_gap_before_the_window_does_no_harm():
    history = a_history({"spot:BTC": DAYS, "spot:XRP": [None, *DAYS[1:]]})
    scenarios = build_scenario_set(history, [XRP], parameters(offset_groups=[GROUPS[0], GROUPS[2]], observation_count=8))
    assert scenarios.unavailable == {}


def test_a_factor_that_stopped_printing_is_unavailable():
    history = a_history({"spot:BTC": a_walk(30, 1), "spot:XRP": [*a_walk(20, 2), *[None] * 10]})
    chosen = parameters(offset_groups=[GROUPS[0], GROUPS[2]], observation_count=5)
    assert tuple(build_scenario_set(history, [XRP], chosen).unavailable) == (XRP,)


def test_a_factor_the_history_never_saw_says_so():
    scenarios = build_scenario_set(a_history({"spot:BTC": DAYS}), [XRP], parameters())
    assert scenarios.unavailable[XRP].facts["first"] == "never"


def test_a_factor_in_no_group_is_unmapped_and_hurts_nobody_else():
    stranger = factor("spot:DOGE")
    scenarios = build_scenario_set(a_history({"spot:BTC": DAYS, "spot:DOGE": DAYS}), [stranger, BTC], parameters())
    assert scenarios.unavailable[stranger].reason is Reason.UNMAPPED_RISK_FACTOR
    assert scenarios.unavailable[stranger].__traceback__ is None
    assert scenarios.factors == (BTC,)


# Proxies

PROXIES = [
    {"curve": "spot:XRP", "proxy_curve": "spot:BTC", "beta": "1.5"},
    {"curve": "zero:CHF", "proxy_curve": "zero:USD", "beta": "0.5"},
    {"curve": "spot:ETH", "proxy_curve": "spot:XRP", "beta": "1"},
]


def test_a_short_history_takes_beta_times_its_proxys_moves_and_says_so():
    history = a_history({"spot:BTC": a_walk(60, 1), "spot:XRP": [None, *a_walk(59, 2)]})
    scenarios = build_scenario_set(history, [BTC, XRP], parameters(proxies=PROXIES, scaling_cap="2.5"))
    own, proxied = (scenarios.shocks[:, scenarios.column_of[name]] for name in (BTC, XRP))
    np.testing.assert_array_equal(proxied, 1.5 * own)
    assert {name: proxy.proxy_curve for name, proxy in scenarios.proxied.items()} == {XRP: "spot:BTC"}
    assert scenarios.unavailable == {}


OWN_PART = [PROXIES[0] | {"idiosyncratic_fraction": "0.5"}, PROXIES[1] | {"idiosyncratic_fraction": "0.25"}]


def residuals(history, own, name, beta):
    """What is left of a proxied factor's shocks, in multiples of the size of its proxy's."""
    scenarios = build_scenario_set(history, [own, name], parameters(proxies=OWN_PART))
    shocks = scenarios.shocks[: scenarios.ordinary_count]
    source = shocks[:, scenarios.column_of[own]]
    return dict(zip(scenarios.names, (shocks[:, scenarios.column_of[name]] - beta * source) / np.sqrt(np.mean(source**2)), strict=False))


def test_what_the_proxy_does_not_explain_is_as_large_as_said_and_has_nothing_to_do_with_it():
    history = a_history({"spot:BTC": a_walk(1500, 1)})
    own_part = np.array(list(residuals(history, BTC, XRP, 1.5).values()))
    source = build_scenario_set(history, [BTC], parameters()).shocks[: len(own_part), 0]
    # Some thousand numbers: the mean and the correlation are zero within about three standard errors, the size within a tenth.
    assert np.sqrt(np.mean(own_part**2)) == pytest.approx(0.5, rel=0.1)
    assert abs(np.mean(own_part)) < 0.5 * 3 / np.sqrt(len(own_part))
    assert abs(np.corrcoef(own_part, source)[0, 1]) < 3 / np.sqrt(len(own_part))


def test_a_day_keeps_the_shape_of_its_own_part_when_the_window_moves_on():
    levels = a_walk(80, 1)
    earlier = residuals(a_history({"spot:BTC": levels[:60]}), BTC, XRP, 1.5)
    later = residuals(a_history({"spot:BTC": levels}), BTC, XRP, 1.5)
    shared = sorted(earlier.keys() & later.keys())
    assert len(shared) > 30
    assert [earlier[day] for day in shared] == pytest.approx([later[day] for day in shared], rel=1e-9)


def test_a_hedge_in_the_proxy_is_no_hedge_of_the_last_dollar():
    history = a_history({"spot:BTC": a_walk(60, 1)})
    assert min(np.abs(list(residuals(history, BTC, XRP, 1.5).values()))) > 0


def test_the_nodes_of_a_proxied_curve_share_their_own_part():
    names = [factor(f"zero:CHF:{tenor}") for tenor in ("1Y", "5Y")]
    history = a_history({"zero:USD:1Y": a_walk(60, 1)})
    scenarios = build_scenario_set(history, names, parameters(proxies=OWN_PART))
    np.testing.assert_array_equal(scenarios.shocks[:, 0], scenarios.shocks[:, 1])


def test_the_proxy_need_not_be_asked_for():
    history = a_history({"spot:BTC": a_walk(60, 1)})
    scenarios = build_scenario_set(history, [XRP], parameters(proxies=PROXIES))
    assert scenarios.factors == (XRP,)
    assert np.abs(scenarios.shocks).max() > 0


def test_a_full_history_of_its_own_needs_no_proxy():
    history = a_history({"spot:BTC": a_walk(60, 1), "spot:XRP": a_walk(60, 2)})
    scenarios = build_scenario_set(history, [XRP], parameters(proxies=PROXIES))
    assert scenarios.proxied == {}
    assert not np.allclose(scenarios.shocks[:, 0], 1.5 * build_scenario_set(history, [BTC], parameters()).shocks[:, 0])


def test_a_node_takes_the_proxys_node_of_its_tenor_or_the_nearest_the_shorter_of_two():
    names = ["zero:USD:1Y", "zero:USD:3Y", "zero:USD:10Y"]
    history = a_history({name: a_walk(60, seed) for seed, name in enumerate(names)})
    wanted = [factor(f"zero:CHF:{tenor}") for tenor in ("1Y", "2Y", "5Y", "30Y", "1W")]
    scenarios = build_scenario_set(history, [*wanted, *map(factor, names)], parameters(proxies=PROXIES))
    for name, stands_in in zip(wanted, ["1Y", "1Y", "3Y", "10Y", "1Y"], strict=True):
        source = scenarios.shocks[:, scenarios.column_of[factor(f"zero:USD:{stands_in}")]]
        np.testing.assert_array_equal(scenarios.shocks[:, scenarios.column_of[name]], 0.5 * source)


def test_a_node_without_history_of_its_own_is_no_node_to_stand_in():
    history = a_history({"zero:USD:1Y": a_walk(60, 1), "zero:USD:5Y": [None, *a_walk(59, 2)]})
    name = factor("zero:CHF:5Y")
    scenarios = build_scenario_set(history, [name, factor("zero:USD:1Y")], parameters(proxies=PROXIES))
    np.testing.assert_array_equal(scenarios.shocks[:, 0], 0.5 * scenarios.shocks[:, 1])


def test_a_proxy_is_not_proxied_in_turn():
    history = a_history({"spot:BTC": a_walk(60, 1)})
    scenarios = build_scenario_set(history, [ETH], parameters(proxies=PROXIES))
    assert scenarios.unavailable[ETH].reason is Reason.INSUFFICIENT_HISTORY
    assert scenarios.proxied == {}


# The whole set


def test_the_order_of_the_factors_changes_no_bit():
    columns = {name: a_walk(80, seed) for seed, name in enumerate(["spot:BTC", "spot:ETH", "vol:BTC:1M", "zero:USD:1Y", "fx:EUR"])}
    wanted = [*map(factor, columns), XRP, factor("spot:DOGE")]
    chosen = parameters(proxies=PROXIES, scaling_cap="2.5", scaling_floor="0.8")
    first = build_scenario_set(a_history(columns), wanted, chosen)
    second = build_scenario_set(a_history(dict(reversed(columns.items()))), [*wanted[::-1], *wanted], chosen)
    assert first.content_hash == second.content_hash
    assert first.factors == tuple(sorted(first.factors))
    assert list(first.unavailable) == list(second.unavailable)


def test_shocks_are_laid_out_scenario_by_scenario():
    scenarios = build_scenario_set(a_history({"spot:BTC": DAYS, "spot:ETH": DAYS}), [BTC, ETH], parameters())
    assert scenarios.shocks.flags.c_contiguous


def test_names_are_start_days_of_real_dates():
    scenarios = build_scenario_set(a_history({"spot:BTC": [1, 2, 3]}, first=date(2024, 2, 28)), [BTC], parameters(offset_groups=ONE_DAY))
    assert scenarios.names == ("2024-02-28", "2024-02-29")
