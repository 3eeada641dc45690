"""The live board: what is shown, in which order, and what is said of it."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from crossmargin_cli.top_board import SORTS, Board, Choice, board_table, headline, screen
from tests.unit.cli.test_render import margin, printed

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def account(name, **figures):
    found = margin(account=f"clients/{name}/accounts/core", **figures)
    found.stamp.as_of_time.FromDatetime(NOW - timedelta(seconds=40))
    found.excess_to_initial = str(float(found.equity.equity) - float(found.requirement.initial_margin))
    found.excess_to_maintenance = str(float(found.equity.equity) - float(found.requirement.maintenance_margin))
    return found


def a_board():
    board = Board()
    for each in (
        account("alpha", utilization="0.6", band="WATCH"),
        account("beta", utilization="0.85", band="MARGIN_CALL", equity="500000", maintenance="425000"),
        account("gamma", utilization="0.1", band="HEALTHY", equity="9000000", maintenance="900000"),
        account("delta", utilization="inf", band="LIQUIDATION", equity="-1", maintenance="10"),
    ):
        board.hear(each, NOW)
    return board


def names(board, choice):
    return [row.margin.stamp.account.split("/")[1] for row in board.chosen(choice)]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("utilization", ["delta", "beta", "alpha", "gamma"]),
        ("excess", ["delta", "beta", "alpha", "gamma"]),
        ("equity", ["gamma", "alpha", "beta", "delta"]),
        ("maintenance", ["gamma", "alpha", "beta", "delta"]),
        ("name", ["alpha", "beta", "delta", "gamma"]),
    ],
)
def test_every_order_has_what_matters_first_and_can_be_turned_round(sort, expected):
    board, chosen = a_board(), Choice(sort=sort)
    assert names(board, chosen) == expected
    turned = chosen.pressed(SORTS[sort][0])
    assert names(board, turned) == expected[::-1]
    assert turned.pressed(SORTS[sort][0]) == chosen


def test_a_key_chooses_another_order_from_its_natural_end():
    assert Choice(sort="utilization", is_reversed=True).pressed("e") == Choice(sort="equity")
    assert Choice().pressed("z") == Choice()


def test_the_board_shows_what_the_filter_holds_and_the_worst_alone_when_asked():
    board = a_board()
    assert names(board, Choice(only="alpha/co")) == ["alpha"]
    worst = Choice().pressed("w")
    assert names(board, worst) == ["delta", "beta"]
    assert names(board, worst.pressed("w")) == ["delta", "beta", "alpha", "gamma"]


def test_a_newer_margin_replaces_the_older_and_says_which_way_it_went():
    board = a_board().hear(account("alpha", utilization="0.61", band="WATCH"), NOW).hear(account("beta", utilization="0.7"), NOW)
    assert len(board.rows) == 4
    assert [board.rows[f"clients/{name}/accounts/core"].trend for name in ("alpha", "beta", "gamma")] == [1, -1, 0]


def test_the_headline_counts_the_bands_and_adds_up_the_house():
    line = headline(a_board(), NOW).plain
    assert line.startswith("12:00:00 UTC  market 40s old  equity 10,499,999  maintenance 1,925,010")
    assert line.endswith("1 healthy  1 watch  1 margin call  1 liquidation")


def test_trouble_with_the_connection_is_said_until_somebody_is_heard_again():
    board = a_board()
    board.trouble = "nobody answers"
    assert headline(board, NOW).plain.endswith("nobody answers")
    assert "nobody" not in headline(board.hear(account("alpha"), NOW), NOW).plain


def test_a_row_has_bar_band_and_money_and_what_has_moved_is_marked_for_a_moment():
    board = a_board().hear(account("beta", utilization="0.9", band="MARGIN_CALL", equity="480000", maintenance="432000"), NOW)
    rows = board.chosen(Choice(only="beta"))
    line = printed(board_table(Console(file=io.StringIO(), width=140), rows, Choice(), NOW), Console(width=140)).splitlines()[-1]
    assert line.split() == [
        "beta/core",
        "█" * 18 + "░" * 2,
        "90.0%",
        "▲",
        "margin",
        "call",
        "480,000",
        "750,000",
        "432,000",
        "-270,000",
        "48,000",
        "0s",
    ]
    later = printed(board_table(Console(file=io.StringIO(), width=140), rows, Choice(), NOW + timedelta(minutes=3)), Console(width=140))
    assert "▲" not in later
    assert later.splitlines()[-1].endswith("3m")


def test_the_order_is_marked_in_its_heading():
    def heading(choice):
        return printed(board_table(Console(width=140), [], choice, NOW), Console(width=140)).splitlines()[0]

    assert "Utilization ↓" in heading(Choice())
    assert "Utilization ↑" in heading(Choice(is_reversed=True))
    assert "Excess ↑" in heading(Choice(sort="excess"))


@pytest.mark.parametrize("width", [80, 100, 119, 120, 150])
def test_nothing_but_the_name_of_an_account_is_cut_however_narrow_the_window(width):
    console = Console(file=io.StringIO(), width=width, height=20)
    board = a_board()
    for name in ("an-institution-with-a-long-name", "b"):
        board.hear(account(name, utilization="0.75", band="AT_RISK", equity="123456789", maintenance="92592591"), NOW)
    lines = printed(screen(console, board, Choice(), NOW), console).splitlines()
    assert max(map(len, lines)) <= width
    (line,) = (line for line in lines if line.startswith("b/core"))
    assert [word for word in line.split() if "…" in word] == []
    assert {"75.0%", "at", "risk", "123,456,789", "122,706,789"} <= set(line.split()), "equity and excess are there at any width"
    assert ("30,864,198" in line) == (width > 80), "what is left to liquidation needs room"
    assert ("92,592,591" in line) == (width >= 119)
    assert ("750,000" in line) == (width >= 150)
    assert sum("[q] quit" in line for line in lines) == 1


@pytest.mark.parametrize("width", [80, 100])
def test_accounts_of_one_client_are_told_apart_however_large_their_figures(width):
    console = Console(file=io.StringIO(), width=width, height=20)
    board = a_board()
    for name in ("an-institution-with-a-long-name", "another-institution-with-a-long-name"):
        board.hear(account(name, equity="123456789012345", maintenance="98765432109876", utilization="0.8"), NOW)
    lines = printed(screen(console, board, Choice(), NOW), console).splitlines()
    assert max(map(len, lines)) <= width
    names = [line.split()[0] for line in lines if "…" in line]
    assert len(set(names)) == 2
    assert all(name.startswith("an") and name.endswith("name/core") for name in names), names


def test_what_does_not_fit_the_window_is_counted():
    console = Console(file=io.StringIO(), width=140, height=8)
    text = printed(screen(console, a_board(), Choice(), NOW), console)
    assert "2 more accounts below" in text
    assert "delta/core" in text
    assert "gamma/core" not in text
