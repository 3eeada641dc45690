"""The market as people read it."""

from __future__ import annotations

from crossmargin.api.v1 import margin_service_pb2 as margin_pb
from crossmargin.api.v1 import market_service_pb2 as pb
from crossmargin_cli.market_views import breaker_table, doubt_lines, market_line, quality_table


def a_quality(verdict, low="40000", high="61000", candidate="40000"):
    return pb.Quality(verdict=verdict, low=low, high=high, candidate=candidate)


def cells(table):
    return list(zip(*(map(str, column.cells) for column in table.columns), strict=True))


def test_a_market_is_counted_and_only_doubts_have_a_range():
    snapshot = pb.MarketSnapshot(levels={"spot:BTC": "60000", "spot:ETH": "3000"}, marks={"BTC-PERP": "60100"})
    found = pb.GetSnapshotResponse(snapshot_id="0" * 32, snapshot=snapshot, level_quality={"spot:BTC": a_quality(pb.VERDICT_SUSPECT)})
    assert market_line(found).endswith(": 2 valid, 1 suspect")
    rows = [row[:6] for row in cells(quality_table(found, only_doubted=False))]
    assert rows == [
        ("spot:BTC", "suspect", "60000", "40000", "61000", "40000"),
        ("spot:ETH", "valid", "3000", "", "", ""),
        ("BTC-PERP", "valid", "60100", "", "", ""),
    ]
    assert [row[0] for row in cells(quality_table(found, only_doubted=True))] == ["spot:BTC"]


def test_a_margin_says_in_words_what_is_open_and_nothing_without_doubt():
    margin = margin_pb.Margin(stamp=margin_pb.MarginStamp(account="clients/alpha/accounts/core"))
    assert list(doubt_lines(margin)) == []
    doubted = [margin_pb.DoubtedInput(subject=f"spot:X{n}", quality=a_quality(pb.VERDICT_STALE)) for n in range(6)]
    margin.quality.CopyFrom(margin_pb.DataQuality(doubted=doubted, utilization_low="0.4", utilization_high="inf", provisional=True))
    (line,) = doubt_lines(margin)
    assert line == (
        "alpha/core: utilization 40.0% to no equity while spot:X0 stale, spot:X1 stale, spot:X2 stale, spot:X3 stale and 2 more; "
        "provisional: look before calling"
    )


def test_a_breaker_says_what_it_saw_or_what_was_found():
    tripped = pb.Breaker(kind=pb.BREAKER_KIND_CALLS, tripped=True, cause="21 accounts")
    reset = pb.Breaker(kind=pb.BREAKER_KIND_LIQUIDATIONS, reset_by="alice", note="bad feed")
    reset.reset_time.GetCurrentTime()
    rows = cells(breaker_table(pb.GetBreakersResponse(breakers=[tripped, reset])))
    assert [(row[0], row[1], row[3]) for row in rows] == [
        ("calls", "tripped", "21 accounts"),
        ("liquidations", "ready", "bad feed (alice)"),
    ]
