"""What publishers say, and how far the market they make can be believed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from crossmargin.domain.identifiers import SourceId
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.market_quality import Quality, Verdict

DOUBTED_LIMIT: Final = 20
"""A feed that dies takes every level along, and twenty names say as much as a thousand."""


class QuoteMetrics(Collector):
    """See `QuoteMetrics` of the ports. Sources are few and named by the operator, so they may be labels."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._quotes = Counter(
            "crossmargin_quotes", "Quotes received, by source and by what came of them.", ["source", "outcome"], registry=registry
        )
        self._missed = Counter(
            "crossmargin_quotes_missed", "Sequences that a source jumped over: quotes it lost.", ["source"], registry=registry
        )
        self._quality = Gauge(
            "crossmargin_market_quality",
            "Levels and marks of the last snapshot built from quotes, by how far they can be believed.",
            ["kind", "verdict"],
            registry=registry,
        )
        for kind in ("level", "mark"):
            for verdict in Verdict:
                self._quality.labels(kind, verdict.value)
        self._doubted: tuple[tuple[FactorId, Quality], ...] = ()
        registry.register(self)

    def quotes_received(self, source: SourceId, *, accepted: int, replayed: int, refused: int, missed: int) -> None:
        """Count what came of the quotes of one batch."""
        for outcome, count in (("accepted", accepted), ("replayed", replayed), ("refused", refused)):
            self._quotes.labels(source, outcome).inc(count)
        self._missed.labels(source).inc(missed)

    def snapshot_built(self, snapshot: MarketSnapshot) -> None:
        """Publish how many levels and marks can be believed how far."""
        qualities = {"level": tuple(snapshot.level_quality.values()), "mark": tuple(snapshot.mark_quality.values())}
        for kind, known in qualities.items():
            verdicts = [quality.verdict for quality in known]
            for verdict in Verdict:
                self._quality.labels(kind, verdict.value).set(verdicts.count(verdict))
        self._doubted = _most_doubted(snapshot.level_quality)

    def withdraw_market(self) -> None:
        """Doubt nothing any more: another process builds snapshots now, and says how far they can be believed."""
        for kind in ("level", "mark"):
            for verdict in Verdict:
                self._quality.labels(kind, verdict.value).set(0)
        self._doubted = ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the levels that are doubted."""
        family = GaugeMetricFamily(
            "crossmargin_doubted_level_timestamp_seconds",
            "When a doubted level was last seen to be right (Unix time), by risk factor and verdict. The worst only; no series: no doubt.",
            labels=["factor", "verdict"],
        )
        for factor, quality in self._doubted:
            family.add_metric([str(factor), quality.verdict.value], quality.observed_at.timestamp())
        yield family


def _most_doubted(known: Mapping[FactorId, Quality]) -> tuple[tuple[FactorId, Quality], ...]:
    doubted = [item for item in known.items() if item[1].verdict is not Verdict.VALID]
    return tuple(sorted(doubted, key=lambda item: (-item[1].verdict.severity, item[1].observed_at, str(item[0])))[:DOUBTED_LIMIT])
