"""A process says which release it is."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from crossmargin.adapters.prometheus.build_metrics import publish_build


def test_the_release_and_its_schema_are_labels():
    registry = CollectorRegistry()
    publish_build(registry, version="1.2.3", schema_revision="0007")
    assert registry.get_sample_value("crossmargin_build_info", {"version": "1.2.3", "schema_revision": "0007"}) == 1.0
