"""Pieces of markup that the parts of a client's statement share. What others wrote goes through `escaped` before it comes here."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from decimal import Decimal

from crossmargin_cli.render import money


def escaped(words: str) -> str:
    """Return words as text in a page, never as markup."""
    return html.escape(words)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, total: Sequence[str] = (), name_columns: int = 1) -> str:
    """Return a table. Cells are markup already; the first columns are names, the others numbers."""

    def line(cells: Sequence[str], tag: str, kind: str = "") -> str:
        inside = "".join(f"<{tag}{' class=name' if place < name_columns else ''}>{cell}</{tag}>" for place, cell in enumerate(cells))
        return f"<tr{kind}>{inside}</tr>"

    body = "".join(line(row, "td") for row in rows) + (line(total, "td", " class=sum") if total else "")
    return f"<table><thead>{line(columns, 'th')}</thead><tbody>{body}</tbody></table>"


def chip(words: str, colour: str) -> str:
    """Return words on a coloured ground."""
    return f'<span class="band" style="background:{colour}">{escaped(words)}</span>'


def money_cell(amount: Decimal) -> str:
    """Return an amount, red below zero."""
    shown = money(amount)
    return f'<span class="short">{shown}</span>' if amount < 0 else shown
