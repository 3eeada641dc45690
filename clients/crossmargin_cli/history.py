"""`crossmargin import`: market history from a file."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from crossmargin_cli.connection import DEFAULT_TARGET, JsonOption, TargetOption, connect, print_json
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import MisuseError
from crossmargin_cli.history_file import ColumnRules, read_history_file
from crossmargin_cli.render import error_console

app = typer.Typer(no_args_is_help=True, help="Market history from a file.")
_PERCENT = Decimal("0.01")


@app.callback()
def imports() -> None:
    """Market history from a file."""


@app.command(
    epilog=examples(
        "crossmargin import history factors.csv.gz",
        "crossmargin import history coins.csv --map BTC=spot:BTC --map ETH=spot:ETH",
        "crossmargin import history treasuries.csv --map DGS2=zero:USD:2Y --percent zero:",
    )
)
def history(  # noqa: PLR0917 - typer reads options from the signature
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="Wide CSV, also gzipped: a date, then a column for each factor.")],
    maps: Annotated[list[str] | None, typer.Option("--map", metavar="COLUMN=FACTOR", help="Risk factor of a column.")] = None,
    scales: Annotated[
        list[str] | None, typer.Option("--scale", metavar="FACTOR=NUMBER", help="Multiply levels; zero: means every zero rate.")
    ] = None,
    percents: Annotated[
        list[str] | None, typer.Option("--percent", metavar="FACTOR", help="Levels are in percent: as --scale 0.01.")
    ] = None,
    ignored: Annotated[list[str] | None, typer.Option("--ignore", metavar="COLUMN", help="Leave a column out.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check the file, and send nothing.")] = False,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Import daily levels of risk factors, all or nothing.

    The first column is a date such as 2026-11-20; the others are risk factors: spot:BTC, fx:EUR, zero:USD:2Y, vol:BTC:1M, basis:BTC:3M,
    spread:IG-A:5Y, price:WTI:1M.
    Rates, volatilities and basis are fractions. An empty cell is a day without a level. A level
    replaces an earlier one of the same factor and date.
    """
    rules = ColumnRules(
        factor_of=dict(_pair(text, "--map") for text in maps or ()),
        scale_of={name: _number(number) for name, number in (_pair(text, "--scale") for text in scales or ())}
        | dict.fromkeys(percents or (), _PERCENT),
        ignored=frozenset(ignored or ()),
    )
    with error_console().status(f"reading {file}"):
        levels = read_history_file(file, rules)
    outcome = {"dates": len(levels.dates), "first": str(levels.dates[0]), "last": str(levels.dates[-1])}
    outcome |= {"factors": len(levels.columns), "levels": levels.level_count}
    if not dry_run:
        with connect(target) as client, error_console().status(f"importing {levels.level_count:,} levels"):
            response = client.import_history(levels.dates, levels.columns)
        outcome |= {"factors": response.factor_count, "levels": response.level_count}
    if json:
        print_json({**outcome, "dry_run": dry_run})
        return
    verb = "can be imported; nothing was sent" if dry_run else "imported"
    typer.echo(f"{outcome['levels']:,} levels of {outcome['factors']} risk factors, {outcome['first']} to {outcome['last']}, {verb}")


def _pair(text: str, option: str) -> tuple[str, str]:
    name, separator, value = text.rpartition("=")
    if not separator or not name or not value:
        raise MisuseError(f"{option} was {text!r}; expected {'COLUMN=FACTOR' if option == '--map' else 'FACTOR=NUMBER'}")
    return name, value


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite() or not number:
        raise MisuseError(f"--scale was {text!r}; expected a number such as 0.01")
    return number
