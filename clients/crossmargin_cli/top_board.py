"""What `crossmargin top` shows: the accounts that are watched, in the order and the part that somebody chose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Self

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from crossmargin.api.v1 import margin_service_pb2
from crossmargin_cli.render import BAND_NAMES, add_number_column, band_text, bar, counted, money, percent, plain_table, short_account
from crossmargin_client import decimal_of, moment_of

BAR_CELLS: Final = 20
_OTHER_LINES: Final = 6
"""Lines of the screen that are no account: the head of the board, the head of the table, and the keys."""
_FRESH_S: Final = 3.0
"""A figure that changed in the last seconds is told apart, so that an eye that comes back finds what moved."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The last that was heard of an account."""

    margin: margin_service_pb2.Margin
    heard_at: datetime
    trend: int = 0

    def followed_by(self, margin: margin_service_pb2.Margin, heard_at: datetime) -> Watched:
        """Return what is known once another margin has come: `trend` is +1 for more utilization than before, -1 for less."""
        before, now = decimal_of(self.margin.utilization), decimal_of(margin.utilization)
        return Watched(margin, heard_at, (now > before) - (now < before))


_Key = Callable[[Watched], Any]
SORTS: Final[Mapping[str, tuple[str, _Key, bool]]] = {
    "utilization": ("u", lambda row: decimal_of(row.margin.utilization), True),
    "excess": ("x", lambda row: decimal_of(row.margin.excess_to_maintenance), False),
    "equity": ("e", lambda row: decimal_of(row.margin.equity.equity), True),
    "maintenance": ("m", lambda row: decimal_of(row.margin.requirement.maintenance_margin), True),
    "name": ("n", lambda row: row.margin.stamp.account, False),
}
"""By name: the key to press, what to order by, and whether the largest comes first."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What of the board to show, and how.

    Attributes:
        sort: A name of SORTS. is_reversed: True for the other way round.
        only: Part of an account's name; empty for every account.
        worst_only: True for at risk and worse alone.
    """

    sort: str = "utilization"
    is_reversed: bool = False
    only: str = ""
    worst_only: bool = False

    def pressed(self, key: str) -> Choice:
        """Return the choice after a key: the key of an order chooses it, or turns it round when it is chosen already."""
        for name, (letter, _, _) in SORTS.items():
            if key == letter:
                return replace(self, sort=name, is_reversed=not self.is_reversed if self.sort == name else False)
        return replace(self, worst_only=not self.worst_only) if key == "w" else self


@dataclass(slots=True)
class Board:
    """Every account that is watched; `trouble` says what is wrong with the connection, empty when nothing is."""

    rows: dict[str, Watched] = field(default_factory=dict)
    trouble: str = ""

    def hear(self, margin: margin_service_pb2.Margin, heard_at: datetime) -> Self:
        """Take the newest margin of an account."""
        name = margin.stamp.account
        self.rows[name] = self.rows[name].followed_by(margin, heard_at) if name in self.rows else Watched(margin, heard_at)
        self.trouble = ""
        return self

    def chosen(self, choice: Choice) -> list[Watched]:
        """Return the rows to show, in order; equal ones by name."""
        _, key, largest_first = SORTS[choice.sort]
        rows = [row for row in sorted(self.rows.values(), key=lambda row: row.margin.stamp.account) if _is_wanted(row, choice)]
        return sorted(rows, key=key, reverse=largest_first != choice.is_reversed)


def screen(console: Console, board: Board, choice: Choice, now: datetime) -> Group:
    """Return the whole screen: totals, the table as far as it fits, and the keys."""
    rows = board.chosen(choice)
    room = max(1, console.height - _OTHER_LINES)
    keys = "  ".join(f"[{letter}] {name}" for name, (letter, _, _) in SORTS.items())
    left_out = f"{counted(len(rows) - room, 'more account')} below; make the window taller or filter.  " if len(rows) > room else ""
    return Group(
        headline(board, now), board_table(console, rows[:room], choice, now), Text(f"{left_out}{keys}  [w] worst only  [q] quit", "dim")
    )


def headline(board: Board, now: datetime) -> Text:
    """Return one line on the whole house: time, age of the market, accounts by band, and money."""
    margins = [row.margin for row in board.rows.values()]
    line = Text(f"{now:%H:%M:%S} UTC", style="bold")
    if margins:
        newest = max(moment_of(margin.stamp.as_of_time) for margin in margins)
        line += Text(f"  market {_age(now, newest)} old")
        equity = sum((decimal_of(margin.equity.equity) for margin in margins), Decimal(0))
        maintenance = sum((decimal_of(margin.requirement.maintenance_margin) for margin in margins), Decimal(0))
        line += Text(f"  equity {money(equity)}  maintenance {money(maintenance)}")
        counts = Counter(margin.band for margin in margins)
        for band, (name, style) in BAND_NAMES.items():
            if counts[band]:
                line += Text(f"  {counts[band]} {name}", style=style)
    return line + Text(f"  {board.trouble}", style="bold red") if board.trouble else line


def board_table(console: Console, rows: list[Watched], choice: Choice, now: datetime) -> Table:
    """Return the accounts, one on each line: utilization with a bar in the colour of its band, what moved, and the money behind it."""
    table = plain_table()
    table.add_column(_heading("Account", "name", choice), no_wrap=True)
    table.add_column(_heading("Utilization", "utilization", choice), no_wrap=True)
    table.add_column("Band", no_wrap=True)
    for title, sort in (("Equity", "equity"), ("Maintenance", "maintenance"), ("Initial", ""), ("Excess", "excess")):
        add_number_column(table, _heading(title, sort, choice))
    add_number_column(table, "Heard")
    for row in rows:
        table.add_row(*_cells(console, row, now))
    return table


def _cells(console: Console, row: Watched, now: datetime) -> list[Text | str]:
    margin = row.margin
    utilization, excess = decimal_of(margin.utilization), decimal_of(margin.excess_to_maintenance)
    arrow = {1: " ▲", -1: " ▼"}.get(row.trend, "  ") if not console.options.ascii_only else {1: " +", -1: " -"}.get(row.trend, "  ")
    is_fresh = (now - row.heard_at).total_seconds() < _FRESH_S
    style = BAND_NAMES.get(margin.band, ("", ""))[1]
    doubt = Text(" ?", style="yellow") if margin.HasField("quality") else Text("")
    return [
        short_account(margin.stamp.account),
        bar(console, utilization, width=BAR_CELLS, style=style)
        + Text(f"{percent(utilization):>10}", style="bold" if is_fresh else "")
        + Text(arrow if is_fresh else "  ", style="red" if row.trend > 0 else "green"),
        band_text(margin.band) + doubt,
        money(decimal_of(margin.equity.equity)),
        money(decimal_of(margin.requirement.maintenance_margin)),
        money(decimal_of(margin.requirement.initial_margin)),
        Text(money(excess), style="red" if excess < 0 else ""),
        _age(now, row.heard_at),
    ]


def _heading(title: str, sort: str, choice: Choice) -> str:
    if sort != choice.sort:
        return title
    return f"{title} {'↑' if SORTS[sort][2] == choice.is_reversed else '↓'}"


def _is_wanted(row: Watched, choice: Choice) -> bool:
    is_bad = row.margin.band >= margin_service_pb2.BAND_AT_RISK
    return choice.only in short_account(row.margin.stamp.account) and (is_bad or not choice.worst_only)


def _age(now: datetime, moment: datetime) -> str:
    """Return how long ago something was, in the largest unit that says enough."""
    seconds = max(0, int((now - moment).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
