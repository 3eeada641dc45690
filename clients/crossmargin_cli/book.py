"""`crossmargin book`: trades from a file, what an account holds, and what happened to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from crossmargin.api.v1 import book_service_pb2
from crossmargin_cli import lifecycle, statement
from crossmargin_cli.connection import (
    DEFAULT_TARGET,
    AccountArgument,
    JsonOption,
    TargetOption,
    connect,
    full_account_name,
    print_json,
    print_json_line,
    to_json,
)
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import FAILED
from crossmargin_cli.render import add_number_column, console_on, counted, error_console, plain_table
from crossmargin_cli.trade_file import TradeLine, batches, read_trade_file
from crossmargin_client import Client, CrossmarginError, decimal_of, moment_of

app = typer.Typer(no_args_is_help=True, help="Trades, lifecycle events, and what an account holds.")
app.add_typer(lifecycle.app, name="lifecycle")
app.command("statement", epilog=statement.EXAMPLES)(statement.statement)


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

    Columns: book, instrument, quantity, price, settlement, executed_at, reference, settle_date; book, settlement, reference
    and settle_date may be left out.
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


@app.command(
    epilog=examples("crossmargin book trades alpha/core", "crossmargin book trades alpha/core --instrument BTC-USD-PERP --book basis")
)
def trades(
    account: AccountArgument,
    book: Annotated[str, typer.Option("--book", help="Trades of this book only.")] = "",
    instrument: Annotated[str, typer.Option("--instrument", help="Trades in this instrument only.")] = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """The trades of an account, cancelled ones too, oldest first."""
    with connect(target) as client:
        found = list(client.list_trades(full_account_name(account), book=book, instrument_id=instrument))
    if json:
        print_json({"trades": [to_json(booked) for booked in found]})
        return
    table = plain_table()
    add_number_column(table, "Entry")
    for heading in ("Executed", "Book", "Instrument"):
        table.add_column(heading, no_wrap=True)
    add_number_column(table, "Quantity")
    add_number_column(table, "Price")
    table.add_column("Paid in", no_wrap=True)
    table.add_column("Standing", no_wrap=True)
    for booked in found:
        deal = booked.trade
        table.add_row(
            str(booked.sequence),
            moment_of(deal.execute_time).strftime("%Y-%m-%d %H:%M"),
            deal.book_id,
            deal.instrument_id,
            f"{decimal_of(deal.quantity):,f}",
            f"{decimal_of(deal.price):,f}",
            deal.settlement,
            _standing(booked),
        )
    console_on().print(table if found else "No trades.")


@app.command(epilog=examples('crossmargin book cancel alpha/core 17 --reason "busted by the venue"'))
def cancel(
    account: AccountArgument,
    sequence: Annotated[int, typer.Argument(metavar="SEQUENCE", help="Entry of the trade, as `book trades` lists it.")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.", show_default=False)],
    request_id: Annotated[str, typer.Option("--request-id", help="Name of this request, to send it again after a break.")] = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Take a trade back, once, by an entry that names it. What lifecycle events have paid on it since stays."""
    with connect(target) as client:
        done = client.cancel_trade(full_account_name(account), sequence, reason=reason, request_id=request_id or None)
    if json:
        print_json(to_json(done))
        return
    typer.echo(f"trade {sequence} was taken back by entry {done.sequence}")


@app.command(epilog=examples("crossmargin book watch alpha/core", "crossmargin book watch alpha/core --after 17 --json"))
def watch(
    account: AccountArgument,
    after: Annotated[int | None, typer.Option("--after", help="Go on after this entry; from what is held now unless given.", min=0)] = None,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """What an account holds as it changes, entry by entry, until interrupted; it goes on by itself after a break."""
    console = console_on()
    with connect(target) as client:
        for update in client.watch_positions(full_account_name(account), after_seq=after):
            if json:
                print_json_line(to_json(update))
                continue
            kind = statement.entry_word(update.entry.kind) if update.HasField("entry") else "held now"
            console.print(f"entry {update.seq}  {kind}  {update.entry.reference}".rstrip(), soft_wrap=True)
            for position in update.positions:
                cost = decimal_of(position.cost)
                at_cost = f" at cost {cost:,f}" if cost else ""
                console.print(f"  {position.book_id} {position.instrument_id} {decimal_of(position.quantity):,f}{at_cost}", soft_wrap=True)


def _standing(booked: book_service_pb2.BookedTrade) -> str:
    if booked.cancelled_by_seq:
        return f"cancelled by {booked.cancelled_by_seq}"
    day = booked.trade.settle_date
    return f"settles {day.year:04}-{day.month:02}-{day.day:02}" if booked.trade.HasField("settle_date") else ""


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
