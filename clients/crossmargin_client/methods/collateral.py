"""Collateral: what comes, goes and counts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from crossmargin.api.v1 import collateral_service_pb2
from crossmargin_client.call_kinds import One, ask, whole
from crossmargin_client.declaration import answers
from crossmargin_client.requests import new_request_id
from crossmargin_client.values import Exact, exact_text, optional_text, timestamp_of


class CollateralMethods:
    """Collateral: what comes, goes and counts."""

    @answers
    def deposit(
        self,
        account: str,
        instrument_id: str,
        quantity: Exact,
        *,
        received_at: datetime,
        book: str = "",
        reference: str = "",
        request_id: str | None = None,
    ) -> One[collateral_service_pb2.DepositResponse]:
        """Record collateral received and return its place in the ledger."""
        request = collateral_service_pb2.DepositRequest(
            request_id=request_id or new_request_id(),
            account=account,
            book_id=book,
            instrument_id=instrument_id,
            quantity=exact_text(quantity, field="quantity"),
            receive_time=timestamp_of(received_at, field="received_at"),
            reference=reference,
        )
        return ask(lambda to: to.collateral.Deposit, request, whole)

    @answers
    def withdraw(
        self,
        account: str,
        instrument_id: str,
        quantity: Exact,
        *,
        book: str = "",
        reference: str = "",
        validate_only: bool = False,
        confirms: str = "",
        request_id: str | None = None,
    ) -> One[collateral_service_pb2.WithdrawResponse]:
        """Let collateral leave if the account can spare it; `validate_only` says whether it may and writes nothing.

        A large one takes two persons: the first one's answer has a `pending_request`; the second one sends the same and its `pending_id`
        as `confirms`.

        Raises:
            PreconditionFailed: INSUFFICIENT_MARGIN or INSUFFICIENT_HOLDING, with `largest_quantity` as metadata; LIMIT_EXCEEDED; HALTED.
        """
        request = collateral_service_pb2.WithdrawRequest(
            request_id=request_id or new_request_id(),
            account=account,
            book_id=book,
            instrument_id=instrument_id,
            quantity=exact_text(quantity, field="quantity"),
            reference=reference,
            validate_only=validate_only,
            confirms=confirms,
        )
        return ask(lambda to: to.collateral.Withdraw, request, whole)

    @answers
    def transfer(
        self,
        source_account: str,
        destination_account: str,
        instrument_id: str,
        quantity: Exact,
        *,
        book: str = "",
        reference: str = "",
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> One[collateral_service_pb2.TransferResponse]:
        """Move collateral between a core account and its isolated bucket; raises as `withdraw` of the account that gives."""
        request = collateral_service_pb2.TransferRequest(
            request_id=request_id or new_request_id(),
            source_account=source_account,
            destination_account=destination_account,
            book_id=book,
            instrument_id=instrument_id,
            quantity=exact_text(quantity, field="quantity"),
            reference=reference,
            validate_only=validate_only,
        )
        return ask(lambda to: to.collateral.Transfer, request, whole)

    @answers
    def set_policy(
        self,
        account: str,
        instrument_id: str,
        policy: collateral_service_pb2.CollateralPolicy.ValueType,
        *,
        request_id: str | None = None,
    ) -> One[collateral_service_pb2.CollateralPolicy.ValueType]:
        """Set how an account's holding of an asset counts, RISKED, PLEDGED or AUTO, and return it as stored."""
        request = collateral_service_pb2.SetPolicyRequest(
            request_id=request_id or new_request_id(), account=account, instrument_id=instrument_id, policy=policy
        )
        return ask(lambda to: to.collateral.SetPolicy, request, lambda answer: answer.policy)

    @answers
    def list_holdings(self, account: str, *, min_seq: int = 0) -> One[collateral_service_pb2.ListHoldingsResponse]:
        """Return what an account's holdings count for as collateral."""
        request = collateral_service_pb2.ListHoldingsRequest(account=account, min_seq=min_seq)
        return ask(lambda to: to.collateral.ListHoldings, request, whole)

    @answers
    def suggest_top_up(
        self,
        account: str,
        inventory: Iterable[collateral_service_pb2.InventoryItem],
        *,
        target_utilization: Exact | None = None,
        clears_call: bool = False,
        min_seq: int = 0,
    ) -> One[collateral_service_pb2.SuggestTopUpResponse]:
        """Return the cheapest delivery out of an inventory that brings an account to a goal; nothing is stored.

        The goal is that equity covers the initial margin; or that utilization is at most a target; or that the open margin call is met.
        """
        if clears_call and target_utilization is not None:
            raise ValueError("expected a target_utilization or clears_call, not both")
        call, utilization, initial = (
            collateral_service_pb2.TOP_UP_GOAL_OPEN_CALL,
            collateral_service_pb2.TOP_UP_GOAL_UTILIZATION,
            collateral_service_pb2.TOP_UP_GOAL_INITIAL_MARGIN,
        )
        request = collateral_service_pb2.SuggestTopUpRequest(
            account=account,
            inventory=inventory,
            goal=call if clears_call else initial if target_utilization is None else utilization,
            target_utilization=optional_text(target_utilization, field="target_utilization"),
            min_seq=min_seq,
        )
        return ask(lambda to: to.collateral.SuggestTopUp, request, whole)
