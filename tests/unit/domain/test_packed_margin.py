"""A margin that is packed and unpacked is the same to the last digit, whatever it has."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.identifiers import InstrumentId, OffsetGroupId
from crossmargin.domain.margin import (
    Band,
    Charge,
    CollateralLine,
    Contribution,
    DataQuality,
    DoubtedInput,
    GapLoss,
    GroupRequirement,
    HeldPeg,
    WorstScenario,
)
from crossmargin.domain.market_quality import Quality, Verdict
from crossmargin.domain.packed_margin import packed_margin, unpacked_margin
from tests.unit.adapters.prometheus.results import a_result

D, NOON = Decimal, datetime(2026, 3, 2, 12, tzinfo=UTC)
PEG = HeldPeg(D("0.9700"), D("0.97"), NOON, None, is_lost=False)
DOUBT = DoubtedInput("spot:BTC", Quality(Verdict.SUSPECT, NOON, D(50_000), D(61_000)))
QUALITY = DataQuality((DOUBT,), D("0.4"), None, None, D("5.00"), Band.WATCH, Band.LIQUIDATION, may_liquidate=False, is_provisional=True)
# Amounts that differ from each other, and digits that a number would lose.
LINE = CollateralLine(InstrumentId("USDC"), CollateralPolicy.AUTO, D("1.50"), D("2"), D("-0.00"), D("1E+3"), D("5"), D("6.0"), D("7"), PEG)
DEBT = CollateralLine(InstrumentId("BTC"), None, D(-1), D(-2), D(3), D(4), D(-5), D(6), D(7))


def with_lines(*lines):
    return replace(a_result(), equity=replace(a_result().equity, lines=lines))


@pytest.mark.parametrize(
    "result",
    [
        a_result(),
        a_result(utilization=None, band=Band.LIQUIDATION),
        with_lines(LINE, DEBT),
        with_lines(),
        replace(a_result(), requirement=replace(a_result().requirement, charges=(Charge("liquidity", D("1.50")), Charge("basis", D(2))))),
        replace(a_result(), requirement=replace(a_result().requirement, initial_only=(Charge("exposure", D("3.00")),))),
        replace(a_result(), quality=QUALITY),
        replace(a_result(), gap=GapLoss(D(1), D("2.0"), D(3), "2020-03-12")),
        replace(a_result(), contributions=(Contribution(InstrumentId("BTC"), D("-1.00")),)),
        replace(a_result(), groups=(GroupRequirement(OffsetGroupId("BTC"), "CRYPTO", D("4.00")),)),
        replace(a_result(), worst_scenarios=(WorstScenario("2020-03-12", is_stress=True, weight=D("0.01"), pnl=D(-5)),)),
        *(a_result(band=band) for band in Band),
    ],
)
def test_a_margin_comes_back_as_it_was(result):
    sent = pickle.loads(pickle.dumps(packed_margin(result)))  # noqa: S301 - our own
    assert repr(unpacked_margin(sent, result.stamp)) == repr(result)


def test_every_figure_has_a_place_of_its_own():
    """Were two of them swapped, a result of figures that all differ would not come back."""
    result = with_lines(LINE)
    for part in ("equity", "requirement"):
        bridge = getattr(result, part)
        figures = [name for name in bridge.__slots__ if isinstance(getattr(bridge, name), Decimal)]
        result = replace(result, **{part: replace(bridge, **{name: D(f"{place}.10") for place, name in enumerate(figures)})})
    assert repr(unpacked_margin(packed_margin(result), result.stamp)) == repr(result)


def test_what_hardly_any_account_has_takes_no_room():
    assert packed_margin(a_result()).beside is None
    assert len(pickle.dumps(packed_margin(a_result()))) < 700
