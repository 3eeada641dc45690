"""`crossmargin book statement`: a day of an account, added up."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime
from itertools import takewhile
from typing import Annotated

import typer
from rich.table import Table

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
from crossmargin_cli.failures import CommandError, MisuseError
from crossmargin_cli.render import add_number_column, console_on, plain_table
from crossmargin_client import StatementError, StatementLine, add_up, decimal_of, moment_of

EXAMPLES = examples("crossmargin book statement alpha/core", "crossmargin book statement alpha/core --date 2026-11-20")
KIND_PREFIX = "ENTRY_KIND_"


def statement(
    account: AccountArgument,
    day: Annotated[
        str, typer.Option("--date", help="Day, UTC, such as 2026-11-20; today without one. Entries belong to the day they were written on.")
    ] = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """A day of an account: opening positions, every entry, closing positions.

    It is printed only if opening positions and entries give the closing positions to the last digit. Exit code 1 otherwise.
    """
    try:
        wanted = date.fromisoformat(day) if day else datetime.now(tz=UTC).date()
    except ValueError:
        raise MisuseError(f"--date was {day!r}; expected a day such as 2026-11-20") from None
    with connect(target) as client:
        answer = client.get_statement(full_account_name(account), wanted)
        listed = client.list_entries(answer.account, after_seq=answer.opening_seq) if answer.closing_seq > answer.opening_seq else iter(())
        entries = list(takewhile(lambda entry: entry.sequence <= answer.closing_seq, listed))
    try:
        lines = add_up(answer, entries)
    except StatementError as error:
        raise CommandError(str(error), next_step="do not use it; check the ledger with: crossmargin verify-ledger") from None
    if json:
        print_json({**to_json(answer), "entries": [to_json(entry) for entry in entries], "lines": [_line_to_json(line) for line in lines]})
        return
    _print(answer, entries, lines)


def entry_word(kind: book_service_pb2.EntryKind.ValueType) -> str:
    """Return the kind of an entry in a word or two.

    >>> entry_word(book_service_pb2.ENTRY_KIND_FINAL_SETTLEMENT)
    'final settlement'
    """
    return book_service_pb2.EntryKind.Name(kind).removeprefix(KIND_PREFIX).lower().replace("_", " ")


def _line_to_json(line: StatementLine) -> dict[str, str]:
    return {name: str(value) if isinstance(value, str) else f"{value:f}" for name, value in asdict(line).items()}


def _print(answer: book_service_pb2.GetStatementResponse, entries: list[book_service_pb2.Entry], lines: list[StatementLine]) -> None:
    console = console_on()
    day = f"{answer.date.year:04}-{answer.date.month:02}-{answer.date.day:02}"
    console.print(f"{answer.account} on {day}{'' if answer.final else ', so far'}", style="bold")
    console.print()
    console.print(_entry_table(entries, answer.account.split("/")[3]) if entries else "No entries.")
    console.print()
    table = plain_table("Positions")
    table.add_column("Book", no_wrap=True)
    table.add_column("Instrument", no_wrap=True)
    for heading in ("Opening", "Change", "Closing"):
        add_number_column(table, heading)
    for line in lines:
        table.add_row(line.book_id, line.instrument_id, f"{line.opening:,f}", f"{line.change:+,f}", f"{line.closing:,f}")
    console.print(table if lines else "The account held nothing.")
    console.print(f"entries {answer.opening_seq + 1} to {answer.closing_seq} add up", style="dim")


def _entry_table(entries: list[book_service_pb2.Entry], account_id: str) -> Table:
    table = plain_table("Entries")
    add_number_column(table, "Entry")
    table.add_column("Happened", no_wrap=True)
    table.add_column("Kind", no_wrap=True)
    table.add_column("Reference")
    add_number_column(table, "Received (+) or given (-)")
    for entry in entries:
        own = [leg for leg in entry.postings if leg.ledger_account == account_id]
        moved = "\n".join(
            f"{decimal_of(leg.quantity):+,f} {leg.instrument_id}" + (f" at cost {decimal_of(leg.cost):,f}" if decimal_of(leg.cost) else "")
            for leg in own
        )
        happened = moment_of(entry.effective_time).strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(str(entry.sequence), happened, entry_word(entry.kind), entry.reference, moved)
    return table
