"""`crossmargin example`: a file of every format that commands read, filled with the demo's simulated market."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer
from google.protobuf.json_format import MessageToDict

from crossmargin_cli.demo_data.institutions import instruments
from crossmargin_cli.demo_data.market import AS_OF, simulated_history, todays_levels, todays_marks
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import CommandError

EXAMPLES: Final = examples("crossmargin example my-data")
_TRADES: Final = (
    ("book", "instrument", "quantity", "price", "settlement", "executed_at", "reference"),
    ("carry", "BTC", "40", "91400", "USD", "2026-11-20T15:00:00Z", "order 1"),
    ("carry", "BTC-26MAR27", "-40", "93550", "", "2026-11-20T15:00:00Z", "order 2"),
    ("rates", "UST-4.125-2036-11-15", "2000000", "1.001", "USD", "2026-11-20T15:04:05Z", "order 3"),
)
_QUOTES: Final = (("subject", "value"), ("spot:BTC", "91410"), ("spot:ETH", "3061.5"), ("BTC-USD-PERP", "91440"))
_STATEMENT: Final = (
    ("as_of", "account", "instrument", "quantity", "value", "external_reference"),
    ("2026-11-20T21:00:00Z", "alpha/core", "BTC", "40", "3656000", "custody 77"),
    ("2026-11-20T21:00:00Z", "alpha/core", "BTC-26MAR27", "-40", "", "venue 3"),
    ("2026-11-20T21:00:00Z", "alpha/core", "UST-4.125-2036-11-15", "2000000", "2003965", "custody 78"),
    ("2026-11-20T21:00:00Z", "alpha/core", "USD", "6322730", "6322730", "bank 12"),
)
"""A fee of 1,250 that the books do not know makes one break."""


def example(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Made if it is not there. No file in it is ever replaced.")],
) -> None:
    """Write example files to start from: instruments, market history, a market, trades, quotes, a statement.

    The market in them is simulated, as in the demo. Put your own data in their place.
    """
    written: dict[str, Callable[[Path], None]] = {
        "instruments.json": _instruments,
        "history.csv": _history,
        "market.csv": _market,
        "trades.csv": partial(_write_rows, rows=_TRADES),
        "quotes.csv": partial(_write_rows, rows=_QUOTES),
        "statement.csv": partial(_write_rows, rows=_STATEMENT),
    }
    there = [name for name in written if (folder / name).exists()]
    if there:
        raise CommandError(f"{folder} has {', '.join(there)} already, and nothing was written", next_step="name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, write in written.items():
            write(folder / name)
    except OSError as error:
        raise CommandError(f"{error.filename or folder} cannot be written: {error.strerror}") from None
    typer.echo(f"{folder}: {', '.join(written)}; simulated market of {AS_OF:%Y-%m-%d %H:%M} UTC")
    typer.echo("With a service running (crossmargin serve --embedded --insecure):")
    for command in (
        f"instruments import {folder}/instruments.json",
        f"import history {folder}/history.csv",
        f"market publish {folder}/market.csv --at {AS_OF:%Y-%m-%dT%H:%M:%SZ}",
        "clients create alpha 'Alpha Capital'",
        "accounts create alpha/core",
        "collateral deposit alpha/core USD 10000000 --at 2026-11-20T14:00:00Z",
        f"book import {folder}/trades.csv --account alpha/core",
        "margin show alpha/core",
        f"reconcile {folder}/statement.csv --source bank-1",
    ):
        typer.echo(f"  crossmargin {command}")


def _instruments(path: Path) -> None:
    listed = [MessageToDict(one, preserving_proto_field_name=True) for one in instruments()]
    path.write_text(json.dumps({"instruments": listed}, indent=2) + "\n", encoding="utf-8")


def _history(path: Path) -> None:
    history = simulated_history()
    rows = zip(history.dates, *history.columns.values(), strict=True)
    _write_rows(path, [("date", *history.columns), *([("" if cell is None else str(cell)) for cell in row] for row in rows)])


def _market(path: Path) -> None:
    _write_rows(path, [("subject", "value"), *((name, str(value)) for name, value in (todays_levels() | todays_marks()).items())])


def _write_rows(path: Path, rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
