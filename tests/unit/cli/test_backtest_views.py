"""A backtest as a table and as plots."""

from __future__ import annotations

import io
import sys

import pytest
from google.type.date_pb2 import Date
from rich.console import Console

from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_cli.backtest_plots import write_plots
from crossmargin_cli.backtest_views import backtest_table, left_out_lines, plan_line
from crossmargin_cli.failures import CommandError, MisuseError
from crossmargin_cli.plots import check_plot_file

PLAN = pb.BacktestPlan(
    books=["btc-long", "ust10y-long"],
    first_day=Date(year=2024, month=1, day=2),
    last_day=Date(year=2024, month=1, day=4),
    day_count=3,
    every=1,
    confidence="0.99",
    parameter_set_id="standard-1",
    parameters_hash="ab" * 32,
    history_version=7,
    engine_version="3",
)
BITCOIN = pb.BookBacktest(
    book="btc-long",
    requirements=[
        pb.BacktestCoverage(measure="market", day_count=3, breach_count=2, zone=pb.BACKTEST_ZONE_RED),
        pb.BacktestCoverage(
            measure="maintenance",
            day_count=3,
            breach_count=1,
            phases=[pb.BacktestPhase(day_count=2, breach_count=1), pb.BacktestPhase(day_count=1)],
            zone=pb.BACKTEST_ZONE_YELLOW,
            coverage_p_value="0.04321",
            independence_p_value="1",
            largest_loss_ratio="1.2345",
        ),
    ],
    tail_mean=pb.BacktestTailMean(breach_count=1, with_frequency="-0.5", p_value="0.0126"),
    procyclicality=pb.BacktestProcyclicality(peak_to_trough="1.579", largest_rise_20=""),
    series=pb.BacktestSeries(
        days_since_epoch=[19724, 19725, 19726],
        market_requirement=["2000000", "2100000", "2200000"],
        maintenance_margin=["2010000", "2110000", "2210000"],
        pnl=["500000", "-2605000", "0"],
    ),
)
NOTE = pb.BookBacktest(book="ust10y-long", left_out_day_count=3, left_out_because="no <level> of zero:USD:10Y")
BOOKS = [BITCOIN, NOTE]


def printed(*lines):
    stream = io.StringIO()
    console = Console(file=stream, width=140)
    for line in lines:
        console.print(line, soft_wrap=isinstance(line, str))
    return stream.getvalue()


def test_the_table_shows_the_maintenance_margin_of_each_book():
    (row,) = [line.split() for line in printed(backtest_table(PLAN, BOOKS)).splitlines() if "btc-long" in line]
    assert row == ["btc-long", "yellow", "3", "1+0", "123.4%", "0.043", "1.000", "0.013", "1.58", "-"]


def test_a_book_that_could_not_be_tested_has_dashes_and_says_why():
    text = printed(backtest_table(PLAN, BOOKS), *left_out_lines(BOOKS))
    (row,) = [line.split() for line in text.splitlines() if line.strip().startswith("ust10y-long ")]
    assert set(row[1:]) == {"-"}
    assert "ust10y-long: 3 days left out: no <level> of zero:USD:10Y" in text


def test_the_numbers_name_what_they_depend_on():
    line = plan_line(PLAN)
    assert "standard-1 (abababababab), history version 7, engine 3" in line
    assert line.startswith("3 days under")
    every = pb.BacktestPlan()
    every.CopyFrom(PLAN)
    every.every = 5
    assert plan_line(every).startswith("3 days, every 5 under")


@pytest.mark.parametrize(("ending", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("html", b"<!doctype html>")])
def test_plots_are_written_and_are_the_same_for_the_same_backtest(tmp_path, ending, begins):
    first, second = tmp_path / f"one.{ending}", tmp_path / f"two.{ending}"
    for file in (first, second):
        write_plots(file, PLAN, BOOKS)
    assert first.read_bytes().startswith(begins)
    assert first.read_bytes() == second.read_bytes()


def test_the_page_stands_alone_with_table_reasons_and_drawing(tmp_path):
    file = tmp_path / "page.html"
    write_plots(file, PLAN, BOOKS)
    page = file.read_text(encoding="utf-8")
    assert "<td>123.4%</td>" in page
    assert "no &lt;level&gt; of zero:USD:10Y" in page
    assert page.count("<svg") == 1
    assert "http-equiv" not in page


def test_another_ending_or_a_missing_folder_is_refused_before_the_run(tmp_path):
    with pytest.raises(MisuseError, match=r"expected a file that ends in \.html, \.png, \.svg"):
        check_plot_file(tmp_path / "plot.gif")
    with pytest.raises(MisuseError, match="is not there"):
        check_plot_file(tmp_path / "nowhere" / "plot.png")
    check_plot_file(tmp_path / "plot.png")


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(CommandError, match="plots need matplotlib") as refused:
        check_plot_file(tmp_path / "plot.png")
    assert refused.value.next_step == "pip install 'crossmargin[report]'"
