"""What Prometheus reads of the connection pool is what the pool says at that moment."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry
from psycopg_pool import AsyncConnectionPool

from crossmargin.adapters.postgres.driver_errors import Fault
from crossmargin.adapters.postgres.fact_lines import LEFT_OUT, SPOILED
from crossmargin.adapters.prometheus.database_metrics import ALONE_CAUSES, POOL_COUNTERS, POOL_GAUGES, RETRY_CAUSES, DatabaseMetrics


def published(statistics):
    registry = CollectorRegistry()
    DatabaseMetrics(registry, lambda: statistics)
    return registry.get_sample_value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("crossmargin_database_connections", 4.0),
        ("crossmargin_database_connections_idle", 1.0),
        ("crossmargin_database_connections_limit", 10.0),
        ("crossmargin_database_waiting", 2.0),
        ("crossmargin_database_requests_total", 90.0),
        ("crossmargin_database_requests_queued_total", 7.0),
        ("crossmargin_database_requests_failed_total", 3.0),
        ("crossmargin_database_connections_lost_total", 6.0),
        ("crossmargin_database_connection_errors_total", 5.0),
    ],
)
def test_each_figure_is_read_from_its_own_statistic(name, value):
    sample = published(
        {
            "pool_size": 4,
            "pool_available": 1,
            "pool_max": 10,
            "requests_waiting": 2,
            "requests_num": 90,
            "requests_queued": 7,
            "requests_errors": 3,
            "connections_lost": 6,
            "connections_errors": 5,
        }
    )
    assert sample(name) == value


def test_the_time_spent_waiting_is_in_seconds():
    assert published({"requests_wait_ms": 1500})("crossmargin_database_wait_seconds_total") == 1.5


def test_retried_writes_are_told_by_what_had_gone_wrong():
    sample = published({"writes_retried_conflict": 3, "writes_retried_lost": 1})
    assert [sample("crossmargin_database_write_retries_total", {"cause": cause}) for cause in RETRY_CAUSES] == [3, 1, 0]


def test_facts_written_together_are_told_by_how_many_they_were():
    sample = published({"facts_together_1": 5, "facts_together_7": 2, "facts_together_256": 1})
    name = "crossmargin_database_facts_together"
    assert [sample(f"{name}_bucket", {"le": most}) for most in ("1.0", "4.0", "8.0", "128.0", "256.0", "+Inf")] == [5, 5, 7, 7, 8, 8]
    assert (sample(f"{name}_sum"), sample(f"{name}_count")) == (5 + 14 + 256, 8)


def test_facts_that_went_alone_after_all_are_told_by_their_cause():
    sample = published({"facts_alone_left_out": 3, "facts_alone_conflict": 2, "facts_alone_defect": 1})
    told = {cause: sample("crossmargin_database_facts_alone_total", {"cause": cause}) for cause in ALONE_CAUSES}
    assert told == {**dict.fromkeys(ALONE_CAUSES, 0), "left_out": 3, "conflict": 2, "defect": 1}


def test_every_cause_that_there_can_be_is_told():
    assert set(ALONE_CAUSES) == {LEFT_OUT, SPOILED, *(fault.name.lower() for fault in Fault)}


def test_what_the_pool_has_not_counted_yet_is_zero():
    sample = published({})
    assert [sample(figure.name) for figure in POOL_GAUGES] == [0.0] * len(POOL_GAUGES)
    assert [sample(f"{figure.name}_total") for figure in POOL_COUNTERS] == [0.0] * len(POOL_COUNTERS)


async def test_every_statistic_that_is_read_is_one_that_the_driver_counts(postgres_server):
    """One that the driver renamed would be zero for ever."""
    async with AsyncConnectionPool(postgres_server.url, min_size=1, max_size=2, open=False) as pool:
        async with pool.connection() as connection:
            await connection.execute("SELECT 1")
        measured = set(pool.get_stats())
    # Troubles are in the statistics once they have happened; before that the driver's own list of names is all there is.
    counted = {getattr(pool, name) for name in dir(pool) if name.startswith("_") and name.isupper()}
    assert {"pool_size", "requests_num"} <= measured <= counted
    assert {figure.statistic for figure in (*POOL_GAUGES, *POOL_COUNTERS)} <= counted
