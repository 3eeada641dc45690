"""`crossmargin demo`, from an empty folder to a report: twice, because the second time must change nothing."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from google.protobuf.json_format import ParseDict
from rich.console import Console

from crossmargin.api.v1 import margin_service_pb2
from crossmargin_cli.demo_data.loading import account_names
from crossmargin_cli.demo_report import DemoResult, print_report
from tests.integration.command_line import processes_naming, run, run_json, served_demo, wait_until


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "kept"


@pytest.fixture(scope="module")
def first_run(data_dir):
    return run_json("demo", "--data-dir", str(data_dir))


@pytest.fixture(scope="module")
def margins(first_run):
    return {
        account["account"].removeprefix("clients/").replace("/accounts/", "/"): ParseDict(account["margin"], margin_service_pb2.Margin())
        for account in first_run["accounts"]
    }


def share_of_gross(margin):
    return Decimal(margin.requirement.market_requirement) / Decimal(margin.requirement.gross)


def test_hedged_positions_cost_a_fraction_of_what_they_cost_apart(margins):
    assert share_of_gross(margins["meridian-basis/core"]) < Decimal("0.20")


def test_positions_that_hedge_nothing_cost_what_they_cost_apart(margins):
    assert share_of_gross(margins["summit-directional/core"]) >= Decimal("0.75")


def test_every_institution_is_solvent_and_the_bands_tell_them_apart(margins):
    bands = {name: margin_service_pb2.Band.Name(margin.band).removeprefix("BAND_") for name, margin in margins.items()}
    assert len(bands) == len(list(account_names()))
    assert set(bands.values()) == {"HEALTHY", "WATCH", "AT_RISK", "MARGIN_CALL"}
    assert bands["summit-directional/satellite"] == "MARGIN_CALL"


def test_every_bridge_adds_up_to_the_cent(margins):
    for name, margin in margins.items():
        bridge = margin.requirement
        freed = [bridge.netting_inside_groups, bridge.netting_inside_classes, bridge.netting_across_classes]
        assert Decimal(bridge.gross) - sum(map(Decimal, freed)) == Decimal(bridge.market_requirement), name
        equity = margin.equity
        assert Decimal(equity.collateral) + Decimal(equity.liabilities) + Decimal(equity.contract_value) == Decimal(equity.equity), name


def test_a_second_run_on_kept_data_shows_the_same_books_and_the_same_margin(first_run, data_dir):
    assert run_json("demo", "--data-dir", str(data_dir)) == first_run


def test_the_report_says_that_the_market_is_simulated_and_shows_every_account(margins, first_run):
    assert first_run["simulated"] is True
    stream = io.StringIO()
    results = [
        DemoResult(institution, account, margins[f"{institution.client_id}/{account.account_id}"])
        for institution, account, _ in account_names()
    ]
    print_report(Console(file=stream, width=100), results)
    report = stream.getvalue()
    assert "Simulated market" in report
    assert max(map(len, report.splitlines())) <= 100
    assert report.count("Netting freed $") == len(margins)
    assert "\x1b" not in report


def test_a_run_leaves_no_process_behind(first_run, data_dir):
    assert first_run
    assert processes_naming(data_dir) == []


def test_a_folder_in_use_is_refused_in_words_and_a_demo_that_is_killed_leaves_no_process_behind(tmp_path):
    folder = tmp_path / "busy"
    with served_demo(folder, tmp_path / "log") as (process, _):
        refused = run("demo", "--data-dir", str(folder))
        assert len(processes_naming(folder)) >= 3
        process.kill()
        wait_until(lambda: processes_naming(folder) == [])
    assert refused.returncode == 1
    assert "is in use by a PostgreSQL server" in refused.stderr
    assert "Traceback" not in refused.stderr
