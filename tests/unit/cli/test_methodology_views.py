"""Methodologies as people read and write them."""

from io import StringIO

import pytest
from rich.console import Console

from crossmargin.api.v1 import margin_service_pb2 as pb
from crossmargin_cli.failures import MisuseError
from crossmargin_cli.margin_views import gap_sentence, stamp_line
from crossmargin_cli.methodology_views import METHODOLOGY_NAMES, comparison_notes, comparison_table, methodology_named
from crossmargin_client import EXPECTED_SHORTFALL, RATIO, SPAN_GRID


def a_margin(methodology):
    return pb.Margin(
        stamp=pb.MarginStamp(account="clients/alpha/accounts/core", methodology=methodology),
        equity=pb.EquityBridge(equity="1000"),
        requirement=pb.RequirementBridge(gross="900", netting_benefit_fraction="0.5", maintenance_margin="450", initial_margin="562.5"),
        utilization="0.45",
        band=pb.BAND_HEALTHY,
    )


def a_comparison():
    return pb.CompareMethodologiesResponse(
        selected=SPAN_GRID,
        margins=[
            pb.MethodologyMargin(methodology=SPAN_GRID, margin=a_margin(SPAN_GRID)),
            pb.MethodologyMargin(methodology=RATIO, unavailable="risk parameters house-1 lack methodologies"),
        ],
    )


def printed(table):
    out = StringIO()
    Console(file=out, width=140).print(table)
    return out.getvalue()


def test_a_comparison_has_a_line_for_each_methodology_and_marks_the_account_s_own():
    lines = printed(comparison_table(a_comparison())).splitlines()
    own = next(line for line in lines if "span_grid" in line)
    assert own.split()[:5] == ["span_grid", "*", "900", "50.0%", "450"]
    assert own.split()[6] == "45.0%"
    assert "unavailable" in next(line for line in lines if "ratio" in line)


def test_the_notes_say_whose_it_is_and_why_one_is_missing():
    notes = list(comparison_notes(a_comparison()))
    assert notes == [
        "* alpha/core is margined by it. Its equity is 1,000 by each of them.",
        "ratio: risk parameters house-1 lack methodologies",
    ]


@pytest.mark.parametrize("name", ["span_grid", "span-grid", "SPAN_GRID"])
def test_a_methodology_is_named_as_the_ledger_names_it(name):
    assert methodology_named(name) == SPAN_GRID


def test_a_name_that_is_none_is_refused_with_those_that_are():
    with pytest.raises(MisuseError, match="expected_shortfall, span_grid"):
        methodology_named("simm")
    assert len(METHODOLOGY_NAMES) == 5


def test_a_stamp_names_a_methodology_only_if_it_is_not_the_main_one():
    assert "by ratio" in stamp_line(pb.MarginStamp(methodology=RATIO))
    for main in (EXPECTED_SHORTFALL, 0):
        assert ", by " not in stamp_line(pb.MarginStamp(methodology=main))


def test_a_gap_says_what_is_gone_and_what_is_to_be_expected():
    assert gap_sentence(pb.GapLoss(realized="0", expected="0", worst="0")) == "Gap loss: none in any scenario."
    gone = pb.GapLoss(realized="120", expected="130.255", worst="900", worst_scenario="March")
    assert gap_sentence(gone) == (
        "Gap loss: equity is $120 below zero, which the broker bears; $130.26 expected, $900 in the worst scenario (March)."
    )
