"""`crossmargin reconcile` and `crossmargin breaks`: what custodians and venues say, beside the books."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table

from crossmargin.api.v1 import reconciliation_service_pb2 as pb
from crossmargin_cli.connection import (
    DEFAULT_TARGET,
    AccountArgument,
    JsonOption,
    PrincipalOption,
    TargetOption,
    connect,
    full_account_name,
    print_json,
    to_json,
)
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import FAILED
from crossmargin_cli.render import add_number_column, console_on, counted, plain_table, short_account
from crossmargin_cli.statement_file import read_statement_file
from crossmargin_client import decimal_of, moment_of

app = typer.Typer(no_args_is_help=True, help="Breaks between statements and the books: list, explain, close.")
EXAMPLES: Final = examples(
    "crossmargin reconcile statement.csv --source bank-1",
    "crossmargin reconcile positions.csv --source venue-1 --instrument BTC-USD-PERP --json",
)
_KINDS: Final = {
    pb.BREAK_KIND_MISSING_HERE: "missing here",
    pb.BREAK_KIND_MISSING_THERE: "missing there",
    pb.BREAK_KIND_QUANTITY_DIFFERS: "differs",
}
_STATES: Final = {pb.BREAK_STATE_OPEN: "open", pb.BREAK_STATE_EXPLAINED: "explained", pb.BREAK_STATE_CLOSED: "closed"}


class State(Enum):
    """Which breaks to list."""

    ANY = "any"
    OPEN = "open"
    EXPLAINED = "explained"
    CLOSED = "closed"


def reconcile(  # noqa: PLR0917 - what a command can be told
    file: Annotated[Path, typer.Argument(metavar="STATEMENT.csv", help="UTF-8, comma-separated, with a header.")],
    source: Annotated[str, typer.Option("--source", help="Who says so, such as bank-1. Statements of one source are a series.")],
    account: Annotated[
        list[str] | None, typer.Option("--account", help="It is also about this CLIENT/ACCOUNT, of which it lists nothing.")
    ] = None,
    instrument: Annotated[
        list[str] | None, typer.Option("--instrument", help="It is about this instrument only; may be given several times.")
    ] = None,
    tolerance: Annotated[str, typer.Option("--tolerance", help="Largest difference that is none.")] = "0",
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Compare a statement with the books, store both, and list the breaks.

    Columns: as_of, account, instrument, quantity, value, external_reference; value and external_reference may be left out. as_of has a time
    zone and is the same in every row. One row that cannot be read, and nothing is sent. The books are not changed. Exit code 1 when there
    are breaks. The same file again is answered as it was the first time.
    """
    statement = read_statement_file(file)
    accounts = [full_account_name(name) for name in account or ()]
    chosen = [source, tolerance, *accounts, *(instrument or ())]
    key = hashlib.sha256("\n".join([statement.digest, *chosen]).encode()).hexdigest()[:32]
    with connect(target, principal=principal) as client:
        answer = client.reconcile_statement(
            source,
            statement.as_of,
            statement.lines,
            accounts=accounts,
            instruments=instrument or (),
            tolerance=tolerance,
            request_id=f"reconcile-{key}",
        )
    if json:
        print_json(to_json(answer))
    else:
        _print_breaks(answer.breaks, empty="no breaks")
        typer.echo(
            f"statement {answer.statement_id}: {counted(answer.compared_count, 'holding')} compared, {counted(len(answer.breaks), 'break')}"
        )
    if answer.breaks:
        raise typer.Exit(FAILED)


@app.command("list", epilog=examples("crossmargin breaks list --state open", "crossmargin breaks list --account alpha/core --json"))
def list_breaks(  # noqa: PLR0917 - what a command can be told
    source: Annotated[str, typer.Option("--source", help="Of this source only.")] = "",
    statement: Annotated[str, typer.Option("--statement", help="Of this statement only.")] = "",
    account: Annotated[str, typer.Option("--account", help="Of this CLIENT/ACCOUNT only.")] = "",
    state: Annotated[State, typer.Option("--state", help="In this state only.")] = State.ANY,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Breaks, oldest statement first, with what was said of them."""
    wanted = next((value for value, name in _STATES.items() if name == state.value), pb.BREAK_STATE_UNSPECIFIED)
    with connect(target) as client:
        name = full_account_name(account) if account else ""
        found = list(client.list_breaks(source=source, statement_id=statement, account=name, state=wanted))
    if json:
        print_json({"breaks": [to_json(each) for each in found]})
        return
    _print_breaks(found, empty="There are no breaks.")


@app.command(epilog=examples('crossmargin breaks explain 0f3a... alpha/core USD --note "in transit, value date Monday" --as alice'))
def explain(  # noqa: PLR0917 - what a command can be told
    statement: Annotated[str, typer.Argument(metavar="STATEMENT", help="Its id.")],
    account: AccountArgument,
    instrument: Annotated[str, typer.Argument(metavar="INSTRUMENT")],
    note: Annotated[str, typer.Option("--note", help="What is behind it.")],
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Say what is behind a break. It stays in the lists, with the note and your name."""
    with connect(target, principal=principal) as client:
        noted = client.explain_break(statement, full_account_name(account), instrument, note)
    _answer(noted, as_json=json)


@app.command(epilog=examples('crossmargin breaks close 0f3a... alpha/core USD --note "booked as entry 57" --as alice'))
def close(  # noqa: PLR0917 - what a command can be told
    statement: Annotated[str, typer.Argument(metavar="STATEMENT", help="Its id.")],
    account: AccountArgument,
    instrument: Annotated[str, typer.Argument(metavar="INSTRUMENT")],
    note: Annotated[str, typer.Option("--note", help="Why it is settled.")],
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Say that a break is settled. It takes no more notes; a later statement shows whether it is back."""
    with connect(target, principal=principal) as client:
        noted = client.close_break(statement, full_account_name(account), instrument, note)
    _answer(noted, as_json=json)


def _answer(noted: pb.Break, *, as_json: bool) -> None:
    if as_json:
        print_json(to_json(noted))
        return
    typer.echo(f"{noted.instrument_id} of {short_account(noted.account)} is {_STATES[noted.state]}: {noted.note} ({noted.noted_by})")


def _print_breaks(breaks: Sequence[pb.Break], *, empty: str) -> None:
    if not breaks:
        typer.echo(empty)
        return
    console = console_on()
    for (statement_id, source), group in groupby(breaks, key=lambda each: (each.statement_id, each.source)):
        found = list(group)
        console.print(f"{source}, {moment_of(found[0].as_of_time):%Y-%m-%d %H:%M} UTC, statement {statement_id}", style="bold")
        console.print(_table(found))


def _table(breaks: Sequence[pb.Break]) -> Table:
    table = plain_table()
    table.add_column("Account", no_wrap=True)
    table.add_column("Instrument", overflow="fold")
    table.add_column("Break", no_wrap=True)
    for heading in ("There", "Here", "Difference"):
        add_number_column(table, heading)
    table.add_column("Since", no_wrap=True)
    table.add_column("State", overflow="fold", min_width=len("explained"))
    for each in breaks:
        table.add_row(
            short_account(each.account),
            each.instrument_id,
            _KINDS.get(each.kind, "unknown"),
            _number(each.stated_quantity),
            _number(each.held_quantity),
            _number(each.difference),
            str(each.agreed_sequence) if each.HasField("agreed_time") else "-",
            _STATES.get(each.state, "unknown") + (f": {each.note} ({each.noted_by})" if each.note else ""),
        )
    return table


def _number(text: str) -> str:
    return f"{decimal_of(text):,f}" if text else "-"
