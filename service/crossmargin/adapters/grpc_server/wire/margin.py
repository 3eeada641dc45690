"""Margin results on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from crossmargin.adapters.grpc_server.wire.collateral import holdings_to_messages
from crossmargin.adapters.grpc_server.wire.values import format_fraction, inverse, moment_to_message
from crossmargin.api.v1 import margin_service_pb2 as pb
from crossmargin.domain.margin import Band, Charge, EquityBridge, MarginResult, MarginStamp, RequirementBridge
from crossmargin.domain.money import format_decimal

INFINITE: Final = "inf"
_BANDS: Final = {
    pb.BAND_HEALTHY: Band.HEALTHY,
    pb.BAND_WATCH: Band.WATCH,
    pb.BAND_AT_RISK: Band.AT_RISK,
    pb.BAND_MARGIN_CALL: Band.MARGIN_CALL,
    pb.BAND_LIQUIDATION: Band.LIQUIDATION,
}
_BAND_VALUES: Final = inverse(_BANDS)


def margin_to_message(result: MarginResult) -> pb.Margin:
    """Return the message of a margin result, without what explains it."""
    return pb.Margin(
        stamp=_stamp_to_message(result.stamp),
        equity=_equity_to_message(result.equity),
        requirement=_requirement_to_message(result.requirement),
        utilization=INFINITE if result.utilization is None else format_fraction(result.utilization),
        band=_BAND_VALUES[result.band],
        excess_to_initial=format_decimal(result.excess_to_initial),
        excess_to_maintenance=format_decimal(result.excess_to_maintenance),
    )


def explanation_to_message(result: MarginResult) -> pb.ExplainMarginResponse:
    """Return the message of a margin result with what explains it; contributions (whatever their sign) and groups by size."""
    contributions = sorted(result.contributions, key=lambda one: (-abs(one.amount), one.instrument_id))
    groups = sorted(result.groups, key=lambda one: (-one.requirement, one.group_id))
    return pb.ExplainMarginResponse(
        margin=margin_to_message(result),
        contributions=[pb.Contribution(instrument_id=one.instrument_id, amount=format_decimal(one.amount)) for one in contributions],
        groups=[
            pb.GroupRequirement(group_id=one.group_id, asset_class=one.asset_class, requirement=format_decimal(one.requirement))
            for one in groups
        ],
        worst_scenarios=[
            pb.WorstScenario(name=one.name, stress=one.is_stress, weight=format_fraction(one.weight), pnl=format_decimal(one.pnl))
            for one in result.worst_scenarios
        ],
        holdings=holdings_to_messages(result.equity.lines),
    )


def _stamp_to_message(stamp: MarginStamp) -> pb.MarginStamp:
    return pb.MarginStamp(
        account=str(stamp.account),
        as_of_seq=stamp.sequence,
        snapshot_id=stamp.snapshot_id,
        as_of_time=moment_to_message(stamp.as_of),
        parameter_set_id=stamp.parameter_set_id,
        parameters_hash=stamp.parameters_hash,
        scenario_set_hash=stamp.scenario_set_hash,
        engine_version=stamp.engine_version,
    )


def _equity_to_message(bridge: EquityBridge) -> pb.EquityBridge:
    return pb.EquityBridge(
        collateral=format_decimal(bridge.collateral),
        liabilities=format_decimal(bridge.liabilities),
        contract_value=format_decimal(bridge.contract_value),
        equity=format_decimal(bridge.equity),
        haircuts=format_decimal(sum((line.haircut for line in bridge.lines), Decimal(0))),
    )


def _requirement_to_message(bridge: RequirementBridge) -> pb.RequirementBridge:
    return pb.RequirementBridge(
        gross=format_decimal(bridge.gross),
        netting_inside_groups=format_decimal(bridge.netting_inside_groups),
        netting_inside_classes=format_decimal(bridge.netting_inside_classes),
        netting_across_classes=format_decimal(bridge.netting_across_classes),
        market_requirement=format_decimal(bridge.market_requirement),
        charges=_charges_to_messages(bridge.charges),
        maintenance_margin=format_decimal(bridge.maintenance_margin),
        initial_margin=format_decimal(bridge.initial_margin),
        netting_benefit=format_decimal(bridge.netting_benefit),
        netting_benefit_fraction=format_fraction(bridge.netting_benefit_fraction),
        initial_only=_charges_to_messages(bridge.initial_only),
    )


def _charges_to_messages(charges: Iterable[Charge]) -> list[pb.Charge]:
    return [pb.Charge(name=charge.name, amount=format_decimal(charge.amount)) for charge in charges]
