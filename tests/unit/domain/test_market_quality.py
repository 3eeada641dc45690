"""How levels are judged: valid, suspect, stale or missing, and the range of each."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.domain.errors import DomainError
from crossmargin.domain.market_clock import HorizonClock
from crossmargin.domain.market_quality import Judged, Quality, Sighting, Verdict, distance, drifted, judge, valid_quality
from crossmargin.domain.market_quality_parameters import QuoteKind
from tests.builders import market_quality_document, risk_parameters

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
D = Decimal
LIMITS = {"stale_after_s": "60", "missing_after_s": "600", "jump_limit": "0.1", "implausible_limit": "1", "drift": "0.02"}


@cache
def parameters(**changes):
    return risk_parameters(market_quality=market_quality_document(limits=LIMITS, **changes)).market_quality


def a_rule(kind=QuoteKind.SPOT, clock=HorizonClock.CALENDAR, **changes):
    return replace(parameters().rule_of[kind, clock], **{name: D(value) for name, value in changes.items()})


def said(value, *, ago=0.0):
    return Sighting(D(value), NOW - timedelta(seconds=ago))


def believed(value, *, ago=1.0):
    return Judged(D(value), valid_quality(D(value), NOW - timedelta(seconds=ago)))


def judged(*sightings, before=None, rule=None, now=NOW, **changes):
    return judge(sightings, before, rule or a_rule(), parameters(**changes), now)


def over(ticks, *values, before, **changes):
    """Judge one new sighting of one source a second, and return what came of each."""
    found = []
    for tick, value in zip(range(1, ticks + 1), values, strict=True):
        now = NOW + timedelta(seconds=tick)
        before = judge([Sighting(D(value), now)], before, a_rule(), parameters(**changes), now)
        found.append(before)
    return found


def test_a_fresh_quote_near_the_level_before_is_valid():
    result = judged(said("101", ago=2), before=believed("100"))
    assert result == Judged(D(101), valid_quality(D(101), NOW - timedelta(seconds=2)))


def test_nobody_knows_what_nobody_ever_said():
    assert judged() is None


def test_a_quote_is_stale_once_it_is_older_than_its_limit_and_not_before():
    assert judged(said("100", ago=60), before=believed("100", ago=60)).quality.verdict is Verdict.VALID
    stale = judged(said("100", ago=60.000001), before=believed("100", ago=60.000001))
    assert (stale.level, stale.quality.verdict) == (100, Verdict.STALE)
    assert stale.quality.low < 100 < stale.quality.high


def test_a_stale_range_widens_with_age_and_stops_widening_when_missing():
    widths = []
    for ago in (61, 200, 599, 601, 100_000):
        quality = judged(said("100", ago=ago), before=believed("100", ago=ago)).quality
        widths.append(quality.high - quality.low)
        assert quality.verdict is (Verdict.MISSING if ago > 600 else Verdict.STALE)
    assert widths == sorted(widths)
    assert widths[-1] == widths[-2]
    assert quality.high == 150


def test_a_level_without_any_source_ages_from_when_it_was_published():
    assert judged(before=believed("100", ago=59)).quality.verdict is Verdict.VALID
    assert judged(before=believed("100", ago=61)).quality.verdict is Verdict.STALE


def test_age_is_never_made_zero_a_quote_from_the_future_is_not_fresh():
    assert judged(said("100", ago=-1), before=believed("100", ago=100)).quality.verdict is Verdict.VALID
    assert judged(said("100", ago=-1.5), before=believed("100", ago=100)).quality.verdict is Verdict.STALE
    assert judged(said("100", ago=-3600)) is None


def test_closed_markets_are_not_stale():
    friday, monday = datetime(2026, 3, 6, 20, 59, 30, tzinfo=UTC), datetime(2026, 3, 8, 22, 0, 20, tzinfo=UTC)
    rule = a_rule(QuoteKind.FX, HorizonClock.BUSINESS)
    quote = Sighting(D("1.1"), friday)
    before = Judged(D("1.1"), valid_quality(D("1.1"), friday))
    assert judge([quote], before, rule, parameters(), monday).quality.verdict is Verdict.VALID
    assert judge([quote], before, rule, parameters(), monday + timedelta(seconds=20)).quality.verdict is Verdict.STALE
    always_open = a_rule(QuoteKind.SPOT, HorizonClock.CALENDAR)
    assert judge([quote], before, always_open, parameters(), monday).quality.verdict is Verdict.MISSING


def test_a_jump_is_suspect_and_the_level_stays_what_was_believed():
    result = judged(said("89"), before=believed("100"))
    assert (result.level, result.quality.verdict, result.quality.candidate) == (100, Verdict.SUSPECT, 89)
    assert result.quality.low == 89
    assert 100 < result.quality.high < 103


@pytest.mark.parametrize("value", ["110", "91"])
def test_a_move_up_to_the_limit_is_no_jump(value):
    assert judged(said(value), before=believed("100")).quality.verdict is Verdict.VALID


def test_a_jump_that_stands_over_enough_newer_quotes_is_believed():
    verdicts = [result.quality.verdict for result in over(4, "80", "79", "81", "80", before=believed("100"))]
    assert verdicts == [Verdict.SUSPECT, Verdict.SUSPECT, Verdict.VALID, Verdict.VALID]


def test_a_quote_said_once_confirms_nothing_however_long_it_stands():
    before = believed("100")
    quote = Sighting(D(80), NOW)
    for tick in range(1, 10):
        now = NOW + timedelta(seconds=tick)
        before = judge([quote], before, a_rule(), parameters(), now)
        assert (before.quality.verdict, before.quality.ticks) == (Verdict.SUSPECT, 1)


def test_a_feed_that_jumps_about_confirms_nothing():
    results = over(6, "80", "120", "80", "120", "80", "120", before=believed("100"))
    assert {result.quality.verdict for result in results} == {Verdict.SUSPECT}
    assert {result.level for result in results} == {100}


def test_a_jump_that_is_taken_back_leaves_nothing_behind():
    assert over(2, "80", "101", before=believed("100"))[-1] == Judged(D(101), valid_quality(D(101), NOW + timedelta(seconds=2)))


@pytest.mark.parametrize("value", ["10000", "1"])
def test_an_implausible_jump_of_one_source_is_never_believed_and_is_no_end_of_the_range(value):
    for result in over(20, *[value] * 20, before=believed("100")):
        assert (result.level, result.quality.verdict) == (100, Verdict.SUSPECT)
        assert 97 < result.quality.low < 100 < result.quality.high < 103


@pytest.mark.parametrize("value", ["80", "10000"])
def test_what_a_second_source_says_too_is_believed_at_once(value):
    assert judged(said(value), said(value), before=believed("100")) == Judged(D(value), valid_quality(D(value), NOW))


@pytest.mark.parametrize("wrong", ["104", "300", "10000", "1"])
def test_one_of_three_sources_that_is_wrong_is_outvoted(wrong):
    result = judged(said("100"), said(wrong), said("101"), before=believed("100"))
    assert (result.level, result.quality.verdict) == (100, Verdict.VALID)


def test_two_sources_that_disagree_are_suspect_from_one_to_the_other():
    result = judged(said("96"), said("105"), before=believed("100"))
    assert (result.level, result.quality.verdict, result.quality.low, result.quality.high) == (100, Verdict.SUSPECT, 96, 105)
    assert judged(said("100"), said("102"), before=believed("100")).quality.verdict is Verdict.VALID


def test_of_two_sources_one_that_is_implausible_counts_as_silent():
    result = judged(said("101"), said("10000"), before=believed("100"))
    assert (result.level, result.quality.verdict) == (101, Verdict.VALID)


def test_sources_that_disagree_from_the_start_are_suspect_at_one_of_their_values():
    result = judged(said("100"), said("200"))
    assert (result.level, result.quality.verdict) == (100, Verdict.SUSPECT)
    assert result.quality.low < 100
    assert result.quality.high == 200


def test_fewer_sources_than_asked_for_are_suspect():
    assert judged(said("100"), before=believed("100"), minimum_sources=2).quality.verdict is Verdict.SUSPECT
    assert judged(said("100"), said("100"), before=believed("100"), minimum_sources=2).quality.verdict is Verdict.VALID
    three = {"minimum_sources": 3, "confirming_sources": 3}
    assert judged(said("100"), said("100"), before=believed("100"), **three).quality.verdict is Verdict.SUSPECT


def test_a_suspect_level_whose_source_falls_silent_is_stale_and_keeps_both_ends():
    waiting = judged(said("80"), before=believed("100"))
    silent = judge([said("80")], waiting, a_rule(), parameters(), NOW + timedelta(seconds=90))
    assert (silent.level, silent.quality.verdict) == (100, Verdict.STALE)
    assert silent.quality.low == 80


def test_rates_move_by_difference_and_may_be_below_zero():
    rule = a_rule(QuoteKind.ZERO, jump_limit="0.005", implausible_limit="0.05", disagreement_limit="0.001")
    before = Judged(D("-0.001"), valid_quality(D("-0.001"), NOW))
    assert judged(said("0.004"), before=before, rule=rule).quality.verdict is Verdict.VALID
    assert judged(said("0.0041"), before=before, rule=rule).quality.verdict is Verdict.SUSPECT


@pytest.mark.parametrize(
    ("one", "other", "apart"), [("100", "80", "0.25"), ("80", "100", "0.25"), ("5", "5", "0"), ("0", "5", "Infinity"), ("0", "0", "0")]
)
def test_prices_are_apart_by_the_larger_over_the_smaller(one, other, apart):
    assert distance(D(one), D(other), a_rule()) == D(apart)


def test_a_price_never_drifts_to_zero_and_a_rate_stays_possible():
    assert drifted(D("1e-18"), D(1), a_rule()) == (D("1e-18"), D("2e-18"))
    assert drifted(D("9.9"), D("0.3"), a_rule(QuoteKind.ZERO))[1] == 10


def test_a_range_that_is_none_is_refused():
    with pytest.raises(DomainError, match="ascending ends"):
        Quality(Verdict.STALE, NOW, D(2), D(1))
    with pytest.raises(DomainError, match="equal for a valid one"):
        Quality(Verdict.VALID, NOW, D(1), D(2))


SIGHTINGS = st.lists(st.builds(said, st.decimals("0.01", "1000", places=2).map(str), ago=st.floats(0, 200, allow_nan=False)), max_size=4)
BEFORE = st.none() | st.builds(believed, st.decimals("0.01", "1000", places=2).map(str), ago=st.floats(0, 700, allow_nan=False))


@given(SIGHTINGS, BEFORE)
def test_a_judgement_is_the_same_whatever_the_order_of_the_sources_and_holds_its_level(sightings, before):
    result = judge(sightings, before, a_rule(), parameters(), NOW)
    assert judge(list(reversed(sightings)), before, a_rule(), parameters(), NOW) == result
    if result is None:
        assert before is None
        return
    assert result.quality.low <= result.level <= result.quality.high
    assert result.level in {each.value for each in sightings} | ({before.level} if before else set())
    if before is not None and result.quality.verdict is not Verdict.VALID:
        assert result.level == before.level
