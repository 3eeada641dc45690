"""What the pictures of the dashboards show is what the panels say; without it nobody could trust a look at them."""

from __future__ import annotations

import math

import pytest

from tests.observability.dashboards import DASHBOARDS, panels
from tests.observability.panel_data import Shown, Window, colour, field_settings, legend, table, text_of, unanswered
from tests.observability.pictures import draw_panel, draw_sections, line_colour
from tests.observability.prometheus_server import Series

WINDOW = Window(1_000.0, 1_300.0)


def panel(title):
    return next(panel for path in DASHBOARDS for panel in panels(path) if panel["title"] == title)


def shown(ref, value, **labels):
    return Shown(legend("{{client}}", labels), ref, Series(labels, [(1_000.0, value), (1_300.0, value)]))


def test_variables_are_filled_in_for_the_time_that_is_looked_at():
    expression = 'rate(a_total{job=~"$job",client=~"$client"}[$__rate_interval]) / increase(a_total[$__range])'
    assert WINDOW.filled_in(expression) == 'rate(a_total{job=~".*",client=~".*"}[1m]) / increase(a_total[300s])'


def test_a_query_that_finds_nothing_or_no_number_is_told_by_its_letter():
    accounts = panel("Accounts")
    found = [shown("A", 0.5, client="alpha"), shown("B", math.nan, client="alpha")]
    assert unanswered(accounts, found) == ["B", "C", "D", "E", "F", "G"]


def test_the_queries_of_a_table_become_rows_by_their_labels_in_the_order_of_the_panel():
    found = [
        shown("A", 0.2, client="alpha", account="core"),
        shown("A", 0.9, client="beta", account="core"),
        shown("B", 3.0, client="beta", account="core"),
    ]
    columns, rows = table(panel("Accounts"), found)
    assert columns[:4] == ["Client", "Account", "Utilization", "Band"]
    assert [row[:4] for row in rows] == [["beta", "core", 0.9, 3.0], ["alpha", "core", 0.2, None]]


def test_a_column_has_the_unit_and_the_colours_that_the_panel_gives_it():
    accounts = panel("Accounts")
    band, utilization, excess = (field_settings(accounts, column) for column in ("Band", "Utilization", "Excess"))
    assert text_of(band, 3.0) == "margin call"
    assert (text_of(utilization, 0.876), colour(utilization, 0.876)) == ("87.6%", "red")
    assert (text_of(excess, -55_630.0), colour(excess, -55_630.0)) == ("-$55.63K", "red")


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("currencyUSD", 12_345_678.0, "$12.35M"),
        ("s", 0.0123, "12.3 ms"),
        ("s", 7_200.0, "2.0 h"),
        ("bytes", 2.0**28, "256 MiB"),
        ("ops", 0.25, "0.25 /s"),
        ("none", math.inf, "∞"),
        ("none", 3.0, "3"),
    ],
)
def test_values_are_written_in_their_unit(unit, value, text):
    assert text_of({"unit": unit}, value) == text


def test_lines_have_the_colours_that_grafana_gives_them():
    """Where higher is better the colours are of what is below a line, where it is worse of what is above."""
    upper_ends = [{"value": None, "color": "red"}, {"value": 0.95, "color": "yellow"}, {"value": 0.99, "color": "transparent"}]
    lower_ends = [{"value": None, "color": "green"}, {"value": 0.6, "color": "yellow"}, {"value": 0.8, "color": "red"}]
    assert [line_colour(upper_ends, place) for place in (1, 2)] == ["red", "yellow"]
    assert [line_colour(lower_ends, place) for place in (1, 2)] == ["yellow", "red"]


def test_every_panel_can_be_drawn_with_data_and_without(tmp_path):
    for path in DASHBOARDS:
        answers = {each["id"]: [] for each in panels(path)}
        draw_sections(path, answers, WINDOW, tmp_path)
    for title in ("Accounts", "Bands", "Utilization", "What netting frees", "From gross to maintenance margin", "Leaders"):
        drawn = panel(title)
        found = [shown(target["refId"], 1.0, client="alpha", account="core") for target in drawn["targets"]]
        draw_panel(drawn, found, WINDOW, tmp_path / "panel.png")
        assert (tmp_path / "panel.png").read_bytes().startswith(b"\x89PNG")
