"""Cascades as tables, sentences and pictures."""

from __future__ import annotations

import io

from rich.console import Console

from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_cli.cascade_views import cascade_figure, round_table, summary_lines
from crossmargin_cli.plots import write_figure

ROUNDS = [
    pb.CascadeRound(number=0, clients_after="1000000", paid_to_street="0", broker_loss="0", bands=pb.BandCounts(liquidation=1)),
    pb.CascadeRound(
        number=1,
        clients_after="980000",
        paid_to_street="5000",
        broker_loss="1250",
        bands=pb.BandCounts(),
        fallen_count=1,
        flows=[pb.GroupFlow(group_id="BTC", traded="-400000", price="-0.034")],
    ),
]
SUMMARY = pb.CascadeSummary(
    round_count=1, account_count=2, fallen_count=1, ruined_count=1, first_broker_loss="0", broker_loss="1250", is_over=True
)


def test_rounds_show_who_falls_what_prices_do_and_who_pays():
    console = Console(file=io.StringIO(), width=100, highlight=False)
    console.print(round_table(ROUNDS))
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    assert ["0", "0", "1", "1,000,000", "0", "0", "the", "shock"] in lines
    assert ["1", "1", "0", "980,000", "5,000", "1,250", "BTC", "-3.4%"] in lines


def test_the_end_is_a_sentence():
    (sentence,) = summary_lines(SUMMARY)
    assert sentence == (
        "1 account of 2 fell in 1 round; 1 account ended without equity. The broker loses 1,250; the shock alone would have cost 0."
    )


def test_the_picture_has_the_price_path_and_the_falls(tmp_path):
    prices, falls = cascade_figure(ROUNDS).axes
    assert list(prices.lines[0].get_ydata()) == [0.0, -3.4000000000000004]
    assert [bar.get_height() for bar in falls.patches] == [0, 1]
    page = tmp_path / "cascade.html"
    write_figure(page, cascade_figure(ROUNDS), heading="Cascade", tables=[round_table(ROUNDS)], notes=summary_lines(SUMMARY))
    assert "<svg" in page.read_text(encoding="utf-8")
