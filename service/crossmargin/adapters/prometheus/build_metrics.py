"""Which release this process is."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Info


def publish_build(registry: CollectorRegistry, *, version: str, schema_revision: str) -> None:
    """Publish crossmargin_build_info: 1, with the release and the schema revision it expects as labels."""
    build = Info("crossmargin_build", "The release that runs, and the database schema it expects.", registry=registry)
    build.info({"version": version, "schema_revision": schema_revision})
