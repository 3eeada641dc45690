"""CollateralService: deposits, policies and holdings."""
# ruff: noqa: N802, ARG002 - names and arguments are those of the API

from __future__ import annotations

from crossmargin.adapters.grpc_server.context import Context, caller_of
from crossmargin.adapters.grpc_server.wire.collateral import (
    deposit_from_request,
    holdings_to_messages,
    policy_from_request,
    transfer_from_request,
    withdrawal_from_request,
)
from crossmargin.adapters.grpc_server.wire.pending_request import confirmed_name, pending_to_message
from crossmargin.adapters.grpc_server.wire.top_up import inventory_from_messages, target_from_request, top_up_to_message
from crossmargin.adapters.grpc_server.wire.values import account_ref_from_name
from crossmargin.api.v1 import collateral_service_pb2 as pb
from crossmargin.api.v1.collateral_service_pb2_grpc import CollateralServiceServicer
from crossmargin.domain.money import format_decimal
from crossmargin.domain.pending_request import PendingRequest
from crossmargin.usecases.use_cases import UseCases
from crossmargin.usecases.withdraw_collateral import Withdrawn


class CollateralService(CollateralServiceServicer):
    """What was received as collateral, and how it counts."""

    def __init__(self, use_cases: UseCases) -> None:
        self._use_cases = use_cases

    async def Deposit(self, request: pb.DepositRequest, context: Context) -> pb.DepositResponse:
        """Record collateral received."""
        caller = caller_of(context, request.request_id)
        deposited = await self._use_cases.deposit_collateral(deposit_from_request(request), caller=caller)
        return pb.DepositResponse(sequence=deposited.sequence, replayed=deposited.replayed)

    async def Withdraw(self, request: pb.WithdrawRequest, context: Context) -> pb.WithdrawResponse:
        """Let collateral leave, or say whether it may."""
        withdrawal = withdrawal_from_request(request)
        if request.validate_only:
            return _withdrawn_to_message(await self._use_cases.withdraw_collateral.validate(withdrawal))
        caller = caller_of(context, request.request_id, confirmed_name(request.confirms))
        return _withdrawn_to_message(await self._use_cases.withdraw_collateral(withdrawal, caller=caller))

    async def Transfer(self, request: pb.TransferRequest, context: Context) -> pb.TransferResponse:
        """Move collateral between a core account and its bucket, or say whether it may move."""
        transfer = transfer_from_request(request)
        if request.validate_only:
            done = await self._use_cases.transfer_collateral.validate(transfer)
        else:
            caller = caller_of(context, request.request_id)
            done = await self._use_cases.transfer_collateral(transfer, caller=caller)
        return pb.TransferResponse(
            source_sequence=done.source_sequence,
            destination_sequence=done.destination_sequence,
            excess_after=format_decimal(done.excess_after),
            replayed=done.replayed,
        )

    async def SetPolicy(self, request: pb.SetPolicyRequest, context: Context) -> pb.SetPolicyResponse:
        """Set how a holding counts."""
        caller = caller_of(context, request.request_id)
        sequence = await self._use_cases.set_collateral_policy(policy_from_request(request), caller=caller)
        return pb.SetPolicyResponse(policy=request.policy, sequence=sequence)

    async def ListHoldings(self, request: pb.ListHoldingsRequest, context: Context) -> pb.ListHoldingsResponse:
        """List what the holdings of an account count for; valued as margin values them, so that the two never differ."""
        account = account_ref_from_name(request.account, what="account")
        result = await self._use_cases.evaluate_margin(account, min_sequence=request.min_seq)
        return pb.ListHoldingsResponse(
            holdings=holdings_to_messages(result.equity.lines),
            as_of_seq=result.stamp.sequence,
            snapshot_id=result.stamp.snapshot_id,
        )

    async def SuggestTopUp(self, request: pb.SuggestTopUpRequest, context: Context) -> pb.SuggestTopUpResponse:
        """Suggest what to deliver."""
        account = account_ref_from_name(request.account, what="account")
        target = target_from_request(request)
        inventory = inventory_from_messages(request.inventory)
        return top_up_to_message(await self._use_cases.suggest_top_up(account, inventory, target, min_sequence=request.min_seq))


def _withdrawn_to_message(done: Withdrawn | PendingRequest) -> pb.WithdrawResponse:
    if isinstance(done, PendingRequest):
        return pb.WithdrawResponse(pending_request=pending_to_message(done))
    return pb.WithdrawResponse(
        sequence=done.sequence,
        excess_after=format_decimal(done.excess_after),
        replayed=done.replayed,
        needs_second_person=done.needs_second_person,
    )
