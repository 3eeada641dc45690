"""`crossmargin whatif`: the margin of an account before and after trades that have not been done."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Final

import typer
from rich.table import Table

from crossmargin.api.v1 import margin_service_pb2
from crossmargin_cli.connection import (
    DEFAULT_TARGET,
    AccountArgument,
    JsonOption,
    TargetOption,
    connect,
    full_account_name,
    print_json,
    to_json,
)
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import MisuseError
from crossmargin_cli.margin_views import stamp_line
from crossmargin_cli.order_lines import preview_lines
from crossmargin_cli.render import add_number_column, band_text, console_on, money, percent, plain_table, short_account
from crossmargin_cli.trade_words import parse_trade, priced_trades
from crossmargin_client import decimal_of

TradeOption = Annotated[list[str] | None, typer.Option(metavar="TRADE", help='"INSTRUMENT QUANTITY [@ PRICE [PAID-IN]]"; may be repeated.')]


EXAMPLES: Final = examples(
    'crossmargin whatif meridian-basis/core --buy "BTC-USD-PERP 5 @ 65000"',
    "crossmargin whatif meridian-basis/core --lines --json < orders.txt",
    'crossmargin whatif parallax-pairs/core --buy "ETH-USD-PERP 500" --sell "BTC-USD-PERP 17 @ mark" --json',
)


def whatif(  # noqa: PLR0917 - typer reads options from the signature
    account: AccountArgument,
    buy: TradeOption = None,
    sell: TradeOption = None,
    lines: Annotated[
        bool, typer.Option("--lines", help="Read an order a line from standard input, such as 'buy BTC-USD-PERP 5 @ 65000'; answer each.")
    ] = False,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """The margin of an account before and after trades that have not been done.

    Nothing is stored. A trade without a price, or at "mark", is priced at the latest snapshot.
    """
    if lines:
        if buy or sell:
            raise MisuseError("orders come from standard input with --lines", next_step="leave out --buy and --sell")
        preview_lines(account, sys.stdin, json=json, target=target)
        return
    wanted = [parse_trade(words, is_sale=False) for words in buy or ()] + [parse_trade(words, is_sale=True) for words in sell or ()]
    if not wanted:
        raise MisuseError("there is no trade to try", next_step='crossmargin whatif CLIENT/ACCOUNT --buy "BTC-USD-PERP 5 @ 65000"')
    with connect(target) as client:
        trades = priced_trades(client, wanted, executed_at=datetime.now(tz=UTC))
        preview = client.preview_trades(full_account_name(account), trades)
    if json:
        print_json({"trades": [to_json(item) for item in trades], **to_json(preview)})
        return
    console = console_on()
    for item in trades:
        quantity = decimal_of(item.quantity)
        paid_in = f" {item.settlement}" if item.settlement else ""
        verb = "buy" if quantity > 0 else "sell"
        console.print(f"{verb} {abs(quantity):,f} {item.instrument_id} at {decimal_of(item.price):,f}{paid_in}", highlight=False)
    console.print()
    console.print(preview_table(preview))
    console.print(verdict(preview))
    console.print(stamp_line(preview.before.stamp), style="dim")


def preview_table(preview: margin_service_pb2.PreviewTradesResponse) -> Table:
    """Return the margin before and after, with the difference."""
    before, after = preview.before, preview.after
    table = plain_table(short_account(before.stamp.account))
    table.add_column("", no_wrap=True)
    for heading in ("Before", "After", "Difference"):
        add_number_column(table, heading)
    for name, was, will_be in (
        ("equity", before.equity.equity, after.equity.equity),
        ("initial margin", before.requirement.initial_margin, after.requirement.initial_margin),
        ("maintenance margin", before.requirement.maintenance_margin, after.requirement.maintenance_margin),
        ("excess to initial", before.excess_to_initial, after.excess_to_initial),
        ("gross, each position alone", before.requirement.gross, after.requirement.gross),
        ("freed by netting", before.requirement.netting_benefit, after.requirement.netting_benefit),
    ):
        old, new = decimal_of(was), decimal_of(will_be)
        table.add_row(name, money(old, places=2), money(new, places=2), money(new - old, places=2, signed=True))
    old, new = decimal_of(before.utilization), decimal_of(after.utilization)
    difference = percent(new - old, signed=True) if old.is_finite() and new.is_finite() else ""
    table.add_row("utilization", percent(old), percent(new), difference)
    table.add_row("band", band_text(before.band), band_text(after.band), "")
    return table


def verdict(preview: margin_service_pb2.PreviewTradesResponse) -> str:
    """Return whether the trades are acceptable, and why."""
    before, after = preview.before, preview.after
    excess = decimal_of(after.excess_to_initial)
    raised = decimal_of(after.requirement.initial_margin) - decimal_of(before.requirement.initial_margin)
    if preview.market_refusal_message:
        return f"Not acceptable: {preview.market_refusal_message}."
    if not preview.acceptable:
        return f"Not acceptable: equity would be ${money(-excess)} short of the initial margin, which the trades raise by ${money(raised)}."
    if excess >= Decimal(0):
        return f"Acceptable: equity would exceed the initial margin by ${money(excess)}."
    return "Acceptable: the trades do not raise the initial margin, of which equity stays short."
