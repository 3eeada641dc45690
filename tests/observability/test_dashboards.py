"""Dashboards are what Grafana reads, and what a reader can understand."""

from __future__ import annotations

import json
import re

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.observability.dashboards import DASHBOARDS, dashboard, panels
from tests.observability.panel_data import field_settings

COUNTERS = re.compile(r"\w+_total\b")
register_default_plugins()


def every_panel():
    return [pytest.param(path, panel, id=f"{path.stem}: {panel['title']}") for path in DASHBOARDS for panel in panels(path)]


def test_the_dashboards_are_the_three_that_are_documented():
    assert [path.stem for path in DASHBOARDS] == ["margin-risk", "overview-red-slo", "runtime-and-database"]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_grafana_knows_every_field_as_it_is_written(path):
    """Reading drops what the types do not know, so a name misspelt would not come back."""
    read = Dashboard.from_json(dashboard(path))
    assert json.loads(json.dumps(read, cls=JSONEncoder)) == dashboard(path)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_data_source_and_job_can_be_chosen(path):
    variables = {variable["name"]: variable for variable in dashboard(path)["templating"]["list"]}
    assert variables["datasource"]["query"] == "prometheus"
    assert {"datasource", "job"} < set(variables)
    assert ("client" in variables) == (path.stem == "margin-risk")
    for name in set(variables) - {"datasource"}:
        assert variables[name]["datasource"]["uid"] == "${datasource}"
        assert variables[name]["refresh"] == 2, "what there is to choose depends on the time chosen"


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_kept_as_it_is_in_the_chart(path):
    board = dashboard(path)
    assert (board["editable"], board["timezone"], board["tags"]) == (False, "utc", ["crossmargin"])
    assert board["uid"].startswith("crossmargin-")
    assert board["title"]
    assert board["description"].endswith(".")


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_no_two_panels_have_one_number(path):
    """Grafana links to panels by it, and gives one of the two another each time that somebody saves."""
    numbers = [panel["id"] for panel in dashboard(path)["panels"]]
    assert len(numbers) == len(set(numbers))


def test_the_worse_a_verdict_the_redder_it_is():
    """In the palette's own colours a suspect level is green."""
    severity = {"suspect": "yellow", "stale": "orange", "missing": "red"}
    for title, prefixes in (
        ("Doubted levels and marks", {"level ": "", "mark ": "dark-"}),
        ("Accounts that stand on doubted levels", {"": ""}),
    ):
        panel = next(panel for panel in dashboard(DASHBOARDS[0])["panels"] if panel["title"] == title)
        for prefix, shade in prefixes.items():
            for verdict, colour in severity.items():
                assert field_settings(panel, prefix + verdict)["color"] == {"mode": "fixed", "fixedColor": shade + colour}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_do_not_overlap(path):
    taken = set()
    for panel in dashboard(path)["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize(("path", "panel"), every_panel())
def test_a_panel_says_what_it_shows_in_which_unit_from_where(path, panel):
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["targets"]
    for target in panel["targets"]:
        assert target["datasource"] == panel["datasource"]


@pytest.mark.parametrize(("path", "panel"), every_panel())
def test_a_query_reads_the_chosen_job_and_rates_its_counters(path, panel):
    for target in panel["targets"]:
        expression = target["expr"]
        assert 'job=~"$job"' in expression
        if "started_total" in expression:
            continue  # calls under way: the difference of two counters, which rises and falls
        assert len(COUNTERS.findall(expression)) == len(re.findall(r"(?:rate|increase)\(\w+_total\b", expression))


@pytest.mark.parametrize("panel", panels(DASHBOARDS[0]), ids=lambda panel: panel["title"])
def test_figures_of_accounts_and_of_the_house_are_deduplicated_before_they_are_added_up(panel):
    """Two processes may publish an account while the lead changes hands; a sum would count it twice."""
    for target in panel["targets"]:
        # A counter is each process's own, and a leader is what is counted.
        read = re.findall(r"(\w+(?: by \([^)]*\))?) ?\(\(?(crossmargin_\w+)\{", target["expr"])
        for around, name in read:
            if not (COUNTERS.fullmatch(name) or name == "crossmargin_monitor_leader"):
                assert re.match(r"(max|min)\b", around), f"{name} inside {around}"
