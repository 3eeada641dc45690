"""How numbers, bands and tables look in a terminal, and in a plain pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from crossmargin.api.v1 import margin_service_pb2
from crossmargin_cli.house_table import HouseTable

PIPE_WIDTH: Final = 100
"""Columns of what is not a terminal: a pipe has no width of its own."""
BAND_NAMES: Final = {
    margin_service_pb2.BAND_HEALTHY: ("healthy", "green"),
    margin_service_pb2.BAND_WATCH: ("watch", "yellow"),
    margin_service_pb2.BAND_AT_RISK: ("at risk", "dark_orange"),
    margin_service_pb2.BAND_MARGIN_CALL: ("margin call", "red"),
    margin_service_pb2.BAND_LIQUIDATION: ("liquidation", "bold red"),
}
_HUNDRED: Final = Decimal(100)


def console_on(stream: TextIO | None = None) -> Console:
    """Return a console on a stream, standard output by default: no colour and 100 columns where it is not a terminal."""
    stream = stream if stream is not None else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else PIPE_WIDTH, highlight=False, soft_wrap=False)


def error_console() -> Console:
    """Return a console on standard error, for progress: silent where nobody watches."""
    console = console_on(sys.stderr)
    console.quiet = not console.is_terminal
    return console


def money(amount: Decimal, *, places: int = 0, signed: bool = False) -> str:
    """Return an amount with thousands separated and rounded half to even; `signed` puts a plus before a gain.

    >>> money(Decimal("-1234567.5"))
    '-1,234,568'
    """
    rounded = amount.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)
    rounded = rounded or abs(rounded)  # no "-0"
    return f"{rounded:{'+' if signed and rounded else ''},.{places}f}"


def percent(fraction: Decimal, *, signed: bool = False) -> str:
    """Return a fraction as a percentage with one place; an infinite one is what is left when equity is gone.

    >>> percent(Decimal("0.2345"))
    '23.4%'
    """
    if not fraction.is_finite():
        return "no equity"
    return f"{(fraction * _HUNDRED).quantize(Decimal('0.1'), rounding=ROUND_HALF_EVEN):{'+' if signed else ''}}%"


def counted(count: object, noun: str) -> str:
    """Return a count with its noun.

    >>> counted(1, "trade"), counted(2, "trade")
    ('1 trade', '2 trades')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def short_account(name: str) -> str:
    """Return CLIENT/ACCOUNT for the resource name of an account.

    >>> short_account("clients/alpha/accounts/core")
    'alpha/core'
    """
    _, client_id, _, account_id = name.split("/")
    return f"{client_id}/{account_id}"


def band_text(band: margin_service_pb2.Band.ValueType) -> Text:
    """Return the name of a band in its colour."""
    name, style = BAND_NAMES.get(band, ("unknown", ""))
    return Text(name, style=style)


def bar(console: Console, fraction: Decimal, *, width: int, style: str = "") -> Text:
    """Return a bar that is filled to a fraction of its width, whatever a console can show."""
    filled, empty = ("#", ".") if console.options.ascii_only else ("█", "░")
    share = min(max(fraction, Decimal(0)), Decimal(1)) if fraction.is_finite() else Decimal(1)
    cells = int((share * width).to_integral_value(ROUND_HALF_EVEN))
    return Text(filled * cells, style=style) + Text(empty * (width - cells), style="dim")


def segment(console: Console, start: Decimal, end: Decimal, *, width: int, style: str = "", is_removed: bool = False) -> Text:
    """Return one step of a waterfall: filled from `start` to `end`, fractions of the width, and at least one cell when not empty."""
    removed, kept = ("-", "#") if console.options.ascii_only else ("░", "█")
    first, last = (int((place * width).to_integral_value(ROUND_HALF_EVEN)) for place in (start, end))
    if end > start and first == last:
        first, last = min(first, width - 1), min(first, width - 1) + 1
    return Text(" " * first + (removed if is_removed else kept) * (last - first), style=style)


def plain_table(title: str = "", *, spare: Sequence[str] = ()) -> HouseTable:
    """Return an empty table in the house style; columns under the headings `spare` go first where there is no room for all."""
    return HouseTable(title, spare=spare)


def add_number_column(table: Table, heading: str, *, min_width: int | None = None) -> None:
    """Add a column of numbers: aligned at the right and never folded."""
    table.add_column(heading, justify="right", no_wrap=True, min_width=min_width)
