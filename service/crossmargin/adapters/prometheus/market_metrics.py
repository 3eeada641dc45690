"""What publishers say, and how far the market they make can be believed."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from crossmargin.domain.identifiers import SourceId
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.market_quality import Verdict


class QuoteMetrics:
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
