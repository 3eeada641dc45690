"""Margin explanations on the wire."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from crossmargin.adapters.grpc_server.wire.margin import explanation_to_message
from crossmargin.adapters.grpc_server.wire.values import format_fraction
from crossmargin.api.v1 import margin_service_pb2 as pb
from crossmargin.domain.explanation import (
    DirectionalConcentration,
    Diversification,
    IsolationAdvice,
    LiquidationDistance,
    MarginExplanation,
    MarketMove,
    RequirementInterval,
    ScenarioReport,
    TailReport,
    WorstDirection,
)
from crossmargin.domain.market import RATE_KINDS
from crossmargin.domain.money import format_decimal

_BASIS_POINTS: Final = Decimal(10_000)


def full_explanation_to_message(explanation: MarginExplanation) -> pb.ExplainMarginResponse:
    """Return the message of a margin result with what makes it up and everything it says beyond the number."""
    message = explanation_to_message(explanation.margin)
    message.liquidation_distances.extend(_distance_to_message(distance) for distance in explanation.distances)
    if explanation.worst_direction is not None:
        message.worst_direction.CopyFrom(_direction_to_message(explanation.worst_direction))
    message.diversification.CopyFrom(_diversification_to_message(explanation.diversification))
    message.isolation_advice.extend(_advice_to_message(advice) for advice in explanation.isolation_advice)
    message.directional_concentrations.extend(_direction_share_to_message(one) for one in explanation.directions)
    if explanation.interval is not None:
        message.requirement_interval.CopyFrom(_interval_to_message(explanation.interval))
    if explanation.tail is not None:
        message.tail.CopyFrom(_tail_to_message(explanation.tail))
    if explanation.scenarios is not None:
        message.scenarios.CopyFrom(_scenarios_to_message(explanation.scenarios))
    return message


def move_to_message(move: MarketMove) -> pb.MarketMove:
    """Return the message of how one block of factors moves."""
    message = pb.MarketMove(group_id=move.group_id, factor_kind=move.kind.value)
    if move.kind in RATE_KINDS:
        message.basis_points = format_fraction(move.size * _BASIS_POINTS)
    elif move.is_return:
        message.simple_return = format_fraction(move.size)
    else:
        message.price_difference = format_fraction(move.size)
    return message


def _distance_to_message(distance: LiquidationDistance) -> pb.LiquidationDistance:
    move = None if distance.move is None else move_to_message(distance.move)
    return pb.LiquidationDistance(group_id=distance.group_id, factor_kind=distance.kind.value, move=move)


def _direction_to_message(direction: WorstDirection) -> pb.WorstDirection:
    return pb.WorstDirection(
        multiple="" if direction.multiple is None else format_fraction(direction.multiple),
        moves=[move_to_message(move) for move in direction.moves],
        pnl=format_decimal(direction.pnl),
    )


def _diversification_to_message(diversification: Diversification) -> pb.Diversification:
    return pb.Diversification(
        ratio=format_fraction(diversification.ratio),
        largest_group_id=diversification.largest_group or "",
        largest_group_fraction=format_fraction(diversification.largest_share),
        effective_bets=format_fraction(diversification.effective_bets),
    )


def _direction_share_to_message(one: DirectionalConcentration) -> pb.DirectionalConcentration:
    return pb.DirectionalConcentration(
        asset_class=one.asset_class,
        factor_kind=one.kind.value,
        is_long=one.is_long,
        fraction=format_fraction(one.fraction),
        amount=format_decimal(one.amount),
    )


def _advice_to_message(advice: IsolationAdvice) -> pb.IsolationAdvice:
    return pb.IsolationAdvice(
        instrument_id=advice.instrument_id,
        requirement_alone=format_decimal(advice.alone),
        requirement_added=format_decimal(advice.added),
        benefit_fraction=format_fraction(advice.benefit_fraction),
    )


def _interval_to_message(interval: RequirementInterval) -> pb.RequirementInterval:
    return pb.RequirementInterval(
        low=format_decimal(interval.low),
        high=format_decimal(interval.high),
        confidence=format_fraction(interval.confidence),
        replicate_count=interval.replicate_count,
        block_days=interval.block_days,
    )


def _tail_to_message(tail: TailReport) -> pb.TailReport:
    return pb.TailReport(
        scenario_count=tail.scenario_count,
        effective_scenarios=format_fraction(tail.effective_count),
        stress_weight_fraction=format_fraction(tail.stress_weight_fraction),
        stress_share_of_worst=format_fraction(tail.stress_share_of_worst),
        oldest_days=tail.oldest_days,
        oldest_contribution=format_decimal(tail.oldest_contribution),
    )


def _scenarios_to_message(report: ScenarioReport) -> pb.ScenarioReport:
    return pb.ScenarioReport(
        ordinary_count=report.ordinary_count,
        independent_count=report.independent_count,
        event_count=report.event_count,
        windows=[pb.CrisisWindowCount(name=name, scenario_count=count) for name, count in report.window_counts.items()],
        stand_ins=[
            pb.FactorStandIn(factor_id=str(factor), window=window, moved_by=moved_by)
            for factor, windows in report.stand_ins.items()
            for window, moved_by in windows.items()
        ],
        proxies=[
            pb.FactorProxy(
                factor_id=str(factor),
                proxy_curve=proxy.proxy_curve,
                beta=format_decimal(proxy.beta),
                idiosyncratic_fraction=format_decimal(proxy.idiosyncratic_fraction),
            )
            for factor, proxy in report.proxies.items()
        ],
    )
