"""Liquidation plans as tables and sentences."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from crossmargin.api.v1 import margin_service_pb2
from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_cli.failures import CommandError, MisuseError
from crossmargin_cli.liquidation import _read
from crossmargin_cli.liquidation_views import order_text, plan_lines, plan_table, reproduction_line

AFTER = pb.StressStanding(equity="1000", maintenance_margin="750", utilization="0.75", band=margin_service_pb2.BAND_AT_RISK)
PLAN = pb.LiquidationPlan(
    account="clients/alpha/accounts/core",
    target_utilization="0.75",
    before=pb.StressStanding(utilization="1.2"),
    after=AFTER,
    pieces=[
        pb.LiquidationPiece(
            trades=[
                pb.PlannedTrade(
                    instrument_id="BTC", quantity="-2.5", limit_price="59000", expected_price="59500.5", cost="120", contribution="90000"
                ),
                pb.PlannedTrade(
                    instrument_id="PERP", quantity="2", limit_price="61000", expected_price="60500", cost="12", contribution="-500"
                ),
            ],
            after=AFTER,
        )
    ],
    cost="132",
    least_cost="131.5",
    reaches_target=True,
)


def test_orders_are_listed_with_their_limits_and_where_each_piece_ends():
    console = Console(file=io.StringIO(), width=100, highlight=False)
    console.print(plan_table(PLAN))
    lines = [line.split() for line in console.file.getvalue().splitlines() if "BTC" in line or "PERP" in line]
    assert lines == [
        ["1", "sell", "2.5", "BTC", "59000", "59500.5", "120", "+90,000"],
        ["buy", "2", "PERP", "61000", "60500", "12", "-500", "75.0%"],
    ]
    assert order_text(PLAN.pieces[0].trades[1]) == "buy 2 PERP"


def test_what_a_plan_does_and_whether_it_may_be_done_is_said_in_words():
    (done,) = plan_lines(pb.PlanLiquidationResponse(plan=PLAN))
    assert done == "2 orders in 1 piece take utilization from 120.0% to 75.0% at a cost of 132; no choice of orders costs less than 132."
    short = pb.LiquidationPlan(before=AFTER, after=AFTER, target_utilization="0.75", left_out=["BTC"])
    lines = list(plan_lines(pb.PlanLiquidationResponse(plan=short, refusal_reason="LIQUIDATION_PAUSED", refusal_message="a breaker")))
    assert lines == [
        "Utilization is 75.0%: nothing needs to be closed.",
        "That is not enough: the target is 75.0%.",
        "Not traded, because their price is in doubt: BTC.",
        "Nothing of it may be done now (LIQUIDATION_PAUSED): a breaker.",
    ]


def test_a_file_that_holds_no_plan_is_refused(tmp_path):
    file = tmp_path / "plan.json"
    with pytest.raises(MisuseError, match="which is no file"):
        _read(file)
    file.write_text("{nothing")
    with pytest.raises(CommandError, match="is no plan"):
        _read(file)


def test_a_plan_that_was_made_again_says_whether_it_is_the_same_and_where_it_first_differs():
    kept = pb.LiquidationPlan(account="clients/alpha/accounts/core", snapshot_id="ab", as_of_seq=7)
    what = "plan for alpha/core of snapshot ab and entry 7"
    same = pb.ReproduceLiquidationResponse(reproduced=True)
    assert reproduction_line(kept, same) == f"{what}: reproduced, every order and figure the same"
    other = pb.ReproduceLiquidationResponse(difference=margin_service_pb2.MarginDifference(field="cost", recorded="1", recomputed="2"))
    assert reproduction_line(kept, other) == f"{what}: NOT reproduced: cost was 1, came out as 2"
