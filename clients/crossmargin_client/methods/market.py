"""Quotes, snapshots and history of the market, and its breakers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from crossmargin.api.v1 import market_service_pb2
from crossmargin_client.call_kinds import One, ask, exchange, upload, whole
from crossmargin_client.declaration import answers
from crossmargin_client.market_messages import history_messages, quote_messages
from crossmargin_client.values import Exact, exact_text, timestamp_of


class MarketMethods:
    """Quotes, snapshots and history of the market, and its breakers."""

    @answers
    def publish_snapshot(self, as_of: datetime, levels: Mapping[str, Exact], marks: Mapping[str, Exact] | None = None) -> One[str]:
        """Publish a market snapshot and return its id: levels of risk factors, marks of instruments as each quotes."""
        request = market_service_pb2.PublishSnapshotRequest(
            snapshot=market_service_pb2.MarketSnapshot(
                as_of_time=timestamp_of(as_of, field="as_of"),
                levels={factor: exact_text(level, field=f"level of {factor}") for factor, level in levels.items()},
                marks={instrument: exact_text(mark, field=f"mark of {instrument}") for instrument, mark in (marks or {}).items()},
            )
        )
        return ask(lambda to: to.market.PublishSnapshot, request, lambda answer: answer.snapshot_id)

    @answers
    def publish_quotes(
        self, source: str, quotes: Sequence[market_service_pb2.Quote]
    ) -> One[list[market_service_pb2.PublishQuotesResponse]]:
        """Publish quotes of one source and return what came of them, an answer for each thousand; all are durable then.

        After a break what was not acknowledged is sent again, and ignored where it had arrived. Without quotes the one answer says how far
        the source has come. A publisher (`QuotePublisher`, `AsyncQuotePublisher`) numbers quotes by itself.
        """
        return exchange(lambda to: to.market.PublishQuotes, quote_messages(source, quotes))

    @answers
    def get_breakers(self) -> One[market_service_pb2.GetBreakersResponse]:
        """Return where the breakers stand, and what stands still for it."""
        request = market_service_pb2.GetBreakersRequest()
        return ask(lambda to: to.market.GetBreakers, request, whole)

    @answers
    def reset_breaker(self, kind: market_service_pb2.BreakerKind.ValueType, note: str) -> One[market_service_pb2.Breaker]:
        """Reset a breaker with a note of what was found, and return where it stands."""
        request = market_service_pb2.ResetBreakerRequest(kind=kind, note=note)
        return ask(lambda to: to.market.ResetBreaker, request, lambda answer: answer.breaker)

    @answers
    def get_snapshot(self, snapshot_id: str = "") -> One[market_service_pb2.GetSnapshotResponse]:
        """Return a market snapshot; the latest when no id is given."""
        request = market_service_pb2.GetSnapshotRequest(snapshot_id=snapshot_id)
        return ask(lambda to: to.market.GetSnapshot, request, whole)

    @answers
    def import_history(
        self, dates: Sequence[date], columns: Mapping[str, Sequence[Exact | None]]
    ) -> One[market_service_pb2.ImportHistoryResponse]:
        """Import daily levels of risk factors, all or nothing. None in a column is a day without a level."""
        return upload(lambda to: to.market.ImportHistory, history_messages(dates, columns), whole)
