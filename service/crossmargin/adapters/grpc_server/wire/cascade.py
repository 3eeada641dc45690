"""Cascades on the wire."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from crossmargin.adapters.grpc_server.wire.stress import (
    MOST_FAILURES,
    ad_hoc_from_message,
    bands_to_message,
    failure_to_message,
    plan_to_message,
    standing_to_message,
)
from crossmargin.adapters.grpc_server.wire.values import format_fraction, optional_decimal
from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin.domain.cascade import MOST_ROUNDS, CascadeRound, CascadeSummary, CascadeTerms, DepthKind, GroupFlow
from crossmargin.domain.money import CENT, EXACT, format_decimal
from crossmargin.domain.stress import StressPlan
from crossmargin.usecases.simulate_cascade import CascadeRequest

MOST_FALLEN: Final = 500
_DEPTHS: Final = {
    pb.MARKET_DEPTH_KIND_UNSPECIFIED: DepthKind.SQUARE_ROOT,
    pb.MARKET_DEPTH_KIND_SQUARE_ROOT: DepthKind.SQUARE_ROOT,
    pb.MARKET_DEPTH_KIND_LINEAR: DepthKind.LINEAR,
    pb.MARKET_DEPTH_KIND_INFINITE: DepthKind.INFINITE,
}


def cascade_request_from_message(message: pb.SimulateCascadeRequest) -> CascadeRequest:
    """Return what a message asks to simulate; errors as `CascadeTerms` and `StressShock`."""
    return CascadeRequest(
        scenario=message.scenario,
        ad_hoc=ad_hoc_from_message(message.ad_hoc) if message.HasField("ad_hoc") else None,
        terms=CascadeTerms(
            depth=_DEPTHS[message.depth],
            depth_multiple=Decimal(message.depth_multiple or 1),
            impact_coefficient=optional_decimal(message.impact_coefficient),
            isolated=not message.without_isolation,
            seed=message.seed,
            most_rounds=message.most_rounds or MOST_ROUNDS,
        ),
    )


def cascade_to_message(result: StressPlan | CascadeRound | CascadeSummary) -> pb.SimulateCascadeResponse:
    """Return one message of the stream."""
    match result:
        case StressPlan():
            return pb.SimulateCascadeResponse(plan=plan_to_message(result))
        case CascadeRound():
            return pb.SimulateCascadeResponse(round=_round_to_message(result))
        case CascadeSummary():
            return pb.SimulateCascadeResponse(summary=_summary_to_message(result))


def _round_to_message(one: CascadeRound) -> pb.CascadeRound:
    return pb.CascadeRound(
        number=one.number,
        clients_before=_cents(one.clients_before),
        paid_to_street=_cents(one.paid_to_street),
        revaluation=_cents(one.revaluation),
        clients_after=_cents(one.clients_after),
        street_after=_cents(one.street_after),
        bands=bands_to_message(one.bands),
        broker_loss=format_decimal(one.broker_loss),
        flows=map(_flow_to_message, one.flows),
        fallen=[
            pb.FallenAccount(
                account=str(fallen.account),
                before=standing_to_message(fallen.before),
                after=standing_to_message(fallen.after),
                is_closed=fallen.is_closed,
            )
            for fallen in one.fallen[:MOST_FALLEN]
        ],
        fallen_count=len(one.fallen),
    )


def _flow_to_message(flow: GroupFlow) -> pb.GroupFlow:
    return pb.GroupFlow(group_id=flow.group_id, traded=format_decimal(flow.traded), price=format_fraction(flow.price))


def _summary_to_message(summary: CascadeSummary) -> pb.CascadeSummary:
    return pb.CascadeSummary(
        round_count=summary.rounds,
        account_count=summary.account_count,
        fallen_count=summary.fallen,
        ruined_count=summary.ruined,
        first_broker_loss=format_decimal(summary.first_broker_loss),
        broker_loss=format_decimal(summary.broker_loss),
        is_over=summary.is_over,
        failures=map(failure_to_message, summary.failures[:MOST_FAILURES]),
    )


def _cents(amount: Decimal) -> str:
    return format_decimal(EXACT.quantize(amount, CENT))
