"""`crossmargin book`: trades from a file, and what an account holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from crossmargin.api.v1 import book_service_pb2
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
from crossmargin_cli.failures import FAILED
from crossmargin_cli.render import add_number_column, console_on, counted, error_console, plain_table
from crossmargin_cli.trade_file import TradeLine, batches, read_trade_file
from crossmargin_client import decimal_of

app = typer.Typer(no_args_is_help=True, help="Trades from a file, and what an account holds.")


@app.command(
    "import",
    epilog=examples(
        "crossmargin book import trades.csv --account alpha/core --dry-run",
        "crossmargin book import trades.csv --account alpha/core",
    ),
)
def import_trades(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="UTF-8, comma-separated, with a header.")],
    account: Annotated[str, typer.Option("--account", help="CLIENT/ACCOUNT that the trades belong to.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check the file, and send nothing.")] = False,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Record the executed trades of a file. Importing the same file again books nothing again.

    Columns: book, instrument, quantity, price, settlement, executed_at, reference; book, settlement and reference may be left out.
    A quantity is signed, and executed_at has a time zone. One row that cannot be read, and nothing is sent.
    """
    trades = read_trade_file(file)
    name = full_account_name(account)
    if dry_run:
        outcome = {"account": name, "read": len(trades.lines), "booked": 0, "already_booked": 0, "refused": [], "dry_run": True}
        _print_outcome(outcome, as_json=json)
        return
    booked, already_booked, refused = 0, 0, []
    with connect(target) as client:
        work = list(batches(trades, account=name))
        for request_id, lines in track(work, description="booking", console=error_console(), transient=True):
            response = client.record_trades(name, [line.trade for line in lines], request_id=request_id)
            refused += _refusals(lines, response)
            count = sum(outcome.HasField("sequence") for outcome in response.outcomes)
            booked, already_booked = (booked, already_booked + count) if response.replayed else (booked + count, already_booked)
    outcome = {"account": name, "read": len(trades.lines), "booked": booked, "already_booked": already_booked, "refused": refused}
    _print_outcome({**outcome, "dry_run": False}, as_json=json)
    if refused:
        raise typer.Exit(FAILED)


@app.command(
    epilog=examples(
        "crossmargin book positions lattice-vol/core",
    )
)
def positions(account: AccountArgument, json: JsonOption = False, target: TargetOption = DEFAULT_TARGET) -> None:
    """What an account holds, by book and instrument."""
    with connect(target) as client:
        held = client.list_positions(full_account_name(account))
    if json:
        print_json(to_json(held))
        return
    table = plain_table()
    table.add_column("Book", no_wrap=True)
    table.add_column("Instrument", no_wrap=True)
    add_number_column(table, "Quantity")
    add_number_column(table, "Cost")
    for position in held.positions:
        cost = decimal_of(position.cost)
        shown_cost = f"{cost:,f}" if cost else ""
        table.add_row(position.book_id, position.instrument_id, f"{decimal_of(position.quantity):,f}", shown_cost)
    console = console_on()
    console.print(table if held.positions else "The account holds nothing.")
    console.print(f"as of ledger entry {held.as_of_seq}", style="dim")


def _refusals(lines: tuple[TradeLine, ...], response: book_service_pb2.RecordTradesResponse) -> list[dict[str, object]]:
    return [
        {"line": line.line, "reason": outcome.refusal.reason, "message": outcome.refusal.message}
        for line, outcome in zip(lines, response.outcomes, strict=True)
        if outcome.HasField("refusal")
    ]


def _print_outcome(outcome: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(outcome)
        return
    if outcome["dry_run"]:
        typer.echo(f"{counted(outcome['read'], 'trade')} can be read; nothing was sent")
        return
    typer.echo(f"{counted(outcome['booked'], 'trade')} booked, {outcome['already_booked']} had been booked before")
    refused = outcome["refused"]
    if isinstance(refused, list) and refused:
        typer.echo(f"error: {counted(len(refused), 'trade')} refused", err=True)
        for refusal in refused:
            typer.echo(f"  line {refusal['line']}: {refusal['reason']}: {refusal['message']}", err=True)
