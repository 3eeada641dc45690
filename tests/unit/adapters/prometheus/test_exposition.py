"""The page that Prometheus reads says what the library's own page says."""

from __future__ import annotations

import gc
import math

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from crossmargin.adapters.prometheus.account_families import ACCOUNT_GAUGES, BRIDGE_PARTS
from crossmargin.adapters.prometheus.exposition import page_of
from crossmargin.adapters.prometheus.giving_way import SLICE
from crossmargin.adapters.prometheus.margin_metrics import MarginMetrics
from crossmargin.domain.identifiers import AccountRef
from tests.unit.adapters.prometheus.results import a_result, an_account


def read(page):
    """Every family of a page: type, help, and samples by name and labels."""
    return {
        family.name: (
            family.type,
            family.documentation,
            {(sample.name, *sorted(sample.labels.items())): sample.value for sample in family.samples},
        )
        for family in text_string_to_metric_families(page.decode())
    }


@pytest.fixture
def registry():
    registry = CollectorRegistry()
    Counter("calls", "Calls.", ["code"], registry=registry).labels("OK").inc(3)
    Histogram("seconds", "Time.", registry=registry).observe(0.2)
    Gauge("plain", "Without labels.", registry=registry).set(1.5)
    Gauge("hostile", 'A \\ and\na "line".', ["name"], registry=registry).labels('say "hi"\\\n\N{SNOWMAN}').set(2)
    return registry


def test_every_kind_of_family_reads_as_the_library_writes_it(registry):
    metrics = MarginMetrics(registry)
    results = [a_result(), a_result(an_account("beta", "other"), utilization=None)]
    metrics.publish_house({result.stamp.account: result for result in results}, bands={}, failed={}, pegs={}, duration_s=1)
    assert read(page_of(registry)) == read(generate_latest(registry))
    assert len(read(page_of(registry))["crossmargin_requirement_part_usd"][2]) == 10


@pytest.mark.parametrize("value", [0.0, -1.5, 1e-9, 123456789.125, 1.7e308, math.inf, -math.inf])
def test_numbers_keep_every_digit(registry, value):
    Gauge("number", "A number.", registry=registry).set(value)
    assert read(page_of(registry))["number"][2] == {("number",): value}


def test_a_number_that_is_none_is_said_to_be_none(registry):
    Gauge("number", "A number.", registry=registry).set(math.nan)
    assert b"\nnumber NaN\n" in page_of(registry)


def test_a_gauge_with_times_of_its_own_keeps_them(registry):
    class Timed(Collector):
        def collect(self):
            family = GaugeMetricFamily("timed", "With a time.")
            family.add_metric([], 1.0, timestamp=12)
            yield family

    registry.register(Timed())
    assert b"\ntimed 1.0 12000\n" in page_of(registry)


def test_columns_of_many_accounts_read_as_the_library_writes_them_wherever_they_are_cut():
    registry = CollectorRegistry()
    metrics = MarginMetrics(registry, client_limit=SLICE + 2)
    results = [a_result(an_account(f"c{number}"), utilization=f"0.{number:04d}1") for number in range(SLICE + 3)]
    results.append(a_result(an_account("gone"), utilization=None))
    metrics.publish_house({result.stamp.account: result for result in results}, bands={}, failed={}, pegs={}, duration_s=1)
    found = read(page_of(registry))
    assert found == read(generate_latest(registry))
    assert len(found["crossmargin_equity_usd"][2]) == SLICE + 2
    assert len(found["crossmargin_distance_to_liquidation_ratio"][2]) == SLICE + 1, "the one without equity has no distance"


def test_hostile_names_of_accounts_are_escaped():
    registry = CollectorRegistry()
    metrics = MarginMetrics(registry)
    result = a_result(an_account())
    hostile = AccountRef.__new__(AccountRef)
    object.__setattr__(hostile, "client_id", 'a"b\\')
    object.__setattr__(hostile, "account_id", "c\nd")
    metrics.publish_house({hostile: result}, bands={}, failed={}, pegs={}, duration_s=1)
    assert read(page_of(registry)) == read(generate_latest(registry))
    assert b'crossmargin_equity_usd{account="c\\nd",client="a\\"b\\\\"} 1000.0\n' in page_of(registry)


def test_a_scrape_leaves_the_garbage_collector_alone():
    """It walks over all that the process holds while nothing else runs, and objects by the ten thousand set it off."""
    registry = CollectorRegistry()
    metrics = MarginMetrics(registry)
    results = {ref: a_result(ref) for ref in (an_account(f"c{number}") for number in range(400))}
    metrics.publish_house(results, bands={}, failed={}, pegs={}, duration_s=1)
    passes = []
    gc.callbacks.append(count := lambda phase, info: passes.append(info) if phase == "start" else None)
    try:
        page_of(registry)
    finally:
        gc.callbacks.remove(count)
    samples = 400 * (len(ACCOUNT_GAUGES) + len(BRIDGE_PARTS))
    assert len(passes) <= samples // gc.get_threshold()[0] // 2
