"""What has become of approved liquidations, on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from crossmargin.adapters.grpc_server.wire.exposure_limits import scope_from_name
from crossmargin.adapters.grpc_server.wire.liquidation import planned_trade_to_message
from crossmargin.adapters.grpc_server.wire.stress import standing_to_message
from crossmargin.adapters.grpc_server.wire.values import format_fraction, moment_to_message, optional_moment_to_message
from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.liquidation_life import Fill, FillFlag, Liquidation, LiquidationOrder, LiquidationState, LiquidationStep
from crossmargin.domain.money import format_decimal
from crossmargin.usecases.ports.liquidation import LiquidationFilter
from crossmargin.usecases.read_liquidation import GatedLiquidation
from crossmargin.usecases.report_liquidation import ReportedLiquidation

_STATES: Final = {state: pb.LiquidationState.Value(f"LIQUIDATION_STATE_{state.name}") for state in LiquidationState}
_FLAGS: Final = {flag: pb.LiquidationFillFlag.Value(f"LIQUIDATION_FILL_FLAG_{flag.name}") for flag in FillFlag}


def liquidation_to_message(found: Liquidation) -> pb.Liquidation:
    """Return the message of a liquidation."""
    return pb.Liquidation(
        account=str(found.account),
        liquidation_id=found.liquidation_id,
        state=_STATES[found.state],
        orders=map(_order_to_message, found.orders),
        target_utilization=format_fraction(found.target_utilization),
        snapshot_id=found.snapshot_id,
        as_of_seq=found.sequence,
        approved_snapshot_id=found.approved_snapshot_id,
        asked_by=found.persons.asked_by,
        confirmed_by=found.persons.confirmed_by,
        approve_time=moment_to_message(found.approved_at),
        expire_time=moment_to_message(found.expires_at),
        end_time=optional_moment_to_message(found.ended_at),
        before=standing_to_message(found.before),
        promised=standing_to_message(found.promised),
        standing=None if found.standing is None else standing_to_message(found.standing),
        estimated_cost=format_decimal(found.estimated_cost),
        cost=format_decimal(found.cost),
        traded_value=format_decimal(found.traded_value),
        report_time=optional_moment_to_message(found.reported_at),
        unreported=found.is_unreported,
    )


def gated_liquidation_to_message(gated: GatedLiquidation) -> pb.GetLiquidationResponse:
    """Return a liquidation with its steps, and why no more of it may be traded."""
    refusal = gated.refusal
    return pb.GetLiquidationResponse(
        liquidation=liquidation_to_message(gated.liquidation),
        steps=map(_step_to_message, gated.steps),
        refusal_reason="" if refusal is None else refusal.reason.code,
        refusal_message="" if refusal is None else refusal.message,
    )


def reported_to_message(reported: ReportedLiquidation) -> pb.ReportLiquidationResponse:
    """Return what was booked, and the liquidation as it then stood."""
    return pb.ReportLiquidationResponse(
        liquidation=liquidation_to_message(reported.liquidation),
        seqs=[fill.sequence for fill in reported.fills],
        flags=sorted({_FLAGS[flag] for fill in reported.fills for flag in fill.flags}),
        replayed=reported.replayed,
    )


def liquidation_filter_from_message(message: pb.ListLiquidationsRequest, now: datetime) -> LiquidationFilter:
    """Return which liquidations are asked for."""
    open_at = now if message.only_open else None
    if not message.scope:
        return LiquidationFilter(open_at=open_at)
    client_id, account_id = scope_from_name(message.scope, what="scope")
    return LiquidationFilter(client_id, None if account_id is None else AccountRef(client_id, account_id), open_at)


def _order_to_message(order: LiquidationOrder) -> pb.LiquidationOrder:
    return pb.LiquidationOrder(
        trade=planned_trade_to_message(order.trade), filled=format_decimal(order.filled), left=format_decimal(order.left)
    )


def _step_to_message(step: LiquidationStep) -> pb.LiquidationStep:
    return pb.LiquidationStep(
        number=step.number,
        kind=step.kind.value,
        time=moment_to_message(step.at),
        by=step.by,
        state=_STATES[step.state],
        text=step.text,
        fill=None if step.fill is None else _fill_to_message(step.fill),
    )


def _fill_to_message(fill: Fill) -> pb.LiquidationFill:
    return pb.LiquidationFill(
        instrument_id=fill.instrument_id,
        quantity=format_decimal(fill.quantity),
        price=format_decimal(fill.price),
        seq=fill.sequence,
        cost=format_decimal(fill.cost),
        flags=sorted(_FLAGS[flag] for flag in fill.flags),
        value=format_decimal(fill.value),
        expected_cost=format_decimal(fill.expected_cost),
        opened=format_decimal(fill.opened) if fill.opened else "",
    )
