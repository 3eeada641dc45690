"""Margin results on the wire."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from typing import Final

from crossmargin.adapters.grpc_server.wire.account import methodology_from_message, methodology_to_message
from crossmargin.adapters.grpc_server.wire.collateral import holdings_to_messages
from crossmargin.adapters.grpc_server.wire.differences import first_difference
from crossmargin.adapters.grpc_server.wire.market import quality_to_message
from crossmargin.adapters.grpc_server.wire.values import (
    account_ref_from_name,
    format_fraction,
    inverse,
    moment_from_message,
    moment_to_message,
)
from crossmargin.api.v1 import margin_service_pb2 as pb
from crossmargin.api.v1.account_service_pb2 import METHODOLOGY_UNSPECIFIED
from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import AccountRef, HouseViewId, RiskParameterSetId, SnapshotId
from crossmargin.domain.margin import (
    Band,
    Charge,
    DataQuality,
    EquityBridge,
    GapLoss,
    MarginResult,
    MarginStamp,
    RampStamp,
    RequirementBridge,
)
from crossmargin.domain.money import format_decimal, parse_decimal
from crossmargin.domain.reported_margin import ReportedMargin
from crossmargin.usecases.compare_methodologies import MethodologyComparison, MethodologyMargin
from crossmargin.usecases.reproduce_margin import Reproduction

INFINITE: Final = "inf"
MOST_STANDING: Final = 2_000
"""Accounts whose message is kept, some 10 KB each with the result it is of; those asked about longest ago go for the next."""
_MOST_STAMPS: Final = 2_000
_BANDS: Final = {
    pb.BAND_HEALTHY: Band.HEALTHY,
    pb.BAND_WATCH: Band.WATCH,
    pb.BAND_AT_RISK: Band.AT_RISK,
    pb.BAND_MARGIN_CALL: Band.MARGIN_CALL,
    pb.BAND_LIQUIDATION: Band.LIQUIDATION,
}
_STAMP_FIELDS: Final = {"sequence": "as_of_seq", "as_of": "as_of_time"}
_BAND_VALUES: Final = inverse(_BANDS)


def margin_to_message(result: MarginResult) -> pb.Margin:
    """Return the message of a margin result, without what explains it."""
    return pb.Margin(
        stamp=stamp_to_message(result.stamp),
        equity=_equity_to_message(result.equity),
        requirement=_requirement_to_message(result.requirement),
        utilization=utilization_text(result.utilization),
        band=band_to_message(result.band),
        excess_to_initial=format_decimal(result.excess_to_initial),
        excess_to_maintenance=format_decimal(result.excess_to_maintenance),
        quality=None if result.quality is None else _quality_to_message(result.quality),
        gap_loss=None if result.gap is None else _gap_to_message(result.gap),
    )


class StandingMargins:
    """Messages of margins as accounts stand, the last one of each account kept: it is told with every preview, and mostly the same."""

    def __init__(self, *, most_accounts: int = MOST_STANDING) -> None:
        self._last: OrderedDict[AccountRef, tuple[MarginResult, pb.Margin]] = OrderedDict()
        self._most_accounts = most_accounts

    def message_of(self, result: MarginResult) -> pb.Margin:
        """Return the message of a margin result, to be copied and not to be changed: that of the last time for the very same result."""
        account = result.stamp.account
        known = self._last.pop(account, None)
        if known is None or known[0] is not result:
            known = result, margin_to_message(result)
        self._last[account] = known
        if len(self._last) > self._most_accounts:
            self._last.popitem(last=False)
        return known[1]


def reported_to_message(reported: ReportedMargin) -> pb.ReportedMargin:
    """Return the message of a margin in another currency."""
    return pb.ReportedMargin(
        currency=reported.currency,
        price=format_decimal(reported.price),
        equity=_equity_to_message(reported.equity),
        requirement=_requirement_to_message(reported.requirement),
        excess_to_initial=format_decimal(reported.excess_to_initial),
        excess_to_maintenance=format_decimal(reported.excess_to_maintenance),
    )


def comparison_to_message(comparison: MethodologyComparison) -> pb.CompareMethodologiesResponse:
    """Return the message of margins by every methodology."""
    return pb.CompareMethodologiesResponse(
        selected=methodology_to_message(comparison.selected),
        margins=[_methodology_margin_to_message(one) for one in comparison.margins],
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


def stamp_from_message(stamp: pb.MarginStamp) -> MarginStamp:
    """Return the stamp that a caller was given; INVALID_IDENTIFIER, INVALID_TIMESTAMP or INVALID_DECIMAL for what none ever holds."""
    return MarginStamp(
        account=account_ref_from_name(stamp.account, what="stamp.account"),
        sequence=stamp.as_of_seq,
        snapshot_id=SnapshotId(stamp.snapshot_id),
        as_of=moment_from_message(stamp.as_of_time, what="stamp.as_of_time"),
        parameter_set_id=RiskParameterSetId(stamp.parameter_set_id),
        parameters_hash=stamp.parameters_hash,
        scenario_set_hash=stamp.scenario_set_hash,
        engine_version=stamp.engine_version,
        ramp=_ramp_from_message(stamp.ramp) if stamp.HasField("ramp") else None,
        methodology=methodology_from_message(stamp.methodology),
        house_view_id=HouseViewId(stamp.house_view_id) if stamp.house_view_id else None,
    )


def reproduction_to_message(reproduction: Reproduction, recorded: pb.Margin | None) -> pb.ReproduceMarginResponse:
    """Return the message of a margin computed again; `recorded` is the margin as it was given, if it is to be compared."""
    explained = explanation_to_message(reproduction.result)
    difference = None
    if reproduction.difference is not None:
        stamp = reproduction.difference
        field = f"stamp.{_STAMP_FIELDS.get(stamp.field, stamp.field)}"
        difference = pb.MarginDifference(field=field, recorded=stamp.recorded, recomputed=stamp.recomputed)
    elif recorded is not None:
        difference = first_difference(*_as_said_before(recorded, explained.margin))
    return pb.ReproduceMarginResponse(reproduced=difference is None, difference=difference, explained=explained)


def utilization_text(utilization: Decimal | None) -> str:
    """Return a utilization as wire text."""
    return INFINITE if utilization is None else format_fraction(utilization)


def band_to_message(band: Band) -> pb.Band.ValueType:
    """Return the message value of a band."""
    return _BAND_VALUES[band]


def _quality_to_message(quality: DataQuality) -> pb.DataQuality:
    return pb.DataQuality(
        doubted=[pb.DoubtedInput(subject=one.subject, quality=quality_to_message(one.quality)) for one in quality.doubted],
        utilization_low=utilization_text(quality.utilization_low),
        utilization_high=utilization_text(quality.utilization_high),
        excess_to_initial_low=_known(quality.excess_to_initial_low),
        excess_to_initial_high=_known(quality.excess_to_initial_high),
        best_band=band_to_message(quality.best_band),
        worst_band=band_to_message(quality.worst_band),
        may_liquidate=quality.may_liquidate,
        provisional=quality.is_provisional,
    )


def _known(amount: Decimal | None) -> str:
    return "" if amount is None else format_decimal(amount)


@lru_cache(_MOST_STAMPS)
def stamp_to_message(stamp: MarginStamp) -> pb.MarginStamp:
    """Return the message of a stamp, to be copied and not to be changed: all margins of one answer have the same."""
    return pb.MarginStamp(
        account=str(stamp.account),
        as_of_seq=stamp.sequence,
        house_view_id=stamp.house_view_id or "",
        snapshot_id=stamp.snapshot_id,
        as_of_time=moment_to_message(stamp.as_of),
        parameter_set_id=stamp.parameter_set_id,
        parameters_hash=stamp.parameters_hash,
        scenario_set_hash=stamp.scenario_set_hash,
        engine_version=stamp.engine_version,
        ramp=None if stamp.ramp is None else _ramp_to_message(stamp.ramp),
        methodology=methodology_to_message(stamp.methodology),
    )


def _methodology_margin_to_message(one: MethodologyMargin) -> pb.MethodologyMargin:
    if isinstance(one.outcome, DomainError):
        return pb.MethodologyMargin(methodology=methodology_to_message(one.methodology), unavailable=one.outcome.message)
    return pb.MethodologyMargin(methodology=methodology_to_message(one.methodology), margin=margin_to_message(one.outcome))


def _gap_to_message(gap: GapLoss) -> pb.GapLoss:
    return pb.GapLoss(
        realized=format_decimal(gap.realized),
        expected=format_decimal(gap.expected),
        worst=format_decimal(gap.worst),
        worst_scenario=gap.worst_scenario,
    )


def _as_said_before(recorded: pb.Margin, recomputed: pb.Margin) -> tuple[pb.Margin, pb.Margin]:
    """Return both with what an earlier release left out of its answers left out of the comparison as well."""
    before, after = pb.Margin(), pb.Margin()
    before.CopyFrom(recorded)
    after.CopyFrom(recomputed)
    if before.stamp.methodology == METHODOLOGY_UNSPECIFIED:
        before.stamp.methodology = after.stamp.methodology
        after.ClearField("gap_loss")
    return before, after


def _ramp_to_message(ramp: RampStamp) -> pb.ParameterRamp:
    return pb.ParameterRamp(
        parameter_set_id=ramp.parameter_set_id,
        parameters_hash=ramp.parameters_hash,
        scenario_set_hash=ramp.scenario_set_hash,
        fraction=format_fraction(ramp.fraction),
    )


def _ramp_from_message(ramp: pb.ParameterRamp) -> RampStamp:
    return RampStamp(
        RiskParameterSetId(ramp.parameter_set_id),
        ramp.parameters_hash,
        ramp.scenario_set_hash,
        parse_decimal(ramp.fraction, what="stamp.ramp.fraction"),
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
