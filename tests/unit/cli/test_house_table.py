"""Whatever the width of the window, a table says all that is in it."""

from __future__ import annotations

import ast
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from crossmargin.api.v1 import margin_call_service_pb2 as pb
from crossmargin_cli import __file__ as cli
from crossmargin_cli.call_views import call_table
from crossmargin_cli.render import add_number_column, plain_table

AMOUNT = "-123456789012345.67"
SHOWN = "-123,456,789,012,346"


def printed(table, width):
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    return console.file.getvalue()


def a_table(rows, *, title=""):
    table = plain_table(title)
    table.add_column("Account", no_wrap=True)
    for heading in ("Asked for", "Outstanding"):
        add_number_column(table, heading)
    table.add_column("State", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


figures = st.decimals(min_value=-(10**15), max_value=10**15, places=0).map(lambda amount: f"{amount:,}")
names = st.text("abcdefghij-", min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(names, figures, figures, names), min_size=1, max_size=3), width=st.integers(48, 160))
def test_no_figure_is_cut_or_folded_and_no_name_loses_a_letter(rows, width):
    text = printed(a_table(rows, title="Calls"), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for name, first, second, state in rows:
        assert {first, second} <= set(text.split()), "a figure stands on one line"
        assert all(text.count(letter) >= (name + state).count(letter) for letter in "bghj"), "no heading has these"


def test_a_table_with_room_is_a_line_for_each_row():
    lines = printed(a_table([("alpha/core", "1,000", "2,000", "issued")]), 60).splitlines()
    assert [line.split() for line in lines[::2]] == [
        ["Account", "Asked", "for", "Outstanding", "State"],
        ["alpha/core", "1,000", "2,000", "issued"],
    ]


def test_long_names_are_folded_before_anything_else():
    name = "a-fund-with-a-name-that-somebody-thought-of/core"
    lines = printed(a_table([(name, "1,000", "2,000", "issued")]), 60).partition("─\n")[2].splitlines()
    assert "".join(line.split()[0] for line in lines) == name
    assert [word for line in lines for word in line.split()[1:]] == ["1,000", "2,000", "issued"]


def test_where_figures_have_no_room_beside_one_another_rows_are_records():
    table = a_table([("alpha/core", SHOWN, "0", Text("issued", "red")), ("beta/core", "1", SHOWN, "met")], title="Calls")
    assert [line.rstrip() for line in printed(table, 42).splitlines()] == [
        "Calls",
        "Account      alpha/core",
        f"Asked for    {SHOWN}",
        "Outstanding  0",
        "State        issued",
        "",
        "Account      beta/core",
        "Asked for    1",
        f"Outstanding  {SHOWN}",
        "State        met",
    ]


def test_a_heading_longer_than_its_table_stays_on_one_line():
    table = plain_table("Distance to liquidation, each factor alone")
    add_number_column(table, "Move")
    table.add_row("+1%")
    assert printed(table, 80).splitlines()[0].rstrip() == "Distance to liquidation, each factor alone"


def test_an_empty_table_is_its_headings():
    assert printed(a_table([]), 80).split()[:5] == ["Account", "Asked", "for", "Outstanding", "State"]


@pytest.mark.parametrize("width", [40, 80, 100, 120, 200])
def test_calls_of_enormous_amounts_are_whole_at_every_width(width):
    call = pb.MarginCall(
        account="clients/institution-with-a-name/accounts/basis-and-options",
        number=12345,
        amount=AMOUNT,
        met=AMOUNT,
        outstanding=AMOUNT,
        state=pb.CALL_STATE_PARTIALLY_MET,
        provisional=True,
    )
    text = printed(call_table([call]), width)
    gone = text.partition("No room for: ")[2].rstrip(".\n ").split(", ")
    assert text.split().count(SHOWN) == 3 - len({"Met", "Asked"} & set(gone))
    assert "12345" in text.split()
    assert "…" not in text


def test_every_table_of_the_command_line_is_made_in_the_house_style():
    made = {
        path.name
        for path in Path(cli).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Table"
    }
    assert made == {"house_table.py", "margin_views.py"}, "the latter has one of two columns without headings"
