"""Stress, cascade, advice and a liquidation from plan to last fill, against a served demo: as a risk officer would."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from crossmargin_client import Client, trade
from tests.integration.command_line import processes_naming, run, run_json, served_demo, wait_until

ACCOUNT = "summit-directional/core"
NAME = "clients/summit-directional/accounts/core"
SHOCK = "All crypto falls as one by 40%"
HEADER = "instrument,quantity,price,settlement,executed_at"


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    with served_demo(folder / "data", folder / "log") as (process, address):
        yield address
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, (folder / "log").read_text()
        assert processes_naming(folder / "data") == []


def test_a_cascade_is_told_round_by_round_and_drawn(target, tmp_path):
    plot = tmp_path / "cascade.html"
    done = run("cascade", SHOCK, "--depth-multiple", "0.05", "--plot", str(plot), target=target)
    assert done.returncode == 0, done.stderr
    assert "the shock" in done.stdout
    assert "The broker loses" in done.stdout
    assert "<html" in plot.read_text(encoding="utf-8")[:200]
    messages = run_json("cascade", SHOCK, "--depth", "infinite", target=target)
    assert '"account_count": 6' in json.dumps(messages)


def test_a_cascade_that_makes_no_sense_is_misuse(target):
    for wrong, words in (
        (("cascade",), "expected the name of a scenario, or --shock"),
        (("cascade", SHOCK, "--depth", "deep"), "expected one of square-root"),
        (("cascade", SHOCK, "--plot", "x.pdf"), "x.pdf"),
    ):
        done = run(*wrong, target=target)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert words in done.stderr
    unknown = run("cascade", "no such thing", target=target)
    assert unknown.returncode == 1
    assert "UNKNOWN_STRESS_SCENARIO" in unknown.stderr


def test_advice_names_positions_to_wall_off_and_refuses_what_is_walled_off(target):
    shown = run("margin", "advise", ACCOUNT, target=target)
    assert shown.returncode == 0, shown.stderr
    assert "isolate" in shown.stdout
    advice = run_json("margin", "advise", ACCOUNT, target=target)
    assert {one["instrument_id"] for one in advice["positions"]} >= {"BTC", "SOL-USD-PERP"}
    isolated = run("margin", "advise", "summit-directional/satellite", target=target)
    assert isolated.returncode == 1
    assert "which is isolated; expected a cross account" in isolated.stderr


def test_an_account_that_is_not_short_has_a_plan_and_no_liquidation(target, tmp_path):
    plan = tmp_path / "healthy.json"
    shown = run("liquidation", "plan", "harbour-macro/core", "--target-utilization", "0.2", "--out", str(plan), target=target)
    assert shown.returncode == 0, shown.stderr
    assert "NOT_IN_LIQUIDATION" in shown.stdout
    refused = run("liquidation", "approve", str(plan), "--as", "alice", target=target)
    assert refused.returncode == 1
    assert "NOT_IN_LIQUIDATION" in refused.stderr
    assert "utilization=0)" not in refused.stderr  # decided on what the account holds
    assert run("liquidation", "list", target=target).stdout == "There are no open liquidations.\n"
    assert run("liquidation", "approve", str(tmp_path / "none.json"), target=target).returncode == 2


def test_a_liquidation_from_its_plan_to_its_last_fill(target, tmp_path):
    plan, fills = tmp_path / "plan.json", tmp_path / "fills.csv"
    with Client(target, principal="olivia") as client:
        mark = client.get_snapshot().snapshot.marks["SOL-USD-PERP"]
        client.record_trades(NAME, [trade("SOL-USD-PERP", 60_000, mark, executed_at=datetime.now(UTC))])
        shown = run("liquidation", "plan", ACCOUNT, "--out", str(plan), target=target)
        assert shown.returncode == 0, shown.stderr
        assert "Nothing of it may be done" not in shown.stdout
        planned = json.loads(plan.read_text(encoding="utf-8"))
        proposed = run_json("liquidation", "approve", str(plan), "--as", "alice", target=target)
        pending = proposed["pending_request"]["pending_id"]
        wait_until(lambda: client.get_snapshot().snapshot_id != planned["snapshot_id"])  # the market of the demo moves by itself
    approved = run("liquidation", "approve", str(plan), "--confirm", pending, "--as", "bob", target=target)
    assert approved.returncode == 0, approved.stderr
    assert f"crossmargin liquidation report {ACCOUNT} {pending} FILE.csv" in approved.stdout
    rows = [
        f"{one['instrument_id']},{one['quantity']},{one['expected_price']},{one['settlement_instrument_id']},2026-01-02T00:00:00Z"
        for piece in planned["pieces"]
        for one in ({"settlement_instrument_id": ""} | order for order in piece["trades"])
    ]
    fills.write_text("\n".join((HEADER, *rows)), encoding="utf-8")
    reported = run("liquidation", "report", ACCOUNT, pending, str(fills), "--as", "olivia", target=target)
    assert reported.returncode == 0, reported.stderr
    assert f"Liquidation {pending} is done" in reported.stdout
    again = run("liquidation", "report", ACCOUNT, pending, str(fills), "--as", "olivia", target=target)
    assert "booked before" in again.stdout
    found = run_json("liquidation", "show", ACCOUNT, pending, target=target)
    assert found["steps"][0]["by"] == "alice and bob"
    assert Decimal(found["liquidation"]["standing"]["utilization"]) < Decimal("0.8")
    assert found["refusal_reason"] == "LIQUIDATION_ENDED"
    ended = run("liquidation", "abandon", ACCOUNT, pending, "--text", "why", target=target)
    assert ended.returncode == 1
    assert "is done; plan again" in ended.stderr
    assert pending in run("liquidation", "list", "--all", target=target).stdout
