"""What Prometheus reads of quotes and of the market they make."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from prometheus_client import CollectorRegistry

from crossmargin.adapters.prometheus.market_metrics import QuoteMetrics
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
