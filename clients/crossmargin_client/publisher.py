"""Publishing quotes of one source: numbered, acknowledged, and sent again until they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from crossmargin.api.v1 import market_service_pb2
from crossmargin_client.values import Exact, quote


class _Publishes(Protocol):
    def publish_quotes(self, source: str, quotes: Sequence[market_service_pb2.Quote]) -> list[market_service_pb2.PublishQuotesResponse]: ...


class _PublishesAsync(Protocol):
    async def publish_quotes(
        self, source: str, quotes: Sequence[market_service_pb2.Quote]
    ) -> list[market_service_pb2.PublishQuotesResponse]: ...


class _Unacknowledged:
    """Quotes that the service has not acknowledged, the last word on each subject only: what was overtaken is not worth sending."""

    def __init__(self, last_sequence: int) -> None:
        self._last_sequence = last_sequence
        self._quotes: dict[str, market_service_pb2.Quote] = {}

    def add(self, values: Mapping[str, Exact], observed_at: datetime | None) -> list[market_service_pb2.Quote]:
        """Number new quotes, and return all that wait, in the order of their sequences."""
        seen = observed_at or datetime.now(tz=UTC)
        for subject, value in values.items():
            made = quote(subject, value, sequence=self._last_sequence + 1, observed_at=seen)
            self._last_sequence += 1
            self._quotes.pop(subject, None)
            self._quotes[subject] = made
        return list(self._quotes.values())

    def acknowledge(self, answers: Sequence[market_service_pb2.PublishQuotesResponse]) -> None:
        """Forget what the service has dealt with."""
        last = max(answer.acknowledged_sequence for answer in answers)
        self._quotes = {subject: made for subject, made in self._quotes.items() if made.sequence > last}
        self._last_sequence = max(self._last_sequence, last)


class QuotePublisher:
    """Publishes what one source sees, through a `Client`. One publisher for each source: two would take each other's numbers.

    It begins where the source has got to. A quote that could not be delivered is sent again with the next ones under its old number, so
    that nothing counts twice and nothing is lost but what was overtaken meanwhile.

        with Client() as client:
            feed = QuotePublisher(client, "exchange-a")
            feed.publish({"spot:BTC": "64250.5", "BTC-USD-PERP": "64261"})

    Args:
        client: Through which to publish; it retries by itself for as long as its timeout.
        source: Name of the feed.
    """

    def __init__(self, client: _Publishes, source: str) -> None:
        self._client = client
        self._source = source
        self._waiting: _Unacknowledged | None = None

    def publish(
        self, values: Mapping[str, Exact], *, observed_at: datetime | None = None
    ) -> list[market_service_pb2.PublishQuotesResponse]:
        """Publish values seen at one time, now unless given, with what still waits; return what came of them once they are durable."""
        if self._waiting is None:
            (answer,) = self._client.publish_quotes(self._source, [])
            self._waiting = _Unacknowledged(answer.acknowledged_sequence)
        answers = self._client.publish_quotes(self._source, self._waiting.add(values, observed_at))
        self._waiting.acknowledge(answers)
        return answers


class AsyncQuotePublisher:
    """`QuotePublisher` through an `AsyncClient`. Await one `publish` before the next."""

    def __init__(self, client: _PublishesAsync, source: str) -> None:
        self._client = client
        self._source = source
        self._waiting: _Unacknowledged | None = None

    async def publish(
        self, values: Mapping[str, Exact], *, observed_at: datetime | None = None
    ) -> list[market_service_pb2.PublishQuotesResponse]:
        """Publish values seen at one time, now unless given, with what still waits; return what came of them once they are durable."""
        if self._waiting is None:
            (answer,) = await self._client.publish_quotes(self._source, [])
            self._waiting = _Unacknowledged(answer.acknowledged_sequence)
        answers = await self._client.publish_quotes(self._source, self._waiting.add(values, observed_at))
        self._waiting.acknowledge(answers)
        return answers
