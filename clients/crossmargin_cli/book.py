"""`crossmargin book`: trades from a file, and what an account holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

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
from crossmargin_client import Client, CrossmarginError, decimal_of

app = typer.Typer(no_args_is_help=True, help="Trades from a file, and what an account holds.")


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line of the file whose trade the service did not book, and why."""

    line: int
    reason: str
    message: str


@dataclass(slots=True)
class ImportOutcome:
    """What became of the trades of a file, so far."""

    account: str
    read: int
    dry_run: bool
    booked: int = 0
    already_booked: int = 0
    refused: list[RefusedLine] = field(default_factory=list)


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
    """Record the executed trades of a file.

    Columns: book, instrument, quantity, price, settlement, executed_at, reference; book, settlement and reference may be left out.
    A quantity is signed, and executed_at has a time zone. One row that cannot be read, and nothing is sent. Importing the same file
    again books nothing again.
    """
    trades = read_trade_file(file)
    outcome = ImportOutcome(full_account_name(account), read=len(trades.lines), dry_run=dry_run)
    if not dry_run:
        with connect(target) as client:
            work = list(batches(trades, account=outcome.account))
            for request_id, lines in track(work, description="booking", console=error_console(), transient=True):
                _book(client, outcome, request_id, lines)
    _print_outcome(outcome, as_json=json)
    if outcome.refused:
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


def _book(client: Client, outcome: ImportOutcome, request_id: str, lines: Sequence[TradeLine]) -> None:
    try:
        response = client.record_trades(outcome.account, [line.trade for line in lines], request_id=request_id)
    except CrossmarginError as error:
        done = counted(outcome.booked + outcome.already_booked, "trade")
        error.add_note(f"stopped at lines {lines[0].line} to {lines[-1].line} with {done} booked; importing the file again is safe")
        raise
    for line, result in zip(lines, response.outcomes, strict=True):
        if result.HasField("refusal"):
            outcome.refused.append(RefusedLine(line.line, result.refusal.reason, result.refusal.message))
        elif response.replayed:
            outcome.already_booked += 1
        else:
            outcome.booked += 1


def _print_outcome(outcome: ImportOutcome, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(outcome))
        return
    if outcome.dry_run:
        typer.echo(f"{counted(outcome.read, 'trade')} can be read; nothing was sent")
        return
    typer.echo(f"{counted(outcome.booked, 'trade')} booked, {outcome.already_booked} had been booked before")
    if outcome.refused:
        typer.echo(f"error: {counted(len(outcome.refused), 'trade')} refused", err=True)
    for refused in outcome.refused:
        typer.echo(f"  line {refused.line}: {refused.reason}: {refused.message}", err=True)
