"""What Prometheus reads of quotes and of the market they make."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from crossmargin.adapters.prometheus.market_metrics import DOUBTED_LIMIT, QuoteMetrics
from crossmargin.domain.identifiers import InstrumentId, SourceId
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.market_quality import Quality, Verdict, valid_quality

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FEED = SourceId("feed-a")


def test_quotes_are_counted_by_source_and_by_what_came_of_them():
    registry = CollectorRegistry()
    metrics = QuoteMetrics(registry)
    for _ in range(2):
        metrics.quotes_received(FEED, accepted=5, replayed=1, refused=2, missed=3)
    counted = {
        outcome: registry.get_sample_value("crossmargin_quotes_total", {"source": FEED, "outcome": outcome})
        for outcome in ("accepted", "replayed", "refused")
    }
    assert counted == {"accepted": 10, "replayed": 2, "refused": 4}
    assert registry.get_sample_value("crossmargin_quotes_missed_total", {"source": FEED}) == 6


def test_the_last_snapshot_is_counted_by_verdict():
    registry = CollectorRegistry()
    metrics = QuoteMetrics(registry)

    def count(kind, verdict):
        return registry.get_sample_value("crossmargin_market_quality", {"kind": kind, "verdict": verdict})

    assert (count("level", "stale"), count("mark", "missing")) == (0, 0)
    levels = {FactorId.parse(name): Decimal(2) for name in ("spot:BTC", "spot:ETH", "spot:XRP")}
    stale = Quality(Verdict.STALE, NOON, Decimal(1), Decimal(3))
    known = dict(zip(levels, (stale, stale, valid_quality(Decimal(2), NOON)), strict=True))
    mark = InstrumentId("BTC-PERP")
    for _ in range(2):
        metrics.snapshot_built(MarketSnapshot(NOON, levels, {mark: Decimal(2)}, known, {mark: valid_quality(Decimal(2), NOON)}))
    assert (count("level", "valid"), count("level", "stale"), count("level", "suspect")) == (1, 2, 0)
    assert (count("mark", "valid"), count("mark", "stale")) == (1, 0)


def doubted(registry):
    """Every doubted level with its verdict and when it was last right, in the order published."""
    families = text_string_to_metric_families(generate_latest(registry).decode())
    samples = next(family.samples for family in families if family.name == "crossmargin_doubted_level_timestamp_seconds")
    return [(sample.labels["factor"], sample.labels["verdict"], sample.value) for sample in samples]


def a_quality(verdict, age_s=0):
    ends = (Decimal(2), Decimal(2)) if verdict is Verdict.VALID else (Decimal(1), Decimal(3))
    return Quality(verdict, NOON - timedelta(seconds=age_s), *ends)


def built(metrics, **verdicts):
    known = {FactorId.parse(f"spot:{name}"): a_quality(*quality) for name, quality in verdicts.items()}
    metrics.snapshot_built(MarketSnapshot(NOON, dict.fromkeys(known, Decimal(2)), {}, known, {}))


def test_doubted_levels_are_named_the_worst_and_the_oldest_first_until_they_are_right_again():
    registry = CollectorRegistry()
    metrics = QuoteMetrics(registry)
    assert doubted(registry) == []
    built(metrics, BTC=(Verdict.SUSPECT,), ETH=(Verdict.STALE, 60), SOL=(Verdict.VALID,), XRP=(Verdict.STALE, 90))
    assert [(name, verdict) for name, verdict, _ in doubted(registry)] == [
        ("spot:XRP", "stale"),
        ("spot:ETH", "stale"),
        ("spot:BTC", "suspect"),
    ]
    assert doubted(registry)[0][2] == NOON.timestamp() - 90
    built(metrics, BTC=(Verdict.VALID,))
    assert doubted(registry) == []


def test_of_a_feed_that_died_only_the_worst_levels_are_named():
    registry = CollectorRegistry()
    metrics = QuoteMetrics(registry)
    built(metrics, **{f"C{number}": (Verdict.STALE, number) for number in range(DOUBTED_LIMIT + 5)})
    assert len(doubted(registry)) == DOUBTED_LIMIT
    assert registry.get_sample_value("crossmargin_market_quality", {"kind": "level", "verdict": "stale"}) == DOUBTED_LIMIT + 5


def test_a_process_that_no_longer_builds_the_market_doubts_nothing():
    registry = CollectorRegistry()
    metrics = QuoteMetrics(registry)
    built(metrics, BTC=(Verdict.STALE,))
    metrics.withdraw_market()
    assert doubted(registry) == []
    assert registry.get_sample_value("crossmargin_market_quality", {"kind": "level", "verdict": "stale"}) == 0
