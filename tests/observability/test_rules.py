"""Rules are PromQL, every alert says what to do, and every alert is tested."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.observability.dashboards import ROOT, RULES, alerts, all_queries, recorded_names, rules, selectors

RULE_TESTS = sorted((ROOT / "tests" / "observability").glob("rules_*.yaml"))
RUNBOOKS = ROOT / "service" / "docs" / "runbooks.md"
SEVERITIES = {"page", "ticket", "info"}


@pytest.mark.parametrize("query", all_queries(), ids=lambda query: query.place)
def test_every_query_is_promql_that_reads_series(query):
    assert selectors(query.filled_in)


@pytest.mark.parametrize("query", all_queries(), ids=lambda query: query.place)
def test_calls_of_other_services_are_not_taken_for_ours(query):
    """The names grpc_server_* belong to every gRPC service that Prometheus scrapes."""
    for selector in selectors(query.filled_in):
        if selector.name.startswith("grpc_server_"):
            assert any(matcher.name == "grpc_service" for matcher in selector.matchers.matchers), query.expression


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_every_alert_says_what_it_is_and_where_to_read_on(alert):
    assert alert["labels"]["severity"] in SEVERITIES
    assert alert["annotations"]["summary"]
    assert alert["annotations"]["description"].endswith(".")
    path, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^### (\w+)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor == alert["alert"].lower()
    assert alert["alert"] in headings


def test_every_section_of_the_runbooks_has_its_alert():
    headings = re.findall(r"^### (\w+)$", RUNBOOKS.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(headings) == sorted(alert["alert"] for alert in alerts())


def test_every_panel_that_the_runbooks_name_is_on_a_dashboard():
    titles = {
        title
        for path in (ROOT / "helm/crossmargin/dashboards").glob("*.json")
        for title in re.findall(r'"title": "(.*)"', path.read_text())
    }
    named = {" ".join(words.split()) for words in re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", RUNBOOKS.read_text(encoding="utf-8"))}
    assert named
    assert named <= titles


def test_every_alert_and_recorded_series_is_in_a_unit_test_of_promtool():
    """The tests themselves are run by `python -m tests.observability`, which needs Prometheus."""
    tested = "".join(path.read_text(encoding="utf-8") for path in RULE_TESTS)
    assert {alert["alert"] for alert in alerts() if alert["alert"] not in tested} == set()
    families = {re.sub(r"(ratio_rate).*", r"\1", name) for name in recorded_names()}
    assert {name for name in families if name not in tested} == set()


def test_unit_tests_read_the_files_that_the_chart_installs():
    read = {(path.parent / name).resolve() for path in RULE_TESTS for name in yaml.safe_load(path.read_text())["rule_files"]}
    assert read == set(RULES)


def test_names_are_unique():
    names = [rule.get("alert") or rule["record"] for path in RULES for rule in rules(path)]
    assert len(names) == len(set(names))
