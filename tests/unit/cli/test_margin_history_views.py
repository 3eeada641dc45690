"""The history of an account as people read it."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from crossmargin.api.v1 import margin_service_pb2 as pb
from crossmargin_cli.failures import MisuseError
from crossmargin_cli.margin_history import age_of
from crossmargin_cli.margin_history_plots import write_history_plot
from crossmargin_cli.margin_history_views import HEIGHT, band_change_table, history_sentence, utilization_lines

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def a_point(minute, utilization, band=pb.BAND_HEALTHY, before=None):
    point = pb.MarginPoint(
        utilization=utilization,
        equity="1000000",
        initial_margin="900000",
        maintenance_margin="720000",
        excess="100000",
        remembered_band=band,
        band_before=band if before is None else before,
    )
    point.record_time.FromDatetime(NOON + timedelta(minutes=minute))
    return point


def plotted(points):
    console = Console(file=io.StringIO(), width=79)
    return [line.plain for line in utilization_lines(console, points)]


def test_the_plot_rises_with_utilization_and_says_from_when_to_when():
    lines = plotted([a_point(0, "0.1"), a_point(30, "0.5"), a_point(60, "0.9")])
    rows = {column: row for row, line in enumerate(lines[:HEIGHT]) for column, mark in enumerate(line[7:]) if mark == "•"}
    assert sorted(rows) == [0, 36, 71]
    assert rows[0] > rows[36] > rows[71]
    assert lines[-1].split() == ["12:00:00", "13:00:00"]


def test_what_is_infinite_is_drawn_at_the_edge():
    lines = plotted([a_point(0, "0.1"), a_point(1, "inf", pb.BAND_LIQUIDATION)])
    assert lines[0].rstrip().endswith("•")
    assert lines[0].startswith("200.0%")


def test_the_highest_of_a_column_is_shown():
    """Hours of runs fit into a line; what was short for one run must not disappear in it."""
    quiet = [a_point(minute / 10, "0.2") for minute in range(1000)]
    quiet[500] = a_point(50, "0.85", pb.BAND_MARGIN_CALL)
    lines = plotted(quiet)
    assert sum(line.count("•") for line in lines[:3]) == 1


def test_changes_of_the_band_are_listed_and_the_first_run_is_none():
    points = [
        a_point(0, "0.5", before=pb.BAND_UNSPECIFIED),
        a_point(1, "0.82", pb.BAND_MARGIN_CALL, before=pb.BAND_HEALTHY),
        a_point(2, "0.81", pb.BAND_MARGIN_CALL),
    ]
    table = band_change_table(points)
    (row,) = zip(*(map(str, column.cells) for column in table.columns), strict=True)
    assert row == ("2026-03-02 12:01:00", "healthy", "margin call", "82.0%", "1,000,000", "+100,000")


def test_the_last_line_says_where_the_account_is():
    assert history_sentence([], since="1h") == "No house run of the last 1h margined this account."
    last = a_point(0, "1.3", pb.BAND_LIQUIDATION)
    last.liquidation_immediate = True
    said = history_sentence([last], since="1h")
    assert said == (
        "1 run of the last 1h; at the last one utilization was 130.0%, the band liquidation, and its liquidation waits for no call."
    )


@pytest.mark.parametrize("ending", [".png", ".svg", ".html"])
def test_a_drawing_is_written(tmp_path, ending):
    file = tmp_path / f"plot{ending}"
    write_history_plot(file, "clients/alpha/accounts/core", [a_point(0, "0.1"), a_point(1, "inf", pb.BAND_LIQUIDATION)])
    assert file.stat().st_size > 1000


@pytest.mark.parametrize("text", ["", "24", "h", "0h", "1w", "-1h", "１h"])
def test_an_age_is_a_number_and_a_unit(text):
    with pytest.raises(MisuseError, match="--since was"):
        age_of(text)
