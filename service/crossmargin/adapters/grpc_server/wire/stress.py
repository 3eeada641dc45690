"""Stresses on the wire."""

from __future__ import annotations

from typing import Final

from crossmargin.adapters.grpc_server.wire.explanation import move_to_message
from crossmargin.adapters.grpc_server.wire.margin import band_to_message, utilization_text
from crossmargin.adapters.grpc_server.wire.values import account_ref_from_name, format_fraction, inverse, moment_to_message, printable
from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import OffsetGroupId
from crossmargin.domain.market import FactorId, FactorKind
from crossmargin.domain.money import format_decimal, parse_decimal
from crossmargin.domain.stress import (
    AccountStress,
    AdHocScenario,
    BreakLine,
    GroupProfit,
    NamedScenario,
    PositionProfit,
    ReverseStress,
    ScenarioOutcome,
    StressFailure,
    StressKind,
    StressPlan,
    StressProgress,
    StressShock,
    StressStanding,
)
from crossmargin.usecases.run_stress import DEFAULT_SHOWN, StressRequest

MOST_FAILURES: Final = 100
MOST_POSITIONS: Final = 100
_KINDS: Final = {
    StressKind.EVENT: pb.STRESS_KIND_EVENT,
    StressKind.CRISIS_DAY: pb.STRESS_KIND_CRISIS_DAY,
    StressKind.AD_HOC: pb.STRESS_KIND_AD_HOC,
    StressKind.NO_DIVERSIFICATION: pb.STRESS_KIND_NO_DIVERSIFICATION,
    StressKind.ALL_AGAINST: pb.STRESS_KIND_ALL_AGAINST,
}
_LINES: Final = {BreakLine.LIQUIDATION: pb.BREAK_LINE_LIQUIDATION, BreakLine.RUIN: pb.BREAK_LINE_RUIN}
_LINES_BY_VALUE: Final = inverse(_LINES)


def stress_request_from_message(message: pb.RunStressRequest) -> StressRequest:
    """Return what a message asks to stress."""
    return StressRequest(
        account=account_ref_from_name(message.account, what="account") if message.account else None,
        scenarios=tuple(message.scenarios),
        ad_hoc=tuple(map(ad_hoc_from_message, message.ad_hoc)),
        correlation=message.correlation,
        accounts_shown=message.accounts_shown if message.HasField("accounts_shown") else DEFAULT_SHOWN,
        positions_shown=message.positions_shown if message.HasField("positions_shown") else DEFAULT_SHOWN,
    )


def ad_hoc_from_message(message: pb.AdHocScenario) -> AdHocScenario:
    """Return a scenario that a caller made up; errors as `StressShock`."""
    shocks = tuple(_shock_from_message(shock) for shock in message.shocks)
    return AdHocScenario(printable(message.name, what="name of an ad-hoc scenario"), shocks, message.both_directions)


def break_line_from_message(value: pb.BreakLine.ValueType) -> BreakLine:
    """Return the line of a message that passed the field rules."""
    return _LINES_BY_VALUE[value]


def scenario_to_message(scenario: NamedScenario) -> pb.StressScenario:
    """Return one scenario of the library."""
    has_moves = scenario.kind is StressKind.EVENT and scenario.event is not None
    event = scenario.event if has_moves else None
    moves = {} if event is None else {str(factor): format_fraction(move) for factor, move in event.moves.items()}
    classes = {} if event is None else {name: format_fraction(move) for name, move in event.default_class_moves.items()}
    return pb.StressScenario(name=scenario.name, kind=_KINDS[scenario.kind], source=scenario.source, moves=moves | classes)


def stress_to_message(result: StressPlan | StressProgress | ScenarioOutcome) -> pb.RunStressResponse:
    """Return one message of a stream of RunStress."""
    match result:
        case StressPlan():
            return pb.RunStressResponse(plan=plan_to_message(result))
        case StressProgress():
            return pb.RunStressResponse(progress=progress_to_message(result))
        case ScenarioOutcome():
            return pb.RunStressResponse(outcome=_outcome_to_message(result))


def reverse_stress_to_message(result: StressPlan | StressProgress | ReverseStress) -> pb.ReverseStressResponse:
    """Return one message of a stream of ReverseStress."""
    match result:
        case StressPlan():
            return pb.ReverseStressResponse(plan=plan_to_message(result))
        case StressProgress():
            return pb.ReverseStressResponse(progress=progress_to_message(result))
        case ReverseStress():
            return pb.ReverseStressResponse(result=_result_to_message(result))


def plan_to_message(plan: StressPlan) -> pb.StressPlan:
    """Return what a run is about to do."""
    return pb.StressPlan(
        scenarios=plan.scenarios,
        account_count=plan.accounts,
        snapshot_id=plan.snapshot_id,
        as_of=moment_to_message(plan.as_of),
        parameter_set_id=plan.parameter_set_id,
        parameters_hash=plan.parameters_hash,
        scenario_set_hash=plan.scenario_set_hash,
        engine_version=plan.engine_version,
    )


def progress_to_message(progress: StressProgress) -> pb.StressProgress:
    """Return how far a run is."""
    return pb.StressProgress(done=progress.done, total=progress.total)


def standing_to_message(standing: StressStanding) -> pb.StressStanding:
    """Return how an account stands at one market."""
    return pb.StressStanding(
        equity=format_decimal(standing.equity),
        maintenance_margin=format_decimal(standing.maintenance_margin),
        utilization=utilization_text(standing.utilization),
        band=band_to_message(standing.band),
    )


def failure_to_message(failure: StressFailure) -> pb.StressFailure:
    """Return why an account is in no figure."""
    return pb.StressFailure(account=str(failure.account), reason=failure.reason.code, message=failure.message)


def bands_to_message(counts: tuple[int, ...]) -> pb.BandCounts:
    """Return accounts in each band, in the order of the bands."""
    healthy, watch, at_risk, margin_call, liquidation = counts
    return pb.BandCounts(healthy=healthy, watch=watch, at_risk=at_risk, margin_call=margin_call, liquidation=liquidation)


def _shock_from_message(message: pb.StressShock) -> StressShock:
    return StressShock(
        size=parse_decimal(message.size, what="size of a shock"),
        factor=FactorId.parse(message.factor) if message.factor else None,
        curve=message.curve,
        group_id=OffsetGroupId(message.group_id) if message.group_id else None,
        asset_class=printable(message.asset_class, what="asset class of a shock"),
        kind=_factor_kind(message.factor_kind) if message.factor_kind else None,
    )


def _factor_kind(text: str) -> FactorKind:
    kinds = {kind.value: kind for kind in FactorKind}
    if text not in kinds:
        expected = f"one of {', '.join(kinds)}"
        raise DomainError(
            Reason.INVALID_ARGUMENT, f"factor_kind was {text!r}; expected {expected}", field="factor_kind", value=text, expected=expected
        )
    return kinds[text]


def _outcome_to_message(outcome: ScenarioOutcome) -> pb.StressOutcome:
    return pb.StressOutcome(
        scenario=outcome.name,
        kind=_KINDS[outcome.kind],
        account_count=outcome.account_count,
        equity_before=format_decimal(outcome.equity_before),
        equity_after=format_decimal(outcome.equity_after),
        pnl=format_decimal(outcome.pnl),
        broker_loss=format_decimal(outcome.broker_loss),
        bands_before=bands_to_message(outcome.bands_before),
        bands_after=bands_to_message(outcome.bands_after),
        fallen_count=outcome.fallen,
        groups=map(_group_to_message, outcome.groups),
        positions=map(_position_to_message, outcome.positions),
        accounts=map(_account_to_message, outcome.accounts),
        failures=map(failure_to_message, outcome.failures[:MOST_FAILURES]),
        failure_count=len(outcome.failures),
    )


def _account_to_message(stress: AccountStress) -> pb.AccountStress:
    return pb.AccountStress(
        account=str(stress.account),
        before=standing_to_message(stress.before),
        after=standing_to_message(stress.after),
        pnl=format_decimal(stress.pnl),
        broker_loss=format_decimal(stress.broker_loss),
    )


def _group_to_message(one: GroupProfit) -> pb.GroupProfit:
    return pb.GroupProfit(group_id=one.group_id, pnl=format_decimal(one.pnl))


def _position_to_message(one: PositionProfit) -> pb.PositionProfit:
    return pb.PositionProfit(instrument_id=one.instrument_id, pnl=format_decimal(one.pnl))


def _result_to_message(result: ReverseStress) -> pb.ReverseStressResult:
    message = pb.ReverseStressResult(
        account=str(result.account),
        line=_LINES[result.line],
        moves=map(move_to_message, result.moves),
        searched_to=format_fraction(result.searched_to),
        start_count=result.start_count,
        evaluation_count=result.evaluation_count,
        failure=None if result.failure is None else failure_to_message(result.failure),
    )
    if result.outcome is not None and result.plausibility is not None:
        message.outcome.CopyFrom(_account_to_message(result.outcome))
        message.groups.extend(map(_group_to_message, result.outcome.groups))
        message.positions.extend(map(_position_to_message, result.outcome.positions[:MOST_POSITIONS]))
        message.plausibility.CopyFrom(
            pb.Plausibility(
                distance=format_fraction(result.plausibility.distance),
                normal_probability=format_fraction(result.plausibility.normal_probability),
                greatest_probability=format_fraction(result.plausibility.greatest_probability),
                scenario_weight=format_fraction(result.plausibility.scenario_weight),
            )
        )
    return message
