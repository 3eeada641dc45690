"""The table of what may be decided on doubted market data, cell by cell."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from crossmargin.domain.errors import Reason
from crossmargin.domain.margin import Band, DataQuality, DoubtedInput
from crossmargin.domain.market_gate import GATES, Action, Gate, alert_band, closed_by, market_refusal, may_liquidate, widest
from crossmargin.domain.market_quality import Quality, Verdict

SEEN = datetime(2026, 3, 2, tzinfo=UTC)
D = Decimal
V, SUS, STA, MIS = Verdict.VALID, Verdict.SUSPECT, Verdict.STALE, Verdict.MISSING

TABLE = """
risk-reducing    valid    yes
risk-reducing    suspect  yes
risk-reducing    stale    yes
risk-reducing    missing  yes
risk-increasing  valid    if fine at the least favourable end
risk-increasing  suspect  if fine at the least favourable end
risk-increasing  stale    no
risk-increasing  missing  no
withdrawal       valid    if fine at the least favourable end
withdrawal       suspect  if fine at the least favourable end
withdrawal       stale    no
withdrawal       missing  no
margin call      valid    if short at the most favourable end
margin call      suspect  if short at the most favourable end, for a person to confirm
margin call      stale    if short at the most favourable end
margin call      missing  if short at the most favourable end
liquidation      valid    if short at the most favourable end, and again on a newer snapshot under the lock
liquidation      suspect  if short at the most favourable end once a second source, or enough newer quotes, say so too
liquidation      stale    if short at the most favourable end, by other instruments
liquidation      missing  no
"""


def test_every_cell_of_the_table_is_what_the_design_says():
    cells = {}
    for row in TABLE.strip().splitlines():
        action, verdict, gate = row[:17].strip(), row[17:26].strip(), row[26:].strip()
        cells[Action(action), Verdict(verdict)] = Gate(gate)
    assert cells == dict(GATES)
    assert len(cells) == len(Action) * len(Verdict)


def doubt(verdict, subject="spot:BTC", *, ticks=0):
    return DoubtedInput(subject, Quality(verdict, SEEN, D(50), D(60), ticks=ticks))


def quality(best, *doubted, worst=Band.LIQUIDATION, ticks=3):
    return DataQuality(doubted, D(0), None, None, D(0), best, worst, may_liquidate(doubted, confirming_ticks=ticks))


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("verdict", [SUS, STA, MIS])
def test_an_input_closes_what_the_table_says_no_to(action, verdict):
    closing = closed_by(action, [doubt(SUS, "a"), doubt(verdict, "b")])
    assert (closing is not None) is (GATES[action, verdict] is Gate.CLOSED)
    assert closing is None or closing.subject == "b"


def test_the_worst_input_is_the_one_that_is_named():
    assert closed_by(Action.WITHDRAWAL, [doubt(STA, "a"), doubt(MIS, "b"), doubt(STA, "c")]).subject == "b"


@pytest.mark.parametrize(
    ("at_levels", "best", "doubted", "band"),
    [
        (Band.HEALTHY, Band.HEALTHY, [doubt(STA)], Band.HEALTHY),
        (Band.AT_RISK, Band.HEALTHY, [doubt(STA)], Band.AT_RISK),
        (Band.MARGIN_CALL, Band.HEALTHY, [doubt(STA)], Band.AT_RISK),
        (Band.LIQUIDATION, Band.AT_RISK, [doubt(STA)], Band.AT_RISK),
        (Band.LIQUIDATION, Band.MARGIN_CALL, [doubt(STA)], Band.MARGIN_CALL),
        (Band.LIQUIDATION, Band.LIQUIDATION, [doubt(STA)], Band.LIQUIDATION),
        (Band.LIQUIDATION, Band.LIQUIDATION, [doubt(STA), doubt(MIS)], Band.MARGIN_CALL),
        (Band.LIQUIDATION, Band.LIQUIDATION, [doubt(SUS, ticks=2)], Band.MARGIN_CALL),
        (Band.LIQUIDATION, Band.LIQUIDATION, [doubt(SUS, ticks=3)], Band.LIQUIDATION),
        (Band.MARGIN_CALL, Band.MARGIN_CALL, [doubt(SUS)], Band.MARGIN_CALL),
    ],
)
def test_the_band_to_alert_on_is_that_of_the_best_end_as_far_as_calls_go(at_levels, best, doubted, band):
    assert alert_band(at_levels, quality(best, *doubted)) is band


def test_what_is_left_open_between_two_results_is_the_wider_of_both():
    one = DataQuality((doubt(STA, "a"),), D("0.2"), D("0.5"), D(10), D(20), Band.HEALTHY, Band.WATCH, may_liquidate=True)
    other = DataQuality((doubt(SUS, "b"),), D("0.3"), None, D(5), D(15), Band.WATCH, Band.LIQUIDATION, may_liquidate=False)
    both = widest(one, other)
    assert both == widest(other, one)
    assert [each.subject for each in both.doubted] == ["a", "b"]
    assert (both.utilization_low, both.utilization_high) == (D("0.2"), None)
    assert (both.excess_to_initial_low, both.excess_to_initial_high) == (5, 20)
    assert (both.best_band, both.worst_band, both.may_liquidate) == (Band.HEALTHY, Band.LIQUIDATION, False)
    assert widest(one, None) is one
    assert widest(None, None) is None
    unknown = replace(one, excess_to_initial_low=None, utilization_low=None)
    assert (widest(unknown, other).excess_to_initial_low, widest(unknown, other).utilization_low) == (None, D("0.3"))


@pytest.mark.parametrize(
    ("doubted", "least", "reason"),
    [
        ([], D(0), None),
        ([doubt(SUS)], D(0), None),
        ([doubt(SUS)], D("-0.01"), Reason.SUSPECT_MARKET_DATA),
        ([doubt(SUS)], None, Reason.SUSPECT_MARKET_DATA),
        ([doubt(STA), doubt(SUS)], D(1000), Reason.STALE_MARKET_DATA),
        ([doubt(STA), doubt(MIS)], D(1000), Reason.MISSING_MARKET_DATA),
    ],
)
@pytest.mark.parametrize("action", [Action.RISK_INCREASING, Action.WITHDRAWAL])
def test_an_approval_is_refused_with_the_reason_that_stands_in_its_way(action, doubted, least, reason):
    refusal = market_refusal(action, doubted, covers_at_levels=True, least_excess=least)
    assert (refusal.reason if refusal else None) is reason
    if refusal is not None:
        assert refusal.facts["verdict"] in {"suspect", "stale", "missing"}
        assert "spot:BTC" in refusal.message


def test_an_order_is_closed_by_what_it_touches_and_held_to_the_worst_end_of_everything():
    far, near = doubt(STA, "fx:EUR"), doubt(SUS, "spot:BTC")
    how = {"covers_at_levels": True, "touched": [near]}
    assert market_refusal(Action.RISK_INCREASING, [far, near], **how, least_excess=D(1)) is None
    assert market_refusal(Action.RISK_INCREASING, [far, near], **how, least_excess=D(-1)).reason is Reason.STALE_MARKET_DATA
    how["touched"] = []
    assert market_refusal(Action.RISK_INCREASING, [near], **how, least_excess=D(-1)).reason is Reason.SUSPECT_MARKET_DATA
    how["touched"] = [far]
    assert market_refusal(Action.RISK_INCREASING, [far, near], **how, least_excess=D(1)).facts["subject"] == "fx:EUR"


def test_what_is_short_at_the_levels_already_is_not_blamed_on_the_market():
    assert market_refusal(Action.WITHDRAWAL, [doubt(SUS)], covers_at_levels=False, least_excess=D(-5)) is None
    assert market_refusal(Action.WITHDRAWAL, [doubt(STA)], covers_at_levels=False, least_excess=D(-5)).reason is Reason.STALE_MARKET_DATA
