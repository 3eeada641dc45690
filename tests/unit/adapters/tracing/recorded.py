"""Spans kept in memory."""

from __future__ import annotations

import asyncio

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider


class Recorded(SpanProcessor):
    """A provider whose ended spans can be looked at, and waited for in the event loop that ends them."""

    def __init__(self):
        self._ended = []
        self._moved = asyncio.Event()
        self.provider = TracerProvider()
        self.provider.add_span_processor(self)

    def on_end(self, span):
        self._ended.append(span)
        self._moved.set()

    def spans(self, name=""):
        """The ended spans whose name holds some text."""
        return [span for span in self._ended if name in span.name]

    async def until(self, count, name):
        """Return so many spans once they have ended."""
        async with asyncio.timeout(20):
            while len(self.spans(name)) < count:
                self._moved.clear()
                await self._moved.wait()
        return self.spans(name)
