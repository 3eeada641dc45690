"""Where risk parameters stand, and what a set would do, on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from crossmargin.adapters.grpc_server.wire.margin import band_to_message, utilization_text
from crossmargin.adapters.grpc_server.wire.values import inverse, moment_to_message
from crossmargin.api.v1 import reference_service_pb2 as pb
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.money import format_decimal
from crossmargin.domain.parameter_governance import Governance, InForce, ParameterState
from crossmargin.usecases.shadow_parameters import ShadowedAccount, ShadowSummary

_STATES: Final = {
    pb.PARAMETER_STATE_PROPOSED: ParameterState.PROPOSED,
    pb.PARAMETER_STATE_APPROVED: ParameterState.APPROVED,
    pb.PARAMETER_STATE_ACTIVE: ParameterState.ACTIVE,
    pb.PARAMETER_STATE_RETIRED: ParameterState.RETIRED,
}
_STATE_VALUES: Final = inverse(_STATES)


def governance_to_message(governance: Governance, *, in_force: InForce | None) -> pb.ParameterSet:
    """Return the message of where a set stands; `in_force` is what is in force at the latest market."""
    return pb.ParameterSet(
        parameter_set_id=governance.set_id,
        content_hash=governance.content_hash,
        state=_STATE_VALUES[governance.state],
        proposed_by=governance.proposed_by,
        propose_time=moment_to_message(governance.proposed_at),
        approved_by=governance.approved_by or "",
        approve_time=_optional_moment(governance.approved_at),
        activated_by=governance.activated_by or "",
        activate_time=_optional_moment(governance.activated_at),
        active_from_time=_optional_moment(governance.active_from),
        ramp_days=governance.ramp_days,
        in_force=in_force is not None and governance.set_id == in_force.set_id,
    )


def shadowed_account_to_message(one: ShadowedAccount) -> pb.ShadowRiskParametersResponse:
    """Return the message of one account under both sets."""
    account = pb.ShadowedAccount(
        account=str(one.account),
        in_force=_shadow_margin(one.in_force),
        shadow=_shadow_margin(one.shadow),
        reason=one.reason.code if one.reason else "",
    )
    return pb.ShadowRiskParametersResponse(account_count_done=one.done, account_count=one.total, account=account)


def shadow_summary_to_message(summary: ShadowSummary, *, account_count: int) -> pb.ShadowRiskParametersResponse:
    """Return the last message of a shadow run."""
    message = pb.ShadowSummary(
        in_force_set_id=summary.in_force_set_id,
        shadow_set_id=summary.shadow_set_id,
        called_accounts=_names(summary.called),
        liquidated_accounts=_names(summary.liquidated),
        failed_accounts=_names(summary.failed),
        maintenance_margin_before=format_decimal(summary.maintenance_before),
        maintenance_margin_after=format_decimal(summary.maintenance_after),
        initial_margin_before=format_decimal(summary.initial_before),
        initial_margin_after=format_decimal(summary.initial_after),
    )
    return pb.ShadowRiskParametersResponse(account_count_done=account_count, account_count=account_count, summary=message)


def _shadow_margin(result: MarginResult | None) -> pb.ShadowMargin | None:
    if result is None:
        return None
    return pb.ShadowMargin(
        equity=format_decimal(result.equity.equity),
        maintenance_margin=format_decimal(result.requirement.maintenance_margin),
        initial_margin=format_decimal(result.requirement.initial_margin),
        utilization=utilization_text(result.utilization),
        band=band_to_message(result.band),
    )


def _optional_moment(moment: datetime | None) -> Timestamp | None:
    return None if moment is None else moment_to_message(moment)


def _names(accounts: Iterable[AccountRef]) -> list[str]:
    return [str(account) for account in accounts]
