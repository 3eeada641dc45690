"""Advice on margin modes on the wire."""

from __future__ import annotations

from typing import Final

from crossmargin.adapters.grpc_server.wire.values import format_fraction
from crossmargin.api.v1 import account_service_pb2
from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin.domain.account import AccountMode
from crossmargin.domain.margin_mode import MarginModeAdvice, PositionAdvice
from crossmargin.domain.money import format_decimal

_MODES: Final = {
    AccountMode.CROSS: account_service_pb2.ACCOUNT_MODE_CROSS,
    AccountMode.ISOLATED: account_service_pb2.ACCOUNT_MODE_ISOLATED,
}


def advice_to_message(advice: MarginModeAdvice) -> pb.AdviseMarginModeResponse:
    """Return the advice on every position of an account."""
    return pb.AdviseMarginModeResponse(
        positions=map(_position_to_message, advice.positions),
        least_benefit=format_fraction(advice.least_benefit),
        as_of_seq=advice.sequence,
        snapshot_id=advice.snapshot_id,
    )


def _position_to_message(one: PositionAdvice) -> pb.PositionAdvice:
    return pb.PositionAdvice(
        instrument_id=one.instrument_id,
        advice=_MODES[one.advice],
        margin_with=format_decimal(one.margin_with),
        margin_without=format_decimal(one.margin_without),
        margin_alone=format_decimal(one.margin_alone),
        benefit_fraction=format_fraction(one.benefit_fraction),
        capped_loss=format_decimal(one.capped_loss),
        expected_gap_loss=format_decimal(one.expected_gap_loss),
        worst_gap_loss=format_decimal(one.worst_gap_loss),
    )
