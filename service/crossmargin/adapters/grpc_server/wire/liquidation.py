"""Liquidation plans on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from crossmargin.adapters.grpc_server.wire.differences import first_difference
from crossmargin.adapters.grpc_server.wire.margin import band_to_message
from crossmargin.adapters.grpc_server.wire.pending_request import pending_to_message
from crossmargin.adapters.grpc_server.wire.stress import standing_to_message
from crossmargin.adapters.grpc_server.wire.values import account_ref_from_name, format_fraction, moment_to_message, optional_decimal
from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin.domain.identifiers import HouseViewId, InstrumentId, RiskParameterSetId, SnapshotId
from crossmargin.domain.liquidation import (
    DepthLevel,
    LiquidationPiece,
    LiquidationPlan,
    OrderBook,
    PlannedTrade,
    PlanWish,
)
from crossmargin.domain.money import format_decimal, parse_decimal
from crossmargin.domain.pending_request import PendingRequest
from crossmargin.usecases.approve_liquidation import ApprovalRequest, ApprovedLiquidation
from crossmargin.usecases.plan_liquidation import GatedPlan
from crossmargin.usecases.reproduce_liquidation import PastPlan


def plan_wish_from_message(message: pb.PlanLiquidationRequest) -> PlanWish:
    """Return how a message asks to liquidate; errors as `PlanWish` and `OrderBook`."""
    return PlanWish(
        target_utilization=optional_decimal(message.target_utilization),
        impact_coefficient=optional_decimal(message.impact_coefficient),
        depth=_depth(message.order_books),
    )


def gated_plan_to_message(gated: GatedPlan) -> pb.PlanLiquidationResponse:
    """Return a plan with the band to act on, and why nothing of it may be done."""
    refusal = gated.refusal
    return pb.PlanLiquidationResponse(
        plan=_plan_to_message(gated.plan),
        band=band_to_message(gated.band),
        refusal_reason="" if refusal is None else refusal.reason.code,
        refusal_message="" if refusal is None else refusal.message,
    )


def past_plan_from_message(message: pb.LiquidationPlan) -> PastPlan:
    """Return what a plan was made of; errors as `PlanWish` and `OrderBook`."""
    wish = PlanWish(
        target_utilization=parse_decimal(message.target_utilization, what="plan.target_utilization"),
        impact_coefficient=parse_decimal(message.impact_coefficient, what="plan.impact_coefficient"),
        depth=_depth(message.order_books),
    )
    return PastPlan(
        account=account_ref_from_name(message.account, what="plan.account"),
        sequence=message.as_of_seq,
        snapshot_id=SnapshotId(message.snapshot_id),
        parameter_set_id=RiskParameterSetId(message.parameter_set_id),
        scenario_set_hash=message.scenario_set_hash,
        engine_version=message.engine_version,
        house_view_id=HouseViewId(message.house_view_id) if message.house_view_id else None,
        wish=wish,
        left_out=frozenset(map(InstrumentId, message.left_out)),
    )


def reproduction_to_message(recorded: pb.LiquidationPlan, plan: LiquidationPlan) -> pb.ReproduceLiquidationResponse:
    """Return a plan that was made again, and where it is not the one recorded."""
    recomputed = _plan_to_message(plan)
    difference = first_difference(recorded, recomputed)
    return pb.ReproduceLiquidationResponse(reproduced=difference is None, difference=difference, plan=recomputed)


def approval_from_message(message: pb.ApproveLiquidationRequest) -> ApprovalRequest:
    """Return the plan that somebody wants done."""
    return ApprovalRequest(
        account=account_ref_from_name(message.account, what="account"),
        sequence=message.as_of_seq,
        snapshot_id=SnapshotId(message.snapshot_id),
        trades=tuple(map(_trade_from_message, message.trades)),
        target_utilization=optional_decimal(message.target_utilization),
    )


def approval_to_message(done: ApprovedLiquidation | PendingRequest) -> pb.ApproveLiquidationResponse:
    """Return an approval, or what awaits a second person."""
    if isinstance(done, PendingRequest):
        return pb.ApproveLiquidationResponse(pending_request=pending_to_message(done))
    return pb.ApproveLiquidationResponse(
        before=standing_to_message(done.before),
        after=standing_to_message(done.after),
        replayed=done.replayed,
        liquidation_id=done.liquidation_id,
    )


def _depth(messages: Iterable[pb.OrderBook]) -> Mapping[InstrumentId, OrderBook]:
    return {InstrumentId(book.instrument_id): _order_book(book) for book in messages}


def _order_book(message: pb.OrderBook) -> OrderBook:
    return OrderBook(tuple(map(_level, message.bids)), tuple(map(_level, message.asks)))


def _level(message: pb.DepthLevel) -> DepthLevel:
    return DepthLevel(parse_decimal(message.price, what="price of a level"), parse_decimal(message.quantity, what="quantity of a level"))


def _trade_from_message(message: pb.PlannedTrade) -> PlannedTrade:
    return PlannedTrade(
        instrument_id=InstrumentId(message.instrument_id),
        quantity=parse_decimal(message.quantity, what="quantity"),
        settlement=InstrumentId(message.settlement_instrument_id) if message.settlement_instrument_id else None,
        expected_price=parse_decimal(message.expected_price, what="expected_price"),
        limit_price=parse_decimal(message.limit_price, what="limit_price"),
        # What a plan says of its costs does not bear on whether it is approved of; it is kept to be held against what they were.
        cost=parse_decimal(message.cost or "0", what="cost"),
        contribution=parse_decimal(message.contribution or "0", what="contribution"),
    )


def _plan_to_message(plan: LiquidationPlan) -> pb.LiquidationPlan:
    return pb.LiquidationPlan(
        account=str(plan.account),
        as_of_seq=plan.sequence,
        snapshot_id=plan.snapshot_id,
        as_of=moment_to_message(plan.as_of),
        parameter_set_id=plan.parameter_set_id,
        parameters_hash=plan.parameters_hash,
        engine_version=plan.engine_version,
        target_utilization=format_fraction(plan.target_utilization),
        impact_coefficient=format_decimal(plan.impact_coefficient),
        before=standing_to_message(plan.before),
        after=standing_to_message(plan.after),
        pieces=map(_piece_to_message, plan.pieces),
        cost=format_decimal(plan.cost),
        least_cost=format_decimal(plan.least_cost),
        reaches_target=plan.reaches_target,
        left_out=plan.left_out,
        scenario_set_hash=plan.scenario_set_hash,
        house_view_id=plan.house_view_id or "",
        order_books=[_order_book_to_message(name, book) for name, book in plan.depth.items()],
    )


def _order_book_to_message(name: InstrumentId, book: OrderBook) -> pb.OrderBook:
    bids, asks = ([_level_to_message(level) for level in side] for side in (book.bids, book.asks))
    return pb.OrderBook(instrument_id=name, bids=bids, asks=asks)


def _level_to_message(level: DepthLevel) -> pb.DepthLevel:
    return pb.DepthLevel(price=format_decimal(level.price), quantity=format_decimal(level.quantity))


def _piece_to_message(piece: LiquidationPiece) -> pb.LiquidationPiece:
    return pb.LiquidationPiece(trades=map(planned_trade_to_message, piece.trades), after=standing_to_message(piece.after))


def planned_trade_to_message(trade: PlannedTrade) -> pb.PlannedTrade:
    """Return the message of an order."""
    return pb.PlannedTrade(
        instrument_id=trade.instrument_id,
        quantity=format_decimal(trade.quantity),
        settlement_instrument_id=trade.settlement or "",
        expected_price=format_decimal(trade.expected_price),
        limit_price=format_decimal(trade.limit_price),
        cost=format_decimal(trade.cost),
        contribution=format_decimal(trade.contribution),
    )
