"""Snapshots and blocks of history on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from crossmargin.adapters.grpc_server.wire.values import date_from_message, moment_from_message, moment_to_message
from crossmargin.api.v1 import market_service_pb2 as pb
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.market import FactorHistory, FactorId, MarketSnapshot
from crossmargin.domain.money import format_decimal, parse_decimal


def snapshot_from_message(message: pb.MarketSnapshot) -> MarketSnapshot:
    """Return the snapshot of a message; DomainError for a level or mark that cannot be."""
    return MarketSnapshot(
        as_of=moment_from_message(message.as_of_time, what="snapshot.as_of_time"),
        levels={FactorId.parse(name): parse_decimal(level, what=f"level of {name}") for name, level in message.levels.items()},
        marks={InstrumentId(name): parse_decimal(mark, what=f"mark of {name}") for name, mark in message.marks.items()},
    )


def snapshot_to_message(snapshot: MarketSnapshot) -> pb.MarketSnapshot:
    """Return the message of a snapshot."""
    return pb.MarketSnapshot(
        as_of_time=moment_to_message(snapshot.as_of),
        levels={str(factor): format_decimal(level) for factor, level in snapshot.levels.items()},
        marks={name: format_decimal(mark) for name, mark in snapshot.marks.items()},
    )


def history_from_block(message: pb.ImportHistoryRequest) -> FactorHistory:
    """Return the history in one message; INVALID_HISTORY when a factor comes twice, since one of the two would be lost."""
    dates = tuple(date_from_message(day, what=f"dates[{index}]") for index, day in enumerate(message.dates))
    levels: dict[FactorId, tuple[Decimal | None, ...]] = {}
    for column in message.columns:
        factor = FactorId.parse(column.factor_id)
        if factor in levels:
            raise DomainError(
                Reason.INVALID_HISTORY, f"{factor} has two columns in one message; expected one column for each factor", factor=factor
            )
        levels[factor] = _levels(column.levels, factor)
    return FactorHistory(dates, levels)


def _levels(texts: Sequence[str], factor: FactorId) -> tuple[Decimal | None, ...]:
    what = f"history of {factor}"
    return tuple(parse_decimal(text, what=what) if text else None for text in texts)
