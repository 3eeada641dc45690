"""Inventories in words and files, and top-ups as people read them."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from crossmargin.api.v1 import collateral_service_pb2 as pb
from crossmargin_cli.failures import CommandError, MisuseError
from crossmargin_cli.inventory_file import read_inventory_file
from crossmargin_cli.inventory_words import item_from_words
from crossmargin_cli.top_up_views import standing_table, top_up_lines, top_up_table
from crossmargin_client import inventory_item

FOUND = pb.SuggestTopUpResponse(
    account="clients/alpha/accounts/core",
    before=pb.TopUpStanding(
        equity="1000", maintenance_margin="900", initial_margin="1125", excess="-125", utilization="0.9", band="margin call"
    ),
    after=pb.TopUpStanding(equity="1200", maintenance_margin="900", initial_margin="1125", excess="75", utilization="inf", band="at risk"),
    lines=[
        pb.TopUpLine(
            instrument_id="RLUSD", quantity="204", market_value="204", value_in_equity="200", cost="2.04", use=pb.TOP_UP_USE_EXHAUSTED
        ),
        pb.TopUpLine(instrument_id="USD", quantity="0", market_value="0", value_in_equity="0", cost="0", use=pb.TOP_UP_USE_SPARE),
    ],
    cost="2.04",
    least_cost="2",
    summary="deliver 204 RLUSD: U = 0.7500, excess to the initial margin 75.00 USD",
)


def printed(table):
    console = Console(file=io.StringIO(), width=100, highlight=False)
    console.print(table)
    return [line.split() for line in console.file.getvalue().splitlines()]


def test_an_item_in_words_says_quantity_cost_lot_and_least():
    assert item_from_words("RLUSD=2000000@0.01,lot=1000,min=5000") == inventory_item(
        "RLUSD", "2000000", cost_rate="0.01", lot_size="1000", minimum_transfer="5000"
    )
    assert item_from_words("BTC=1.5") == inventory_item("BTC", "1.5")
    for words in ("RLUSD", "RLUSD=", "RLUSD=-5", "RLUSD=1@", "RLUSD=1,lot=2,lot=3", "RLUSD=1,max=2", "=5"):
        with pytest.raises(MisuseError, match="expected INSTRUMENT=QUANTITY"):
            item_from_words(words)


def test_an_inventory_is_read_from_a_file_and_bad_rows_are_named(tmp_path):
    file = tmp_path / "inventory.csv"
    file.write_text("instrument,quantity,cost_rate,lot_size\nRLUSD,2000000,0.01,1000\nUSD,5,,\n")
    assert read_inventory_file(file) == [inventory_item("RLUSD", "2000000", cost_rate="0.01", lot_size="1000"), inventory_item("USD", "5")]
    file.write_text("instrument,quantity\nRLUSD,much\n,5\n")
    with pytest.raises(CommandError, match=r"(?s)line 2: quantity was .*line 3: instrument is empty"):
        read_inventory_file(file)
    file.write_text("what,quantity\nRLUSD,5\n")
    with pytest.raises(CommandError, match="not a header of items: missing instrument; unknown what"):
        read_inventory_file(file)
    with pytest.raises(CommandError, match="cannot be read"):
        read_inventory_file(tmp_path / "none.csv")


def test_what_to_deliver_is_a_table_and_what_comes_of_it_a_sentence():
    rows = printed(top_up_table(FOUND))
    assert ["RLUSD", "204", "204", "200", "2", "all", "there", "is"] in rows
    assert ["USD", "0", "0", "0", "0"] in rows
    rows = printed(standing_table(FOUND))
    assert ["before", "1,000", "900", "1,125", "-125", "90.0%", "margin", "call"] in rows
    assert ["after", "1,200", "900", "1,125", "75", "no", "equity", "at", "risk"] in rows
    assert list(top_up_lines(FOUND)) == [
        "Deliver 204 RLUSD: U = 0.7500, excess to the initial margin 75.00 USD.",
        "It costs 2.04; no mix of the inventory that does as much costs less than 2.00.",
    ]
