"""The text that Prometheus reads, fast for what there is most of: gauges of accounts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from crossmargin.adapters.prometheus.gauge_columns import ColumnFamily
from crossmargin.adapters.prometheus.giving_way import give_way

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_HELP_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})


def page_of(registry: CollectorRegistry) -> bytes:
    """Return every family in the text format 0.0.4.

    A house of a thousand accounts has twenty thousand samples, nearly all of them gauges whose families share their labels. Those are
    columns, which know their text. The library, which sorts and escapes labels for every sample, writes the rest. Between families, and
    every so often in a long one, the page gives way to the event loop.
    """
    return b"".join(_pages(registry))


def _pages(registry: CollectorRegistry) -> Iterator[bytes]:
    for family in registry.collect():
        for text in _column_texts(family) if isinstance(family, ColumnFamily) else (generate_latest(_Only(family)),):
            yield text
            give_way()


def _column_texts(family: ColumnFamily) -> Iterator[bytes]:
    yield f"# HELP {family.name} {family.documentation.translate(_HELP_ESCAPES)}\n# TYPE {family.name} gauge\n".encode()
    yield from (text.encode() for text in family.text())


class _Only(CollectorRegistry):
    """A registry of one family that was collected already."""

    def __init__(self, family: Metric) -> None:
        super().__init__()
        self.register(_Collected(family))


class _Collected(Collector):
    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family
