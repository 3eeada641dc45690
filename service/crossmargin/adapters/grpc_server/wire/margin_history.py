"""The history of margins on the wire."""

from __future__ import annotations

from crossmargin.adapters.grpc_server.wire.margin import band_to_message, stamp_to_message, utilization_text
from crossmargin.adapters.grpc_server.wire.values import moment_from_message, moment_to_message
from crossmargin.api.v1 import margin_service_pb2 as pb
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.margin_history import StoredPoint
from crossmargin.domain.money import format_decimal
from crossmargin.usecases.ports.margin import HistoryFilter


def history_filter_from_message(request: pb.ListMarginHistoryRequest) -> HistoryFilter:
    """Return which points are asked for; INVALID_TIMESTAMP for a time that is none, INVALID_ARGUMENT for an end before the start."""
    start = moment_from_message(request.start_time, what="start_time") if request.HasField("start_time") else None
    end = moment_from_message(request.end_time, what="end_time") if request.HasField("end_time") else None
    if start is not None and end is not None and end <= start:
        raise DomainError(
            Reason.INVALID_ARGUMENT, f"end_time was {end.isoformat()}; expected later than start_time {start.isoformat()}", field="end_time"
        )
    return HistoryFilter(start, end)


def point_to_message(stored: StoredPoint) -> pb.MarginPoint:
    """Return the message of one account at one house run."""
    point = stored.point
    return pb.MarginPoint(
        run=stored.run,
        record_time=moment_to_message(stored.recorded_at),
        stamp=stamp_to_message(point.stamp),
        utilization=utilization_text(point.utilization),
        equity=format_decimal(point.equity),
        maintenance_margin=format_decimal(point.maintenance_margin),
        initial_margin=format_decimal(point.initial_margin),
        excess=format_decimal(point.excess),
        band=band_to_message(point.plain_band),
        remembered_band=band_to_message(point.band),
        band_before=pb.BAND_UNSPECIFIED if point.band_before is None else band_to_message(point.band_before),
        liquidation_immediate=point.is_immediate,
    )
