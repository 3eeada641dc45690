"""Outlooks on the wire."""

from __future__ import annotations

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration

from crossmargin.adapters.grpc_server.wire.margin import band_to_message, stamp_to_message, utilization_text
from crossmargin.adapters.grpc_server.wire.values import format_fraction, moment_to_message
from crossmargin.api.v1 import margin_service_pb2 as pb
from crossmargin.domain.lifecycle_due import ExpectedEvent
from crossmargin.domain.money import format_decimal
from crossmargin.domain.outlook import DEFAULT_HORIZON, LONGEST_HORIZON, Outlook, OutlookFigures, check_horizon


def horizon_from_message(request: pb.ProjectUtilizationRequest) -> timedelta:
    """Return how far ahead to look; errors as `check_horizon`."""
    if not request.HasField("horizon"):
        return DEFAULT_HORIZON
    # Of what is far out of range the sign alone matters, and a timedelta could not hold it.
    seconds = max(-1, min(request.horizon.seconds, 2 * LONGEST_HORIZON // timedelta(seconds=1)))
    return check_horizon(timedelta(seconds=seconds, microseconds=request.horizon.nanos // 1000))


def outlook_to_message(outlook: Outlook) -> pb.ProjectUtilizationResponse:
    """Return the message of an outlook."""
    observed = Duration()
    observed.FromTimedelta(outlook.trend.observed)
    call = outlook.call
    return pb.ProjectUtilizationResponse(
        stamp=stamp_to_message(outlook.stamp),
        horizon_time=moment_to_message(outlook.at),
        now=_figures_to_message(outlook.now),
        known=_figures_to_message(outlook.known),
        projected=_figures_to_message(outlook.projected),
        equity_trend=format_decimal(outlook.trend.equity),
        maintenance_margin_trend=format_decimal(outlook.trend.maintenance_margin),
        trend_duration=observed,
        ends=map(_end_to_message, outlook.ends),
        parameter_set_id=outlook.parameter_set_id,
        parameter_fraction=format_fraction(outlook.parameter_fraction),
        call_number=0 if call is None else call.number,
        call_due_time=None if call is None else moment_to_message(call.due_at),
        call_outstanding="" if call is None else format_decimal(call.outstanding),
    )


def _figures_to_message(figures: OutlookFigures) -> pb.OutlookFigures:
    return pb.OutlookFigures(
        equity=format_decimal(figures.equity),
        maintenance_margin=format_decimal(figures.maintenance_margin),
        utilization=utilization_text(figures.utilization),
        band=band_to_message(figures.band),
    )


def _end_to_message(end: ExpectedEvent) -> pb.OutlookEnd:
    return pb.OutlookEnd(instrument_id=end.instrument_id, name=end.name, due_time=moment_to_message(end.due))
