"""The publisher numbers quotes, begins where its source has got to, and sends again what was not acknowledged."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import grpc
import pytest

from crossmargin.api.v1 import market_service_pb2
from crossmargin_client import AsyncQuotePublisher, QuotePublisher, Unavailable

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Feed:
    """A client whose connection can be cut; `seen` holds the sequences of each delivery by subject."""

    def __init__(self, last_sequence):
        self.last_sequence = last_sequence
        self.is_cut = False
        self.seen = []

    def publish_quotes(self, source, quotes):
        if self.is_cut:
            raise Unavailable("cut", reason="UNAVAILABLE", code=grpc.StatusCode.UNAVAILABLE)
        self.seen.append({each.subject: each.sequence for each in quotes})
        self.last_sequence = max([self.last_sequence, *(each.sequence for each in quotes)])
        return [market_service_pb2.PublishQuotesResponse(source=source, acknowledged_sequence=self.last_sequence)]


class AsyncFeed(Feed):
    async def publish_quotes(self, source, quotes):
        return super().publish_quotes(source, quotes)


class Publishing:
    """A publisher of either kind over a feed."""

    def __init__(self, kind, last_sequence=41):
        self.feed = Feed(last_sequence) if kind == "sync" else AsyncFeed(last_sequence)
        self._publisher = (QuotePublisher if kind == "sync" else AsyncQuotePublisher)(self.feed, "feed-a")

    def publish(self, **values):
        answer = self._publisher.publish({name.replace("_", ":"): value for name, value in values.items()}, observed_at=NOON)
        return asyncio.run(answer) if asyncio.iscoroutine(answer) else answer


@pytest.fixture(params=["sync", "async"])
def publishing(request):
    return Publishing(request.param)


def test_it_begins_where_the_source_has_got_to(publishing):
    publishing.publish(spot_BTC=60_000, spot_ETH=2_000)
    publishing.publish(spot_BTC=60_001)
    assert publishing.feed.seen == [{}, {"spot:BTC": 42, "spot:ETH": 43}, {"spot:BTC": 44}]


def test_what_was_not_delivered_is_sent_again_under_its_number_unless_overtaken(publishing):
    publishing.publish(spot_BTC=60_000)
    publishing.feed.is_cut = True
    for price in (61_000, 62_000):
        with pytest.raises(Unavailable):
            publishing.publish(spot_BTC=price, spot_ETH=2_000)
    publishing.feed.is_cut = False
    publishing.publish(spot_XRP=2)
    assert publishing.feed.seen[-1] == {"spot:BTC": 45, "spot:ETH": 46, "spot:XRP": 47}


def test_a_publisher_that_was_never_connected_asks_again(publishing):
    publishing.feed.is_cut = True
    with pytest.raises(Unavailable):
        publishing.publish(spot_BTC=60_000)
    publishing.feed.is_cut = False
    publishing.publish(spot_BTC=60_000)
    assert publishing.feed.seen == [{}, {"spot:BTC": 42}]
