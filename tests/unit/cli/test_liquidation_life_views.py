"""How approved liquidations read at the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_cli.liquidation_life_views import liquidation_lines, liquidation_table, order_table, reported_lines, step_table


def moment(hour):
    stamp = Timestamp()
    stamp.FromDatetime(datetime(2026, 3, 2, hour, 30, tzinfo=UTC))
    return stamp


def a_liquidation(**changes):
    trade = pb.PlannedTrade(instrument_id="BTC-USD-PERP", quantity="-5.5", limit_price="51000", expected_price="51500")
    fields = {
        "account": "clients/alpha/accounts/core",
        "liquidation_id": "0f3a5b7c9d1e2f40",
        "state": pb.LIQUIDATION_STATE_EXECUTING,
        "orders": [pb.LiquidationOrder(trade=trade, filled="-2", left="-3.5")],
        "asked_by": "alice",
        "confirmed_by": "bob",
        "approve_time": moment(9),
        "expire_time": moment(13),
        "promised": pb.StressStanding(utilization="0.748"),
        "estimated_cost": "1200.50",
        "cost": "431.07",
    }
    return pb.Liquidation(**(fields | changes))


def shown(*parts):
    console = Console(width=160, record=True, file=StringIO())
    for part in parts:
        console.print(part, soft_wrap=True)
    return console.export_text()


def test_a_list_says_where_each_stands_and_what_it_cost():
    standing = pb.StressStanding(utilization="0.91")
    text = shown(liquidation_table([a_liquidation(), a_liquidation(state=pb.LIQUIDATION_STATE_CURED, standing=standing)]))
    for part in ("alpha/core", "0f3a5b7c9d1e2f40", "executing", "cured", "74.8%", "91.0%", "1,200", "431"):
        assert part in text, (part, text)


def test_one_says_what_is_left_of_every_order_what_happened_and_whether_to_go_on():
    fill = pb.LiquidationFill(
        instrument_id="BTC-USD-PERP", quantity="-2", price="50900", seq=12, flags=[pb.LIQUIDATION_FILL_FLAG_BEYOND_LIMIT]
    )
    steps = [
        pb.LiquidationStep(number=1, kind="approved", time=moment(9), by="alice and bob"),
        pb.LiquidationStep(number=2, kind="filled", time=moment(10), by="olivia", fill=fill),
        pb.LiquidationStep(number=3, kind="abandoned", time=moment(11), by="carol", text="the client has paid"),
    ]
    found = pb.GetLiquidationResponse(liquidation=a_liquidation(), steps=steps)
    text = shown(order_table(found.liquidation), step_table(found.steps), *liquidation_lines(found))
    for part in (
        *("sell 5.5 BTC-USD-PERP", "51000", "-3.5", "alice and bob"),
        *("sell 2 BTC-USD-PERP at 50900, entry 12; worse than the limit", "the client has paid", "ask again before every piece"),
    ):
        assert part in text, (part, text)
    refused = pb.GetLiquidationResponse(
        liquidation=a_liquidation(), refusal_reason="LIQUIDATION_PAUSED", refusal_message="a breaker has tripped"
    )
    assert "No more of it may be traded now (LIQUIDATION_PAUSED): a breaker has tripped." in shown(*liquidation_lines(refused))


def test_a_fill_says_what_of_it_opened_a_position():
    flags = [pb.LIQUIDATION_FILL_FLAG_OVERFILLED, pb.LIQUIDATION_FILL_FLAG_TURNED_OVER]
    fill = pb.LiquidationFill(instrument_id="BTC-USD-PERP", quantity="-16", opened="-2", price="50900", seq=12, flags=flags)
    text = shown(step_table([pb.LiquidationStep(number=2, kind="filled", time=moment(10), by="olivia", fill=fill)]))
    assert "sell 16 BTC-USD-PERP at 50900 (-2 of it opened), entry 12; more than was planned; more than was held, so" in text


def test_a_report_says_what_was_booked_and_where_it_then_stands():
    standing = pb.StressStanding(utilization="0.74")
    ended = a_liquidation(state=pb.LIQUIDATION_STATE_DONE, standing=standing)
    done = pb.ReportLiquidationResponse(liquidation=ended, seqs=[12, 13], flags=[pb.LIQUIDATION_FILL_FLAG_OVERFILLED])
    assert list(reported_lines(done)) == [
        "2 fills booked, entries 12, 13.",
        "To be looked at: more than was planned.",
        "Liquidation 0f3a5b7c9d1e2f40 is done; utilization is 74.0%.",
    ]
