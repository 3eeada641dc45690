"""What dashboards, rules and documents speak of is what a running service tells."""

from __future__ import annotations

import pytest

from crossmargin_cli.demo_data.institutions import INSTITUTIONS
from tests.observability.dashboards import all_queries, recorded_names, selectors
from tests.observability.metrics_page import PAGE, render
from tests.observability.running_service import observed_service


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    with observed_service(tmp_path_factory.mktemp("observed")) as found:
        yield found


@pytest.fixture(scope="module")
def labels(families):
    """The labels of each series that the service has."""
    found = {}
    for family in families:
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize("query", all_queries(), ids=lambda query: query.place)
def test_every_series_that_is_read_exists(labels, query):
    for selector in selectors(query.filled_in):
        assert selector.name in labels or selector.name in recorded_names()


@pytest.mark.parametrize("query", all_queries(), ids=lambda query: query.place)
def test_every_label_that_is_asked_for_exists(labels, query):
    for selector in selectors(query.filled_in):
        if selector.name not in recorded_names():
            asked = {matcher.name for matcher in selector.matchers.matchers} - {"job", "instance"}
            assert asked <= labels[selector.name]


def test_the_page_of_metrics_is_what_the_service_tells(families):
    """Otherwise run `python -m tests.observability --write`."""
    assert PAGE.read_text(encoding="utf-8") == render(families)


def test_every_client_of_the_demo_has_series_and_the_one_without_prices_is_counted(families):
    by_name = {family.name: family for family in families}
    clients = {sample.labels["client"] for sample in by_name["crossmargin_client_utilization_ratio"].samples}
    assert clients == {institution.client_id for institution in INSTITUTIONS} | {"sigma"}  # whose margin is called
    failed = {sample.labels["reason"]: sample.value for sample in by_name["crossmargin_accounts_failed"].samples}
    assert failed == {"MISSING_RISK_FACTOR": 1.0}
