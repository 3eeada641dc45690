"""Stablecoins off their pegs as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from crossmargin.api.v1 import collateral_service_pb2
from crossmargin.api.v1 import market_service_pb2 as pb
from crossmargin_cli.peg_views import held_peg_lines, peg_lines


def at(hour):
    moment = Timestamp()
    moment.FromDatetime(datetime(2026, 3, 2, hour, tzinfo=UTC))
    return moment


def test_a_market_says_which_coins_are_depegged_or_slow_and_nothing_of_those_that_are_well():
    levels = {"spot:USDC": "1", "spot:RLUSD": "0.985", "spot:USDT": "1.000", "spot:BTC": "60000"}
    found = pb.GetSnapshotResponse(
        snapshot=pb.MarketSnapshot(levels=levels, marks={"EURC": "1.09"}),
        pegs={
            "USDC": pb.Peg(slow_price="0.95"),
            "RLUSD": pb.Peg(slow_price="0.985", below_since_time=at(1)),
            "USDT": pb.Peg(slow_price="1"),
            "EURC": pb.Peg(slow_price="0.98", below_since_time=at(2), back_since_time=at(3)),
            "DAI": pb.Peg(slow_price="0.9", below_since_time=at(4)),
        },
    )
    assert list(peg_lines(found)) == [
        "DAI: price unknown, slow price 0.9, depegged since 2026-03-02 04:00:00 UTC",
        "EURC: price 1.09, slow price 0.98, depegged since 2026-03-02 02:00:00 UTC, back at its line since 2026-03-02 03:00:00 UTC",
        "RLUSD: price 0.985, slow price 0.985, depegged since 2026-03-02 01:00:00 UTC",
        "USDC: price 1, slow price 0.95",
    ]
    assert not list(peg_lines(pb.GetSnapshotResponse(snapshot=pb.MarketSnapshot(levels=levels))))


def test_an_account_says_what_its_coins_count_at_and_which_are_lost():
    holdings = [
        collateral_service_pb2.CollateralHolding(instrument_id="BTC"),
        collateral_service_pb2.CollateralHolding(
            instrument_id="USDC", peg=collateral_service_pb2.HeldPeg(price="1", counted_price="0.93", below_since_time=at(1), lost=True)
        ),
    ]
    assert list(held_peg_lines(holdings)) == [
        "USDC: price 1, holdings count at 0.93, depegged since 2026-03-02 01:00:00 UTC; no collateral at all"
    ]
