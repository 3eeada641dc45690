"""Parameters of market data: what they may be, and that each moves something at both ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from crossmargin.adapters.runtime.standard_parameters import standard_parameters
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.market_clock import HorizonClock
from crossmargin.domain.market_quality import Judged, Sighting, judge, valid_quality
from crossmargin.domain.market_quality_parameters import QuoteKind
from tests.builders import market_quality_document, risk_parameters

NOW = datetime(2026, 3, 6, 21, 30, tzinfo=UTC)
D = Decimal


def quality(**changes):
    return risk_parameters(market_quality=market_quality_document(**changes)).market_quality


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"minimum_sources": 0}, "minimum_sources"),
        ({"confirming_sources": 1}, "confirming_sources"),
        ({"minimum_sources": 3, "confirming_sources": 2}, "confirming_sources"),
        ({"confirming_ticks": 1}, "confirming_ticks"),
        ({"weekly_close": {"friday_hour": 25, "sunday_hour": 0}}, "friday_hour"),
        ({"weekly_close": {"friday_hour": 24, "sunday_hour": -1}}, "sunday_hour"),
        ({"limits": {"stale_after_s": "0"}}, "stale_after_s"),
        ({"limits": {"missing_after_s": "60"}}, "missing_after_s"),
        ({"limits": {"jump_limit": "0"}}, "jump_limit"),
        ({"limits": {"implausible_limit": "0.09"}}, "implausible_limit"),
        ({"limits": {"disagreement_limit": "0.11"}}, "disagreement_limit"),
        ({"limits": {"disagreement_limit": "0"}}, "disagreement_limit"),
        ({"limits": {"drift": "0"}}, "drift"),
        ({"limits": {"widest_drift": "0.01"}}, "widest_drift"),
        ({"breakers": {"calls_per_minute": 0}}, "calls_per_minute"),
        ({"breakers": {"liquidations_per_minute": 21}}, "liquidations_per_minute"),
        ({"breakers": {"liquidations_per_minute": 0}}, "liquidations_per_minute"),
        ({"breakers": {"concentration_fraction": "0"}}, "concentration_fraction"),
        ({"breakers": {"concentration_fraction": "1.01"}}, "concentration_fraction"),
        ({"breakers": {"concentration_accounts": 1}}, "concentration_accounts"),
        ({"rules": []}, "rules of market quality"),
        ({"breakers": {"unknown": 1}}, "unknown"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_what_cannot_be_is_refused_by_name(changes, name):
    with pytest.raises(DomainError) as refused:
        quality(**changes)
    assert refused.value.reason is Reason.INVALID_RISK_PARAMETERS
    assert name in refused.value.message


def test_the_shipped_set_has_a_rule_for_every_kind_on_every_clock():
    shipped = standard_parameters().market_quality
    assert len(shipped.rule_of) == len(QuoteKind) * len(HorizonClock)


def outcome(parameters, *quotes, kind=QuoteKind.FX, clock=HorizonClock.BUSINESS, before="100", before_ago=0.0):
    earlier = Judged(D(before), valid_quality(D(before), NOW - timedelta(seconds=before_ago)))
    sightings = [Sighting(D(value), NOW - timedelta(seconds=ago)) for value, ago in quotes]
    return judge(sightings, earlier, parameters.rule_of[kind, clock], parameters, NOW)


CLOSES_EARLY, CLOSES_LATE = {"friday_hour": 20, "sunday_hour": 22}, {"friday_hour": 24, "sunday_hour": 22}
CASES = {
    "stale_after_s": ("limits", "30", "3000", [("100", 1000)], {"before_ago": 1000}),
    "missing_after_s": ("limits", "61", "100000", [("100", 2000)], {"before_ago": 2000}),
    "jump_limit": ("limits", "0.03", "0.9", [("120", 0)], {}),
    "implausible_limit": ("limits", "0.1", "2", [("180", 0)], {}),
    "disagreement_limit": ("limits", "0.001", "0.1", [("100", 0), ("105", 0)], {}),
    "drift": ("limits", "0.01", "0.3", [("100", 1000)], {"before_ago": 1000}),
    "widest_drift": ("limits", "0.03", "0.9", [("100", 5000)], {"before_ago": 5000}),
    "minimum_sources": ("top", 1, 2, [("100", 0)], {}),
    "confirming_sources": ("top", 2, 3, [("150", 0), ("150", 0)], {}),
    "weekly_close": (
        "top",
        {"friday_hour": 20, "sunday_hour": 22},
        {"friday_hour": 24, "sunday_hour": 22},
        [("100", 1700)],
        {"before_ago": 1700},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_parameter_moves_a_judgement(name):
    place, low, high, quotes, how = CASES[name]
    clock = {} if name == "weekly_close" else {"clock": HorizonClock.CALENDAR}
    outcomes = [
        outcome(quality(**({"limits": {name: value}} if place == "limits" else {name: value})), *quotes, **how, **clock)
        for value in (low, high)
    ]
    assert outcomes[0].quality != outcomes[1].quality


@pytest.mark.parametrize(("ticks", "believed_after"), [(2, 2), (5, 5)])
def test_confirming_ticks_decide_how_long_a_jump_waits(ticks, believed_after):
    parameters = quality(confirming_ticks=ticks)
    rule = parameters.rule_of[QuoteKind.SPOT, HorizonClock.CALENDAR]
    before = Judged(D(100), valid_quality(D(100), NOW))
    for tick in range(1, believed_after + 1):
        now = NOW + timedelta(seconds=tick)
        before = judge([Sighting(D(130), now)], before, rule, parameters, now)
        assert (before.level == 130) is (tick == believed_after)
