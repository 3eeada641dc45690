"""What `crossmargin top` shows: the accounts that are watched, in the order and the part that somebody chose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final, Literal, Self, TypeAlias

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from crossmargin.api.v1 import margin_service_pb2
from crossmargin_cli.render import BAND_NAMES, band_text, bar, counted, money, percent, plain_table, short_account
from crossmargin_client import decimal_of, moment_of

BAR_CELLS: Final = 20
_NARROW: Final = 120
"""Columns below which the lines above and below the board are short ones."""
_LAYOUTS: Final[Sequence[tuple[int, frozenset[str], int]]] = (
    (BAR_CELLS, frozenset(), 22),
    (BAR_CELLS, frozenset({"Initial"}), 22),
    (BAR_CELLS, frozenset({"Initial", "Heard"}), 22),
    (6, frozenset({"Initial", "Heard"}), 22),
    (6, frozenset({"Initial", "Heard", "Maintenance"}), 22),
    (6, frozenset({"Initial", "Heard", "Maintenance", "To liquidation"}), 12),
    (6, frozenset({"Initial", "Heard", "Maintenance", "To liquidation", "Equity"}), 0),
)
"""Cells of the bar, columns left out, and the least room for a name, from a wide window to a narrow one."""
_GAP: Final = 2
"""Columns of the window between two columns of the table."""
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
_Column: TypeAlias = tuple[str, Literal["left", "right"], Callable[[Watched, datetime], Text]]
"""Heading, side, and what it says of an account."""
SORTS: Final[Mapping[str, tuple[str, _Key, bool]]] = {
    "utilization": ("u", lambda row: decimal_of(row.margin.utilization), True),
    "excess": ("x", lambda row: decimal_of(row.margin.excess_to_initial), False),
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
    left_out = f"{counted(len(rows) - room, 'more account')} below" if len(rows) > room else ""
    return Group(
        headline(board, now, is_narrow=_is_narrow(console)),
        board_table(console, rows[:room], choice, now),
        Text(_keys_line(left_out, is_narrow=_is_narrow(console)), "dim"),
    )


def headline(board: Board, now: datetime, *, is_narrow: bool = False) -> Text:
    """Return one line on the whole house: time, age of the market, accounts by band, and money unless there is little room."""
    margins = [row.margin for row in board.rows.values()]
    line = Text(f"{now:%H:%M:%S} UTC", style="bold")
    if margins:
        newest = max(moment_of(margin.stamp.as_of_time) for margin in margins)
        line += Text(f"  market {_age(now, newest)} old")
        equity = sum((decimal_of(margin.equity.equity) for margin in margins), Decimal(0))
        maintenance = sum((decimal_of(margin.requirement.maintenance_margin) for margin in margins), Decimal(0))
        line += Text("" if is_narrow else f"  equity {money(equity)}  maintenance {money(maintenance)}")
        counts = Counter(margin.band for margin in margins)
        for band, (name, style) in BAND_NAMES.items():
            if counts[band]:
                line += Text(f"  {counts[band]} {name}", style=style)
    return line + Text(f"  {board.trouble}", style="bold red") if board.trouble else line


def board_table(console: Console, rows: list[Watched], choice: Choice, now: datetime) -> Table:
    """Return the accounts, one on each line: utilization with a bar in the colour of its band, what moved, and the money behind it.

    Excess is to the initial margin, below zero of which margin is called; what is left to liquidation is a column of its own. In a narrow
    window there are fewer columns, and nothing but the name of an account is ever cut.
    """
    columns, cells = _that_fit(console, rows, choice, now)
    table = plain_table()
    room = max(console.width - _room_for(columns, cells), 1)
    table.add_column(_heading("Account", "name", choice), no_wrap=True, max_width=room)
    for (heading, justify, _), width in zip(columns, _widths(columns, cells), strict=True):
        table.add_column(heading, justify=justify, no_wrap=True, min_width=width)
    for row, line in zip(rows, cells, strict=True):
        table.add_row(_name_within(console, room, short_account(row.margin.stamp.account)), *line)
    return table


def _name_within(console: Console, room: int, name: str) -> str:
    """Return a name without its middle where it is too long: accounts of one client differ at the end."""
    if len(name) <= room:
        return name
    kept = max(room - 1, 0)
    left_out = "~" if console.options.ascii_only else "…"
    return f"{name[: kept - kept // 2]}{left_out}{name[len(name) - kept // 2 :]}"


def _that_fit(console: Console, rows: list[Watched], choice: Choice, now: datetime) -> tuple[list[_Column], list[list[Text]]]:
    """Return the most columns that leave an account enough room for its name, with their cells."""
    for bar_cells, left_out, least_name in _LAYOUTS:
        utilization: _Column = (_heading("Utilization", "utilization", choice), "left", partial(_utilization_cell, console, bar_cells))
        columns = [utilization, ("Band", "left", _band_cell), *(one for one in _money_columns(choice) if _title(one) not in left_out)]
        cells = [[read(row, now) for _, _, read in columns] for row in rows]
        if least_name + _room_for(columns, cells) <= console.width:
            break
    return columns, cells


def _room_for(columns: Sequence[_Column], cells: Sequence[Sequence[Text]]) -> int:
    return sum(width + _GAP for width in _widths(columns, cells))


def _widths(columns: Sequence[_Column], cells: Sequence[Sequence[Text]]) -> list[int]:
    return [max([len(heading), *(len(line[place]) for line in cells)]) for place, (heading, _, _) in enumerate(columns)]


def _title(column: _Column) -> str:
    return column[0].rstrip(" ↑↓")


def _utilization_cell(console: Console, width: int, row: Watched, now: datetime) -> Text:
    utilization = decimal_of(row.margin.utilization)
    arrow = {1: " ▲", -1: " ▼"}.get(row.trend, "  ") if not console.options.ascii_only else {1: " +", -1: " -"}.get(row.trend, "  ")
    is_fresh = (now - row.heard_at).total_seconds() < _FRESH_S
    return (
        bar(console, utilization, width=width, style=BAND_NAMES.get(row.margin.band, ("", ""))[1])
        + Text(f"{percent(utilization):>10}", style="bold" if is_fresh else "")
        + Text(arrow if is_fresh else "  ", style="red" if row.trend > 0 else "green")
    )


def _band_cell(row: Watched, _: datetime) -> Text:
    return band_text(row.margin.band) + (Text(" ?", style="yellow") if row.margin.HasField("quality") else Text(""))


def _money_columns(choice: Choice) -> list[_Column]:
    read: list[tuple[str, str, Callable[[margin_service_pb2.Margin], str]]] = [
        ("Equity", "equity", lambda margin: margin.equity.equity),
        ("Initial", "", lambda margin: margin.requirement.initial_margin),
        ("Maintenance", "maintenance", lambda margin: margin.requirement.maintenance_margin),
        ("Excess", "excess", lambda margin: margin.excess_to_initial),
        ("To liquidation", "", lambda margin: margin.excess_to_maintenance),
    ]
    columns: list[_Column] = [(_heading(title, sort, choice), "right", partial(_money_cell, amount)) for title, sort, amount in read]
    return [*columns, ("Heard", "right", lambda row, now: Text(_age(now, row.heard_at)))]


def _money_cell(amount: Callable[[margin_service_pb2.Margin], str], row: Watched, _: datetime) -> Text:
    found = decimal_of(amount(row.margin))
    return Text(money(found), style="red" if found < 0 else "")


def _keys_line(left_out: str, *, is_narrow: bool) -> str:
    if is_narrow:
        letters = " ".join(letter for letter, _, _ in SORTS.values())
        return f"{left_out}{'; ' if left_out else ''}[{letters}] sort  [w] worst only  [q] quit"
    keys = "  ".join(f"[{letter}] {name}" for name, (letter, _, _) in SORTS.items())
    return f"{left_out}{'; make the window taller or filter.  ' if left_out else ''}{keys}  [w] worst only  [q] quit"


def _is_narrow(console: Console) -> bool:
    return console.width < _NARROW


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
