"""`crossmargin margin topup`: which of what a client has at hand to deliver, at the least cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

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
from crossmargin_cli.inventory_file import read_inventory_file
from crossmargin_cli.inventory_words import item_from_words
from crossmargin_cli.render import console_on
from crossmargin_cli.top_up_views import standing_table, top_up_lines, top_up_table

EXAMPLES: Final = examples(
    "crossmargin margin topup summit-directional/core --have USD=5000000@0.05 --have RLUSD=4000000@0.01 --have BTC=80@0.002",
    "crossmargin margin topup harbour-macro/core --have RLUSD=9000000@0.01,lot=100000,min=500000 --utilization 0.6",
    "crossmargin margin topup summit-directional/core --inventory inventory.csv --call --json",
)


def topup(  # noqa: PLR0917 - typer reads options from the signature
    account: AccountArgument,
    have: Annotated[
        list[str] | None,
        typer.Option("--have", metavar="ITEM", help="INSTRUMENT=QUANTITY[@COST_RATE][,lot=LOT][,min=LEAST], as often as there are items."),
    ] = None,
    inventory: Annotated[
        Path | None,
        typer.Option("--inventory", metavar="FILE.csv", help="Columns instrument, quantity, cost_rate, lot_size, minimum_transfer."),
    ] = None,
    utilization: Annotated[str, typer.Option("--utilization", metavar="U", help="Bring utilization to this at most, a fraction.")] = "",
    call: Annotated[bool, typer.Option("--call", help="Meet the open margin call.")] = False,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """The cheapest delivery that covers the initial margin, or does what is asked for; nothing is stored, and nothing moves.

    A cost rate is what a dollar of market value costs you to deliver, as a fraction; 0 without one.
    """
    items = [item_from_words(words) for words in have or ()] + (read_inventory_file(inventory) if inventory is not None else [])
    if not items:
        raise MisuseError("expected what the client has at hand", next_step="--have RLUSD=2000000@0.01, or --inventory FILE.csv")
    if call and utilization:
        raise MisuseError("expected --call or --utilization, not both")
    with connect(target) as client:
        found = client.suggest_top_up(full_account_name(account), items, target_utilization=utilization or None, clears_call=call)
    if json:
        print_json(to_json(found))
        return
    console = console_on()
    console.print(top_up_table(found))
    console.print()
    console.print(standing_table(found))
    for line in top_up_lines(found):
        console.print(line, soft_wrap=True)
