"""Tables that never cut what they say: where room is short names are folded, and where it is shorter still rows become records."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

_LONGEST_WHOLE: Final = 16
"""Characters of a word that is never folded in a table; a figure, which stands at the right, is never folded however long it is."""
_ENDLESS: Final = 100_000
"""Columns of a window in which everything has room."""


class HouseTable(Table):
    """A table in the house style: a rule under the headings and nothing else.

    A library that has too little room cuts cells with an ellipsis, figures too. Somebody reads 1,234,… and takes it for the amount.

    Attributes:
        spare: Headings of columns that may go, the first one first, if a line for each row has room without them; which went is said
            below the table.
    """

    def __init__(self, title: str = "", *, spare: Sequence[str] = ()) -> None:
        super().__init__(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
        self.heading = title
        self.spare = spare

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the heading, and the table as it was made, or without what it can spare, or folded, or as records: what first has room."""
        if self.heading:
            yield Text(self.heading, style="bold")
        free = options.update(width=_ENDLESS)
        natural = [_natural_width(console, free, column) for column in self.columns]
        between = Measurement.get(console, free, self).maximum - sum(natural)
        room = options.max_width - between
        least = [_least_width(console, free, column, width) for column, width in zip(self.columns, natural, strict=True)]
        if sum(natural) <= room:
            yield from super().__rich_console__(console, options)
        elif (gone := self._spared(natural, options.max_width, between)) is not None:
            yield self._without(gone)
            yield Text(f"No room for: {', '.join(gone)}.", style="dim")
        elif sum(least) <= room:
            yield self._folded(_widened(least, natural, room))
        else:
            yield self._records()

    def _spared(self, natural: Sequence[int], width: int, between: int) -> Sequence[str] | None:
        """Return the fewest columns without which nothing has to be folded; None when there are not enough that can be spared."""
        widths = {str(column.header): width for column, width in zip(self.columns, natural, strict=True)}
        for count in range(1, len(self.spare) + 1):
            gone = self.spare[:count]
            gaps = math.ceil(between * (len(widths) - count) / len(widths))
            if sum(wide for heading, wide in widths.items() if heading not in gone) + gaps <= width:
                return gone
        return None

    def _without(self, gone: Sequence[str]) -> Table:
        """Return the table without some of its columns."""
        kept = [place for place, column in enumerate(self.columns) if str(column.header) not in gone]
        table = Table(box=self.box, padding=self.padding, pad_edge=False, show_edge=False)
        for place in kept:
            column = self.columns[place]
            table.add_column(column.header, justify=column.justify, style=column.style, no_wrap=True)
        for row, cells in zip(self.rows, self._lines(), strict=True):
            table.add_row(*(cells[place] for place in kept), style=row.style, end_section=row.end_section)
        return table

    def _folded(self, widths: Sequence[int]) -> Table:
        """Return the table with columns of these widths."""
        folded = Table(box=self.box, padding=self.padding, pad_edge=False, show_edge=False)
        for column, width in zip(self.columns, widths, strict=True):
            folded.add_column(column.header, justify=column.justify, style=column.style, overflow="fold", width=width)
        for row, cells in zip(self.rows, self._lines(), strict=True):
            folded.add_row(*cells, style=row.style, end_section=row.end_section)
        return folded

    def _records(self) -> Table:
        """Return every row as lines of heading and cell, with an empty line after each row."""
        records = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
        records.add_column(style="dim", overflow="fold", max_width=_LONGEST_WHOLE)
        records.add_column(overflow="fold")
        for number, (row, cells) in enumerate(zip(self.rows, self._lines(), strict=True)):
            if number:
                records.add_row()
            for column, cell in zip(self.columns, cells, strict=True):
                records.add_row(column.header, cell, style=row.style)
        return records

    def _lines(self) -> Iterable[tuple[RenderableType, ...]]:
        return zip(*(column.cells for column in self.columns), strict=True)


def _natural_width(console: Console, free: ConsoleOptions, column: Column) -> int:
    """Return the width at which nothing of a column is folded, unless it was made to be."""
    widest = max(Measurement.get(console, free, cell).maximum for cell in (column.header, *column.cells))
    return max(column.min_width or 0, min(widest, column.max_width or widest))


def _least_width(console: Console, free: ConsoleOptions, column: Column, natural: int) -> int:
    """Return the width below which a column would cut a figure, or fold a short word."""
    heading = _longest_word(console, free, [column.header])
    if column.justify == "right":
        return max([heading, *(Measurement.get(console, free, cell).maximum for cell in column.cells)])
    return min(natural, max(heading, _longest_word(console, free, column.cells)))


def _longest_word(console: Console, free: ConsoleOptions, cells: Iterable[RenderableType]) -> int:
    return min(_LONGEST_WHOLE, max((Measurement.get(console, free, cell).minimum for cell in cells), default=0))


def _widened(least: Sequence[int], natural: Sequence[int], room: int) -> list[int]:
    """Return widths between the least and the natural ones that use the room, the one that lacks most widened first."""
    widths = list(least)
    for _ in range(room - sum(least)):
        lacking = [whole - width for whole, width in zip(natural, widths, strict=True)]
        widths[lacking.index(max(lacking))] += 1
    return widths
