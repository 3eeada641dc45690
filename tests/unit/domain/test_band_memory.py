"""The monitor's band is entered as a result says and left with hysteresis; each of its parameters moves it at both ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.adapters.runtime.standard_parameters import standard_parameters
from crossmargin.domain.band_memory import BandState, next_band_state
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.margin import Band, DataQuality, MarginResult
from crossmargin.domain.market_gate import at_least, gated
from crossmargin.domain.monitor_parameters import MonitorParameters
from tests.builders import risk_parameters
from tests.parameter_leaves import leaves
from tests.unit.adapters.prometheus.results import a_result

D = Decimal
LINES = ((Band.LIQUIDATION, D(1)), (Band.MARGIN_CALL, D("0.8")), (Band.AT_RISK, D("0.7")), (Band.WATCH, D("0.6")))
SINCE = datetime(2026, 3, 2, tzinfo=UTC)
MONITOR = {"hysteresis": "0.02", "liquidation_end": "0.75", "immediate_liquidation": "1.25", "call_increase_fraction": "0.1"}


def plain(utilization):
    return next((band for band, line in LINES if utilization >= line), Band.HEALTHY)


def at(utilization, *, low=None, high=None) -> MarginResult:
    """A result at a utilization; between `low` and `high` where the market is doubted. `inf` is infinite."""
    used = D(str(utilization))
    result = replace(a_result(utilization=None), utilization=used if used.is_finite() else None, band=plain(used))
    if low is None:
        return result
    ends = [D(str(end)) for end in (low, high)]
    low_end, high_end = (end if end.is_finite() else None for end in ends)
    bands = [plain(end) for end in ends]
    return gated(result, DataQuality((), low_end, high_end, None, None, *bands, may_liquidate=True))


def held(*results, monitor=None, start=None):
    """The band after some results."""
    parameters = risk_parameters(monitor=MONITOR | (monitor or {}))
    state = None if start is None else BandState(start, since=SINCE)
    for result in results:
        state = next_band_state(state, result if isinstance(result, MarginResult) else at(result), parameters)
    return state


@pytest.mark.parametrize(
    ("before", "utilization", "after"),
    [
        (Band.HEALTHY, "0.60", Band.WATCH),
        (Band.WATCH, "0.58", Band.WATCH),
        (Band.WATCH, "0.5799", Band.HEALTHY),
        (Band.AT_RISK, "0.68", Band.AT_RISK),
        (Band.AT_RISK, "0.6799", Band.WATCH),
        (Band.AT_RISK, "0.59", Band.WATCH),
        (Band.MARGIN_CALL, "0.78", Band.MARGIN_CALL),
        (Band.MARGIN_CALL, "0.7799", Band.AT_RISK),
        (Band.MARGIN_CALL, "0.10", Band.HEALTHY),
        (Band.LIQUIDATION, "0.99", Band.LIQUIDATION),
        (Band.LIQUIDATION, "0.7501", Band.LIQUIDATION),
        (Band.LIQUIDATION, "0.75", Band.AT_RISK),
        (Band.AT_RISK, "inf", Band.LIQUIDATION),
        (Band.LIQUIDATION, "inf", Band.LIQUIDATION),
        (Band.LIQUIDATION, "0", Band.HEALTHY),
    ],
)
def test_a_band_is_entered_at_its_line_and_left_below_it(before, utilization, after):
    assert held(utilization, start=before).band is after


def test_an_account_that_was_never_seen_is_where_it_is():
    assert held("0.79") == BandState(Band.AT_RISK)


def test_a_state_says_since_when_until_the_band_changes():
    assert held("0.79", start=Band.MARGIN_CALL).since == SINCE
    assert held("0.9", start=Band.WATCH).since is None


@pytest.mark.parametrize(("utilization", "is_immediate"), [("1.2499", False), ("1.25", True), ("inf", True), ("0.9", False)])
def test_far_past_the_line_a_liquidation_waits_for_nobody(utilization, is_immediate):
    assert held(utilization).is_immediate is is_immediate


def test_doubted_market_data_neither_calls_nor_lets_go():
    """Margin is called by the most favourable end, and what is called is let go by the least favourable one."""
    doubted = at("0.9", low="0.5", high="1.4")
    assert held(doubted, start=Band.HEALTHY).band is Band.AT_RISK
    assert held(doubted, start=Band.MARGIN_CALL).band is Band.MARGIN_CALL
    assert held(at("0.5", low="0.4", high="0.77"), start=Band.MARGIN_CALL).band is Band.AT_RISK
    assert held(at("0.5", low="0.4", high="inf"), start=Band.LIQUIDATION).band is Band.LIQUIDATION
    assert not held(at("1.3", low="1.2", high="1.5"), start=Band.MARGIN_CALL).is_immediate


ENDS = {
    "hysteresis": ({"hysteresis": "0"}, {"hysteresis": "0.5"}, Band.MARGIN_CALL, "0.79"),
    "liquidation_end": ({"liquidation_end": "0.01"}, {"liquidation_end": "0.95"}, Band.LIQUIDATION, "0.9"),
    "immediate_liquidation": ({"immediate_liquidation": "1"}, {"immediate_liquidation": "9"}, Band.HEALTHY, "1.1"),
}


def test_every_parameter_has_its_case():
    assert set(ENDS) | {"call_increase_fraction"} == leaves(MonitorParameters), "of calls: test_review_calls.py"


@pytest.mark.parametrize("name", ENDS)
def test_each_parameter_moves_a_band_at_both_ends(name):
    low, high, before, utilization = ENDS[name]
    states = [held(utilization, start=before, monitor=change) for change in (low, high)]
    assert states[0] != states[1]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"hysteresis": "-0.01"}, "hysteresis"),
        ({"hysteresis": "1"}, "hysteresis"),
        ({"liquidation_end": "0"}, "liquidation_end"),
        ({"immediate_liquidation": "0.75"}, "immediate_liquidation"),
        ({"call_increase_fraction": "-0.1"}, "call_increase_fraction"),
        ({"unknown": "1"}, "unknown"),
    ],
)
def test_what_cannot_be_is_refused_by_name(changes, name):
    with pytest.raises(DomainError) as refused:
        risk_parameters(monitor=MONITOR | changes)
    assert (refused.value.reason, name in refused.value.message) == (Reason.INVALID_RISK_PARAMETERS, True)


def test_a_set_from_before_there_was_a_memory_has_the_shipped_figures():
    assert risk_parameters().monitor == standard_parameters().monitor


UTILIZATIONS = st.decimals(min_value=0, max_value=2, places=3)


@given(st.lists(UTILIZATIONS, min_size=1, max_size=12))
def test_the_remembered_band_is_never_better_than_the_plain_one_and_never_worse_than_what_was_seen(path):
    states = [held(*path[: place + 1]) for place in range(len(path))]
    worst = Band.HEALTHY
    for utilization, state in zip(path, states, strict=True):
        worst = max(worst, plain(utilization), key=list(Band).index)
        assert at_least(state.band, plain(utilization))
        assert at_least(worst, state.band)


@given(st.lists(UTILIZATIONS, min_size=1, max_size=8))
def test_without_hysteresis_there_is_no_memory(path):
    assert held(*path, monitor={"hysteresis": "0", "liquidation_end": "1"}).band in {plain(path[-1]), Band.LIQUIDATION}
    assert held(*path, monitor={"hysteresis": "0", "liquidation_end": "0.9999"}).band is plain(path[-1])


ENDS_OF = {Band.WATCH: D("0.58"), Band.AT_RISK: D("0.68"), Band.MARGIN_CALL: D("0.78")}
SEEN = st.tuples(UTILIZATIONS, st.decimals(0, "0.3", places=3), st.decimals(0, "0.3", places=3))


@given(st.lists(SEEN, min_size=2, max_size=10))
def test_a_band_is_left_only_below_its_line_by_the_hysteresis_at_the_worst_end_and_a_call_entered_only_at_the_best(path):
    """Doubted or not: nobody is called for what may not be so, and nobody let go for it."""
    results = [at(one, low=max(one - below, D(0)), high=one + above) for one, below, above in path]
    states = [held(*results[: place + 1]) for place in range(len(results))]
    for (one, below, above), before, after in zip(path[1:], states, states[1:], strict=False):
        low, high = max(one - below, D(0)), one + above
        if at_least(before.band, after.band) and before.band is not after.band and high:
            assert high <= D("0.75") if before.band is Band.LIQUIDATION else high < ENDS_OF[before.band]
        if at_least(after.band, Band.MARGIN_CALL) and not at_least(before.band, after.band):
            assert low >= {Band.MARGIN_CALL: D("0.8"), Band.LIQUIDATION: D(1)}[after.band]
