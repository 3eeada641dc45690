"""Quotes and history cut into messages, each small enough for the service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Final

from crossmargin.api.v1 import market_service_pb2
from crossmargin_client.values import Exact, date_of, exact_text

_LARGEST_HISTORY_BYTES: Final = 900_000
"""The service takes messages of a mebibyte; the rest is for what the estimate leaves out."""
_MOST_DATES: Final = 5000
_MOST_QUOTES: Final = 1000
_MOST_COLUMNS: Final = 2000
_BYTES_OF_DATE: Final = 12
_BYTES_AROUND_LEVEL: Final = 2


def quote_messages(source: str, quotes: Sequence[market_service_pb2.Quote]) -> list[market_service_pb2.PublishQuotesRequest]:
    """Return the messages that publish quotes; without quotes one that asks how far the source is."""
    starts = range(0, max(len(quotes), 1), _MOST_QUOTES)
    return [market_service_pb2.PublishQuotesRequest(source=source, quotes=quotes[start : start + _MOST_QUOTES]) for start in starts]


def history_messages(dates: Sequence[date], columns: Mapping[str, Sequence[Exact | None]]) -> list[market_service_pb2.ImportHistoryRequest]:
    """Return the messages that import a history. None in a column is a day without a level.

    Raises:
        ValueError: For a column that has not one level for each date.
    """
    texts = {factor: _levels(factor, column, len(dates)) for factor, column in columns.items()}
    messages: list[market_service_pb2.ImportHistoryRequest] = []
    for start in range(0, len(dates), _MOST_DATES):
        days = [date_of(day, field="dates") for day in dates[start : start + _MOST_DATES]]
        block = {factor: levels[start : start + _MOST_DATES] for factor, levels in texts.items()}
        messages += [
            market_service_pb2.ImportHistoryRequest(
                dates=days, columns=[market_service_pb2.FactorColumn(factor_id=factor, levels=block[factor]) for factor in factors]
            )
            for factors in _factors_by_message(block, len(days))
        ]
    return messages


def _levels(factor: str, column: Sequence[Exact | None], count: int) -> list[str]:
    if len(column) != count:
        raise ValueError(f"history of {factor} has {len(column)} levels for {count} dates; expected one for each, None where there is none")
    return ["" if level is None else exact_text(level, field=f"level of {factor}") for level in column]


def _factors_by_message(block: Mapping[str, Sequence[str]], date_count: int) -> Iterator[list[str]]:
    """Yield the factors of each message: as many columns as fit beside the dates. One column always does."""
    factors: list[str] = []
    size = date_count * _BYTES_OF_DATE
    for factor, levels in block.items():
        column_size = sum(map(len, levels)) + len(levels) * _BYTES_AROUND_LEVEL + len(factor) + 16
        if factors and (size + column_size > _LARGEST_HISTORY_BYTES or len(factors) == _MOST_COLUMNS):
            yield factors
            factors, size = [], date_count * _BYTES_OF_DATE
        factors.append(factor)
        size += column_size
    if factors:
        yield factors
