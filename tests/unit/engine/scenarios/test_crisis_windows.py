"""Days of past crises: which there are, how each factor moves on them, and who is refused."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.engine.scenarios import build_scenario_set
from crossmargin.engine.scenarios.crisis_windows import STILL, window_moves
from crossmargin.engine.scenarios.history_arrays import known_history
from tests.unit.engine.scenarios.histories import MONDAY, a_history, a_walk, an_event, factor, parameters

BTC, ETH, XRP, EUR = factor("spot:BTC"), factor("spot:ETH"), factor("spot:XRP"), factor("fx:EUR")
VOL, RATE = factor("vol:XRP:1M"), factor("zero:USD:1Y")
DAYS = 60
CRASH = an_event("Crash", moves={"spot:ETH": "-0.5"})


def a_window(first=10, last=19, *, name="Crisis", event=None):
    return {
        "name": name,
        "source": "house",
        "first_day": (MONDAY + timedelta(days=first)).isoformat(),
        "last_day": (MONDAY + timedelta(days=last)).isoformat(),
        "event": event,
    }


def rules(*windows, events=(CRASH,), **overrides):
    plain = {"ordinary_weight": "0.75", "stress_events": list(events), "crisis_windows": list(windows)}
    return parameters(**(plain | overrides))


def history(**short):
    """Sixty days of BTC, EUR and a rate; `short` factors have levels from a day on."""
    columns = {"spot:BTC": a_walk(DAYS, 1), "fx:EUR": a_walk(DAYS, 2, weekdays_only=True), "zero:USD:1Y": a_walk(DAYS, 3)}
    for name, first in short.items():
        columns[name.replace("_", ":")] = [None] * first + a_walk(DAYS, 4)[first:]
    return a_history(columns)


def arrays(levels):
    return known_history(levels, parameters())


def test_every_day_of_a_window_is_the_start_of_one_unscaled_move():
    known = history()
    found = window_moves(arrays(known), [BTC], rules(a_window(), scaling_floor="0.5", scaling_cap="2"))
    levels = np.log([float(level) for level in known.levels[BTC]])
    assert found.names == tuple(f"Crisis, {MONDAY + timedelta(days=day)}" for day in range(10, 20))
    np.testing.assert_allclose(found.shocks[:, 0], levels[11:21] - levels[10:20], rtol=1e-12)


def test_each_group_moves_over_its_own_margin_period_from_the_same_day():
    known = history(spot_ETH=0)
    found = window_moves(arrays(known), [ETH, EUR], rules(a_window()))
    ether = np.log([float(level) for level in known.levels[ETH]])
    np.testing.assert_allclose(found.shocks[:, 0], ether[12:22] - ether[10:20], rtol=1e-12)
    friday, tuesday = (math.log(float(known.levels[EUR][day])) for day in (11, 15))
    assert found.shocks[1, 1] == pytest.approx(tuesday - friday)  # two business days from Friday 12 January


def test_a_window_that_names_days_has_those_and_no_others():
    """Day 58 is too late: not every group's margin period ends within the sixty days."""
    days = [str(MONDAY + timedelta(days=day)) for day in (12, 15, 58)]
    found = window_moves(arrays(history()), [BTC], rules(a_window(10, 59) | {"days": days}))
    assert found.names == tuple(f"Crisis, {day}" for day in days[:2])
    every = window_moves(arrays(history()), [BTC], rules(a_window(10, 59)))
    np.testing.assert_array_equal(found.shocks, every.shocks[[2, 5]])


@pytest.mark.parametrize("days", [["2024-01-10"], ["2024-01-25"], ["2024-01-13", "2024-01-12"], ["2024-01-12", "2024-01-12"]], ids=str)
def test_days_outside_the_window_out_of_order_or_twice_are_refused(days):
    with pytest.raises(DomainError, match=r"days of crisis window Crisis was .* expected ascending days from 2024-01-11 to 2024-01-20"):
        rules(a_window() | {"days": days})


@pytest.mark.parametrize(("first", "last", "count"), [(0, 0, 1), (-5, 4, 5), (-9, -1, 0), (55, 80, 3), (58, 58, 0), (70, 80, 0)], ids=str)
def test_a_window_has_the_days_that_the_history_has(first, last, count):
    """A day counts when every group's margin period ends within the sixty days: the last is day 57, a Tuesday."""
    found = window_moves(arrays(history()), [BTC], rules(a_window(first, last)))
    assert found.counts == {"Crisis": count}
    assert len(found.names) == len(found.shocks) == count


def test_stress_scenarios_share_their_weight_equally_events_first():
    windows = [a_window(), a_window(30, 34, name="Later")]
    scenarios = build_scenario_set(history(), [BTC], rules(*windows))
    stress = scenarios.weights[scenarios.ordinary_count :]
    assert len(stress) == 16
    np.testing.assert_allclose(stress, 0.25 / 16, rtol=1e-12)
    assert scenarios.names[scenarios.ordinary_count] == "Crash"
    assert scenarios.names[-1] == f"Later, {MONDAY + timedelta(days=34)}"
    assert scenarios.window_counts == {"Crisis": 10, "Later": 5}


def test_a_history_that_reaches_no_window_leaves_the_named_events():
    without = build_scenario_set(history(), [BTC], rules())
    outside = build_scenario_set(history(), [BTC], rules(a_window(-900, -880)))
    assert outside.content_hash == without.content_hash
    assert outside.window_counts == {"Crisis": 0}


def moved_by(known, name, *windows, **overrides):
    scenarios = build_scenario_set(known, [name], rules(*(windows or [a_window(event="Crash")]), **overrides))
    return scenarios.shocks[-10:, scenarios.column_of[name]], scenarios.stand_ins.get(name)


def recent(**short):
    """The last thirty days are ordinary scenarios, so that a short history is enough for them and not for the window."""
    return {"known": history(**short), "observation_count": 20}


def test_own_history_comes_first():
    arguments = recent(spot_ETH=0)
    moves, instead = moved_by(arguments.pop("known"), ETH, **arguments)
    assert instead is None
    assert len(set(moves.tolist())) == 10


def test_a_factor_without_history_in_the_window_takes_its_proxy():
    proxies = [{"curve": "spot:ETH", "proxy_curve": "spot:BTC", "beta": "1.5"}]
    arguments = recent(spot_ETH=30)
    known = arguments.pop("known")
    moves, instead = moved_by(known, ETH, proxies=proxies, **arguments)
    bitcoin, _ = moved_by(known, BTC, **arguments)
    # The proxy's own move, over the proxy's own margin period.
    np.testing.assert_allclose(moves, 1.5 * bitcoin)
    assert instead == {"Crisis": "1.5 x spot:BTC"}


def test_without_a_proxy_it_takes_the_published_move_of_the_windows_event():
    arguments = recent(spot_ETH=30)
    moves, instead = moved_by(arguments.pop("known"), ETH, **arguments)
    np.testing.assert_allclose(moves, math.log(0.5))
    assert instead == {"Crisis": "published move of Crash"}


def test_the_event_s_move_of_the_class_is_a_published_move():
    event = an_event("Crash", classes={"CRYPTO": "-0.3"})
    arguments = recent(spot_ETH=30)
    moves, _ = moved_by(arguments.pop("known"), ETH, events=[event], **arguments)
    np.testing.assert_allclose(moves, math.log(0.7))


def test_a_volatility_follows_its_spot_day_by_day():
    arguments = recent(vol_BTC_1M=30)
    known = arguments.pop("known")
    volatility = factor("vol:BTC:1M")
    moves, instead = moved_by(known, volatility, stress_vol_response="2", **arguments)
    bitcoin, _ = moved_by(known, BTC, **arguments)
    np.testing.assert_allclose(moves, 2 * np.abs(bitcoin))
    assert instead == {"Crisis": "2 x the move of spot:BTC"}


def test_a_crisis_elsewhere_leaves_a_factor_where_it_was_and_says_so():
    event = an_event("Elsewhere", moves={"fx:EUR": "-0.1"})
    arguments = recent(spot_ETH=30)
    moves, instead = moved_by(arguments.pop("known"), ETH, a_window(event="Elsewhere"), events=[event], **arguments)
    assert (set(moves.tolist()), instead) == ({0.0}, {"Crisis": STILL})


@pytest.mark.parametrize("event", ["Concerns coins", None])
def test_a_factor_that_nothing_moves_is_refused_and_leaves_the_others_alone(event):
    """An event of its class that gives it no figure, or no event at all: that it stood still would be a guess."""
    events = [an_event("Concerns coins", moves={"spot:XRP": "-0.5"})]
    arguments = recent(spot_ETH=30)
    wanted = rules(a_window(event=event), events=events, observation_count=20)
    scenarios = build_scenario_set(arguments["known"], [BTC, ETH], wanted)
    error = scenarios.unavailable[ETH]
    assert error.reason is Reason.INSUFFICIENT_HISTORY
    assert (error.facts["factor"], error.facts["crisis_window"]) == ("spot:ETH", "Crisis")
    assert "give spot:ETH a proxy" in error.message
    alone = build_scenario_set(arguments["known"], [BTC], wanted)
    assert scenarios.content_hash == alone.content_hash


def test_a_hole_inside_the_window_is_no_history():
    columns = {"spot:BTC": a_walk(DAYS, 1), "spot:ETH": a_walk(DAYS, 2)}
    columns["spot:ETH"][12:18] = [None] * 6
    known = a_history(columns)
    _, instead = moved_by(known, ETH, maximum_carry_days=3, observation_count=20)
    assert instead == {"Crisis": "published move of Crash"}


def test_the_same_whatever_else_is_asked_for():
    known = history(spot_ETH=30, vol_BTC_1M=30)
    wanted = rules(a_window(event="Crash"), observation_count=20)
    everything = [BTC, ETH, EUR, RATE, factor("vol:BTC:1M")]
    together = build_scenario_set(known, everything, wanted)
    for name in everything:
        alone = build_scenario_set(known, [name], wanted)
        np.testing.assert_array_equal(alone.shocks[:, 0], together.shocks[:, together.column_of[name]])
    assert build_scenario_set(known, everything[::-1], wanted).content_hash == together.content_hash


def test_windows_know_nothing_after_the_history_ends():
    """A longer history changes no day that the shorter one already had."""
    wanted = rules(a_window(40, 70))
    longer = history()
    shorter = a_history({"spot:BTC": [str(level) for level in longer.levels[BTC][:50]]})
    few, many = (window_moves(arrays(known), [BTC], wanted) for known in (shorter, longer))
    assert 0 < len(few.names) < len(many.names)
    np.testing.assert_array_equal(few.shocks, many.shocks[: len(few.shocks)])
