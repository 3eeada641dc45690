"""The request of every call, built from native values. Writes are named, so that a retry is not a second one."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, Protocol, TypeVar

from crossmargin.api.v1 import (
    account_service_pb2,
    audit_service_pb2,
    book_service_pb2,
    collateral_service_pb2,
    margin_call_service_pb2,
    margin_service_pb2,
    market_service_pb2,
    pending_request_service_pb2,
    reconciliation_service_pb2,
    reference_service_pb2,
    risk_service_pb2,
)
from crossmargin_client.values import Exact, date_of, exact_text, timestamp_of

PAGE_SIZE: Final = 1000
_LARGEST_HISTORY_BYTES: Final = 900_000
"""The service takes messages of a mebibyte; the rest is for what the estimate leaves out."""
_MOST_DATES: Final = 5000
_MOST_QUOTES: Final = 1000
_MOST_COLUMNS: Final = 2000
_BYTES_OF_DATE: Final = 12
_BYTES_AROUND_LEVEL: Final = 2
TIMEOUT_FACTOR_OF_HISTORY: Final = 6
"""Importing history moves more than any other call; its deadline is this many times that of the others."""


class PagedRequest(Protocol):
    """A request for one page of a list."""

    page_token: str


class PagedResponse(Protocol):
    """One page of a list."""

    next_page_token: str


Paged = TypeVar("Paged", bound=PagedRequest)


def new_request_id() -> str:
    """Return a name for a write that no other write has."""
    return str(uuid.uuid4())


def request_id_of(request: object) -> str:
    """Return the name of a write; empty for a read."""
    return str(getattr(request, "request_id", ""))


def next_page(request: Paged, response: PagedResponse) -> Paged | None:
    """Return the request for the page after `response`, or None on the last."""
    if not response.next_page_token:
        return None
    request.page_token = response.next_page_token
    return request


def create_client(client_id: str, display_name: str, *, request_id: str | None) -> account_service_pb2.CreateClientRequest:
    """Return the request that creates a client."""
    return account_service_pb2.CreateClientRequest(
        request_id=request_id or new_request_id(),
        client=account_service_pb2.Client(client_id=client_id, display_name=display_name),
    )


def get_client(client_id: str) -> account_service_pb2.GetClientRequest:
    """Return the request for one client."""
    return account_service_pb2.GetClientRequest(client_id=client_id)


def list_clients() -> account_service_pb2.ListClientsRequest:
    """Return the request for the first page of clients."""
    return account_service_pb2.ListClientsRequest(page_size=PAGE_SIZE)


def create_account(
    name: str, display_name: str, *, parent_account: str, request_id: str | None
) -> account_service_pb2.CreateAccountRequest:
    """Return the request that creates an account: isolated when it has a parent, cross otherwise."""
    modes = account_service_pb2
    return account_service_pb2.CreateAccountRequest(
        request_id=request_id or new_request_id(),
        account=account_service_pb2.Account(
            name=name,
            display_name=display_name,
            mode=modes.ACCOUNT_MODE_ISOLATED if parent_account else modes.ACCOUNT_MODE_CROSS,
            parent_account=parent_account,
        ),
    )


def get_account(name: str) -> account_service_pb2.GetAccountRequest:
    """Return the request for one account."""
    return account_service_pb2.GetAccountRequest(name=name)


def list_accounts(client_id: str) -> account_service_pb2.ListAccountsRequest:
    """Return the request for the first page of the accounts of a client, or of all clients when it is empty."""
    return account_service_pb2.ListAccountsRequest(client_id=client_id, page_size=PAGE_SIZE)


def set_methodology(
    account: str, methodology: account_service_pb2.Methodology.ValueType, *, validate_only: bool, request_id: str | None
) -> account_service_pb2.SetMethodologyRequest:
    """Return the request that sets what an account is margined by."""
    return account_service_pb2.SetMethodologyRequest(
        request_id=request_id or new_request_id(), account=account, methodology=methodology, validate_only=validate_only
    )


def create_instrument(
    instrument: reference_service_pb2.Instrument, *, request_id: str | None
) -> reference_service_pb2.CreateInstrumentRequest:
    """Return the request that creates an instrument."""
    return reference_service_pb2.CreateInstrumentRequest(request_id=request_id or new_request_id(), instrument=instrument)


def get_instrument(instrument_id: str) -> reference_service_pb2.GetInstrumentRequest:
    """Return the request for one instrument."""
    return reference_service_pb2.GetInstrumentRequest(instrument_id=instrument_id)


def list_instruments() -> reference_service_pb2.ListInstrumentsRequest:
    """Return the request for the first page of instruments."""
    return reference_service_pb2.ListInstrumentsRequest(page_size=PAGE_SIZE)


def get_risk_parameters(parameter_set_id: str) -> reference_service_pb2.GetRiskParametersRequest:
    """Return the request for a set of risk parameters; empty for the one in force."""
    return reference_service_pb2.GetRiskParametersRequest(parameter_set_id=parameter_set_id)


def propose_risk_parameters(document: str, *, request_id: str | None) -> reference_service_pb2.ProposeRiskParametersRequest:
    """Return the request that proposes a set of risk parameters."""
    return reference_service_pb2.ProposeRiskParametersRequest(request_id=request_id or new_request_id(), document=document)


def list_risk_parameters() -> reference_service_pb2.ListRiskParametersRequest:
    """Return the request for the first page of sets of risk parameters."""
    return reference_service_pb2.ListRiskParametersRequest(page_size=PAGE_SIZE)


def shadow_risk_parameters(parameter_set_id: str) -> reference_service_pb2.ShadowRiskParametersRequest:
    """Return the request that streams what a set of risk parameters would do."""
    return reference_service_pb2.ShadowRiskParametersRequest(parameter_set_id=parameter_set_id)


def approve_risk_parameters(parameter_set_id: str, *, request_id: str | None) -> reference_service_pb2.ApproveRiskParametersRequest:
    """Return the request that approves a set of risk parameters."""
    return reference_service_pb2.ApproveRiskParametersRequest(request_id=request_id or new_request_id(), parameter_set_id=parameter_set_id)


def activate_risk_parameters(
    parameter_set_id: str, *, active_from: datetime | None, ramp_days: int, request_id: str | None
) -> reference_service_pb2.ActivateRiskParametersRequest:
    """Return the request that activates a set of risk parameters; None is from the latest market on."""
    return reference_service_pb2.ActivateRiskParametersRequest(
        request_id=request_id or new_request_id(),
        parameter_set_id=parameter_set_id,
        active_from_time=None if active_from is None else timestamp_of(active_from, field="active_from"),
        ramp_days=ramp_days,
    )


def record_trades(
    account: str, trades: Iterable[book_service_pb2.Trade], *, request_id: str | None
) -> book_service_pb2.RecordTradesRequest:
    """Return the request that records executed trades of one account."""
    return book_service_pb2.RecordTradesRequest(request_id=request_id or new_request_id(), account=account, trades=trades)


def list_positions(account: str, *, min_seq: int) -> book_service_pb2.ListPositionsRequest:
    """Return the request for what an account holds."""
    return book_service_pb2.ListPositionsRequest(account=account, min_seq=min_seq)


def cancel_trade(account: str, sequence: int, *, reason: str, request_id: str | None) -> book_service_pb2.CancelTradeRequest:
    """Return the request that takes a trade back."""
    return book_service_pb2.CancelTradeRequest(request_id=request_id or new_request_id(), account=account, sequence=sequence, reason=reason)


def list_trades(account: str, *, book: str, instrument_id: str) -> book_service_pb2.ListTradesRequest:
    """Return the request for the first page of an account's trades; of one book or instrument where they are not empty."""
    return book_service_pb2.ListTradesRequest(account=account, book_id=book, instrument_id=instrument_id, page_size=PAGE_SIZE)


def apply_lifecycle_event(
    event: book_service_pb2.LifecycleEvent, *, account: str, request_id: str | None
) -> book_service_pb2.ApplyLifecycleEventRequest:
    """Return the request that applies an event; to every account that holds its instrument when `account` is empty."""
    return book_service_pb2.ApplyLifecycleEventRequest(request_id=request_id or new_request_id(), event=event, account=account)


def cancel_lifecycle_event(
    account: str, sequence: int, *, reason: str, request_id: str | None
) -> book_service_pb2.CancelLifecycleEventRequest:
    """Return the request that takes back what an event did to an account."""
    return book_service_pb2.CancelLifecycleEventRequest(
        request_id=request_id or new_request_id(), account=account, sequence=sequence, reason=reason
    )


def watch_positions(account: str, *, after_seq: int | None) -> book_service_pb2.WatchPositionsRequest:
    """Return the request that streams what an account holds; None begins with what is held now."""
    return book_service_pb2.WatchPositionsRequest(account=account, after_seq=after_seq)


def get_statement(account: str, day: date) -> book_service_pb2.GetStatementRequest:
    """Return the request for an account at both ends of a day."""
    return book_service_pb2.GetStatementRequest(account=account, date=date_of(day, field="day"))


def list_due_events(account: str) -> book_service_pb2.ListDueEventsRequest:
    """Return the request for the events that nobody has booked; of every account when `account` is empty."""
    return book_service_pb2.ListDueEventsRequest(account=account)


def settle_trades(settle_date: date, *, account: str, request_id: str | None) -> book_service_pb2.SettleTradesRequest:
    """Return the request that settles what is due by a day; in every account when `account` is empty."""
    return book_service_pb2.SettleTradesRequest(
        request_id=request_id or new_request_id(), settle_date=date_of(settle_date, field="settle_date"), account=account
    )


def list_entries(account: str, *, after_seq: int) -> book_service_pb2.ListEntriesRequest:
    """Return the request for the first page of an account's ledger after a sequence."""
    return book_service_pb2.ListEntriesRequest(account=account, page_size=PAGE_SIZE, after_seq=after_seq)


def reconcile_statement(
    source: str,
    as_of: datetime,
    lines: Iterable[reconciliation_service_pb2.StatementLine],
    *,
    accounts: Iterable[str],
    instruments: Iterable[str],
    tolerance: Exact | None,
    request_id: str | None,
) -> reconciliation_service_pb2.ReconcileStatementRequest:
    """Return the request that reconciles a statement; None is no tolerance."""
    return reconciliation_service_pb2.ReconcileStatementRequest(
        request_id=request_id or new_request_id(),
        source=source,
        as_of_time=timestamp_of(as_of, field="as_of"),
        lines=lines,
        accounts=accounts,
        instrument_ids=instruments,
        tolerance="" if tolerance is None else exact_text(tolerance, field="tolerance"),
    )


def list_breaks(
    *, source: str, statement_id: str, account: str, state: reconciliation_service_pb2.BreakState.ValueType
) -> reconciliation_service_pb2.ListBreaksRequest:
    """Return the request for the first page of breaks."""
    return reconciliation_service_pb2.ListBreaksRequest(
        source=source, statement_id=statement_id, account=account, state=state, page_size=PAGE_SIZE
    )


def explain_break(
    statement_id: str, account: str, instrument_id: str, note: str, *, request_id: str | None
) -> reconciliation_service_pb2.ExplainBreakRequest:
    """Return the request that says what is behind a break."""
    return reconciliation_service_pb2.ExplainBreakRequest(
        request_id=request_id or new_request_id(), statement_id=statement_id, account=account, instrument_id=instrument_id, note=note
    )


def close_break(
    statement_id: str, account: str, instrument_id: str, note: str, *, request_id: str | None
) -> reconciliation_service_pb2.CloseBreakRequest:
    """Return the request that says that a break is settled."""
    return reconciliation_service_pb2.CloseBreakRequest(
        request_id=request_id or new_request_id(), statement_id=statement_id, account=account, instrument_id=instrument_id, note=note
    )


def deposit(
    account: str, instrument_id: str, quantity: Exact, *, received_at: datetime, book: str, reference: str, request_id: str | None
) -> collateral_service_pb2.DepositRequest:
    """Return the request that records collateral received."""
    return collateral_service_pb2.DepositRequest(
        request_id=request_id or new_request_id(),
        account=account,
        book_id=book,
        instrument_id=instrument_id,
        quantity=exact_text(quantity, field="quantity"),
        receive_time=timestamp_of(received_at, field="received_at"),
        reference=reference,
    )


def withdraw(
    account: str,
    instrument_id: str,
    quantity: Exact,
    *,
    book: str,
    reference: str,
    validate_only: bool,
    confirms: str,
    request_id: str | None,
) -> collateral_service_pb2.WithdrawRequest:
    """Return the request that lets collateral leave."""
    return collateral_service_pb2.WithdrawRequest(
        request_id=request_id or new_request_id(),
        account=account,
        book_id=book,
        instrument_id=instrument_id,
        quantity=exact_text(quantity, field="quantity"),
        reference=reference,
        validate_only=validate_only,
        confirms=confirms,
    )


def transfer(
    source_account: str,
    destination_account: str,
    instrument_id: str,
    quantity: Exact,
    *,
    book: str,
    reference: str,
    validate_only: bool,
    request_id: str | None,
) -> collateral_service_pb2.TransferRequest:
    """Return the request that moves collateral between a core account and its bucket."""
    return collateral_service_pb2.TransferRequest(
        request_id=request_id or new_request_id(),
        source_account=source_account,
        destination_account=destination_account,
        book_id=book,
        instrument_id=instrument_id,
        quantity=exact_text(quantity, field="quantity"),
        reference=reference,
        validate_only=validate_only,
    )


def reserve_margin(account: str, order: margin_service_pb2.Order, *, request_id: str | None) -> margin_service_pb2.ReserveMarginRequest:
    """Return the request that approves an order."""
    return margin_service_pb2.ReserveMarginRequest(request_id=request_id or new_request_id(), account=account, order=order)


def release_reservation(account: str, reservation: int, *, request_id: str | None) -> margin_service_pb2.ReleaseReservationRequest:
    """Return the request that ends a reservation."""
    return margin_service_pb2.ReleaseReservationRequest(request_id=request_id or new_request_id(), account=account, reservation=reservation)


def list_reservations(account: str) -> margin_service_pb2.ListReservationsRequest:
    """Return the request for the first page of an account's reservations."""
    return margin_service_pb2.ListReservationsRequest(account=account, page_size=PAGE_SIZE)


def halt(client_id: str, reason: str, *, request_id: str | None) -> account_service_pb2.HaltRequest:
    """Return the request that halts a client or the house."""
    return account_service_pb2.HaltRequest(request_id=request_id or new_request_id(), client_id=client_id, reason=reason)


def resume(client_id: str, reason: str, *, confirms: str, request_id: str | None) -> account_service_pb2.ResumeRequest:
    """Return the request that ends a halt."""
    return account_service_pb2.ResumeRequest(
        request_id=request_id or new_request_id(), client_id=client_id, reason=reason, confirms=confirms
    )


def get_halt(client_id: str) -> account_service_pb2.GetHaltRequest:
    """Return the request for whether a client or the house is halted."""
    return account_service_pb2.GetHaltRequest(client_id=client_id)


def set_limits(
    limits: account_service_pb2.ExposureLimits, *, confirms: str, request_id: str | None
) -> account_service_pb2.SetLimitsRequest:
    """Return the request that sets limits."""
    return account_service_pb2.SetLimitsRequest(request_id=request_id or new_request_id(), limits=limits, confirms=confirms)


def get_limits(scope: str) -> account_service_pb2.GetLimitsRequest:
    """Return the request for the limits of a client or account."""
    return account_service_pb2.GetLimitsRequest(scope=scope)


def list_audit_events(
    *, principal: str, client_id: str, kind: audit_service_pb2.AuditKind.ValueType, start: datetime | None, end: datetime | None
) -> audit_service_pb2.ListAuditEventsRequest:
    """Return the request for the first page of the audit trail."""
    return audit_service_pb2.ListAuditEventsRequest(
        principal=principal,
        client_id=client_id,
        kind=kind,
        start_time=None if start is None else timestamp_of(start, field="start"),
        end_time=None if end is None else timestamp_of(end, field="end"),
        page_size=PAGE_SIZE,
    )


def list_pending_requests(
    *, client_id: str, state: pending_request_service_pb2.PendingState.ValueType
) -> pending_request_service_pb2.ListPendingRequestsRequest:
    """Return the request for the first page of pending requests."""
    return pending_request_service_pb2.ListPendingRequestsRequest(client_id=client_id, state=state)


def get_pending_request(pending_id: str) -> pending_request_service_pb2.GetPendingRequestRequest:
    """Return the request for one pending request."""
    return pending_request_service_pb2.GetPendingRequestRequest(pending_id=pending_id)


def cancel_pending_request(pending_id: str, *, request_id: str | None) -> pending_request_service_pb2.CancelPendingRequestRequest:
    """Return the request that ends a pending request without effect."""
    return pending_request_service_pb2.CancelPendingRequestRequest(request_id=request_id or new_request_id(), pending_id=pending_id)


def set_policy(
    account: str, instrument_id: str, policy: collateral_service_pb2.CollateralPolicy.ValueType, *, request_id: str | None
) -> collateral_service_pb2.SetPolicyRequest:
    """Return the request that sets how an account's holding of an asset counts."""
    return collateral_service_pb2.SetPolicyRequest(
        request_id=request_id or new_request_id(), account=account, instrument_id=instrument_id, policy=policy
    )


def list_holdings(account: str, *, min_seq: int) -> collateral_service_pb2.ListHoldingsRequest:
    """Return the request for what an account's holdings count for."""
    return collateral_service_pb2.ListHoldingsRequest(account=account, min_seq=min_seq)


def suggest_top_up(
    account: str,
    inventory: Iterable[collateral_service_pb2.InventoryItem],
    *,
    target_utilization: Exact | None,
    clears_call: bool,
    min_seq: int,
) -> collateral_service_pb2.SuggestTopUpRequest:
    """Return the request for a top-up; a target and a call are two goals, of which one can be had."""
    if clears_call and target_utilization is not None:
        raise ValueError("expected a target_utilization or clears_call, not both")
    call, utilization, initial = (
        collateral_service_pb2.TOP_UP_GOAL_OPEN_CALL,
        collateral_service_pb2.TOP_UP_GOAL_UTILIZATION,
        collateral_service_pb2.TOP_UP_GOAL_INITIAL_MARGIN,
    )
    return collateral_service_pb2.SuggestTopUpRequest(
        account=account,
        inventory=inventory,
        goal=call if clears_call else initial if target_utilization is None else utilization,
        target_utilization="" if target_utilization is None else exact_text(target_utilization, field="target_utilization"),
        min_seq=min_seq,
    )


def publish_snapshot(as_of: datetime, levels: Mapping[str, Exact], marks: Mapping[str, Exact]) -> market_service_pb2.PublishSnapshotRequest:
    """Return the request that publishes a market snapshot."""
    return market_service_pb2.PublishSnapshotRequest(
        snapshot=market_service_pb2.MarketSnapshot(
            as_of_time=timestamp_of(as_of, field="as_of"),
            levels={factor: exact_text(level, field=f"level of {factor}") for factor, level in levels.items()},
            marks={instrument: exact_text(mark, field=f"mark of {instrument}") for instrument, mark in marks.items()},
        )
    )


def publish_quotes(source: str, quotes: Sequence[market_service_pb2.Quote]) -> list[market_service_pb2.PublishQuotesRequest]:
    """Return the messages that publish quotes, each small enough for the service; without quotes one that asks how far the source is."""
    starts = range(0, max(len(quotes), 1), _MOST_QUOTES)
    return [market_service_pb2.PublishQuotesRequest(source=source, quotes=quotes[start : start + _MOST_QUOTES]) for start in starts]


def get_snapshot(snapshot_id: str) -> market_service_pb2.GetSnapshotRequest:
    """Return the request for a market snapshot; empty for the latest."""
    return market_service_pb2.GetSnapshotRequest(snapshot_id=snapshot_id)


def import_history(dates: Sequence[date], columns: Mapping[str, Sequence[Exact | None]]) -> list[market_service_pb2.ImportHistoryRequest]:
    """Return the messages that import a history, each small enough for the service. None in a column is a day without a level.

    Raises:
        ValueError: For a column that has not one level for each date.
    """
    texts = {factor: _levels(factor, column, len(dates)) for factor, column in columns.items()}
    messages: list[market_service_pb2.ImportHistoryRequest] = []
    for start in range(0, len(dates), _MOST_DATES):
        days = [date_of(day, field="dates") for day in dates[start : start + _MOST_DATES]]
        block = {factor: levels[start : start + _MOST_DATES] for factor, levels in texts.items()}
        messages += [
            market_service_pb2.ImportHistoryRequest(
                dates=days, columns=[market_service_pb2.FactorColumn(factor_id=factor, levels=block[factor]) for factor in factors]
            )
            for factors in _factors_by_message(block, len(days))
        ]
    return messages


def get_margin(account: str, *, min_seq: int) -> margin_service_pb2.GetMarginRequest:
    """Return the request for the margin of an account."""
    return margin_service_pb2.GetMarginRequest(account=account, min_seq=min_seq)


def explain_margin(account: str, *, min_seq: int) -> margin_service_pb2.ExplainMarginRequest:
    """Return the request for the margin of an account with what makes it up."""
    return margin_service_pb2.ExplainMarginRequest(account=account, min_seq=min_seq)


def compare_methodologies(account: str, *, min_seq: int) -> margin_service_pb2.CompareMethodologiesRequest:
    """Return the request for the margin of an account by every methodology."""
    return margin_service_pb2.CompareMethodologiesRequest(account=account, min_seq=min_seq)


def preview_trades(account: str, trades: Iterable[book_service_pb2.Trade], *, min_seq: int) -> margin_service_pb2.PreviewTradesRequest:
    """Return the request for the margin before and after trades."""
    return margin_service_pb2.PreviewTradesRequest(account=account, trades=trades, min_seq=min_seq)


def watch_margin(account: str, *, utilization_step: Exact | None) -> margin_service_pb2.WatchMarginRequest:
    """Return the request that streams the margin of an account; None for the service's own step."""
    step = "" if utilization_step is None else exact_text(utilization_step, field="utilization_step")
    return margin_service_pb2.WatchMarginRequest(account=account, utilization_step=step)


def list_calls(scope: str, *, only_open: bool) -> margin_call_service_pb2.ListCallsRequest:
    """Return the request for margin calls of a client, an account, or of all."""
    return margin_call_service_pb2.ListCallsRequest(scope=scope, only_open=only_open, page_size=PAGE_SIZE)


def get_call(account: str, number: int) -> margin_call_service_pb2.GetCallRequest:
    """Return the request for a margin call."""
    return margin_call_service_pb2.GetCallRequest(account=account, number=number)


def acknowledge_call(account: str, number: int, text: str, *, request_id: str | None) -> margin_call_service_pb2.AcknowledgeCallRequest:
    """Return the request that says that the client has a call."""
    return margin_call_service_pb2.AcknowledgeCallRequest(
        request_id=request_id or new_request_id(), account=account, number=number, text=text
    )


def dispute_call(
    account: str, number: int, reason: margin_call_service_pb2.DisputeReason.ValueType, text: str, *, request_id: str | None
) -> margin_call_service_pb2.DisputeCallRequest:
    """Return the request that says that the client does not agree with a call."""
    return margin_call_service_pb2.DisputeCallRequest(
        request_id=request_id or new_request_id(), account=account, number=number, reason=reason, text=text
    )


def settle_call(account: str, number: int, *, request_id: str | None) -> margin_call_service_pb2.SettleCallRequest:
    """Return the request that recognises what was delivered."""
    return margin_call_service_pb2.SettleCallRequest(request_id=request_id or new_request_id(), account=account, number=number)


def waive_call(account: str, number: int, text: str, *, confirms: str, request_id: str | None) -> margin_call_service_pb2.WaiveCallRequest:
    """Return the request that lets a call go unmet."""
    return margin_call_service_pb2.WaiveCallRequest(
        request_id=request_id or new_request_id(), account=account, number=number, text=text, confirms=confirms
    )


def escalate_call(
    account: str, number: int, text: str, *, confirms: str, request_id: str | None
) -> margin_call_service_pb2.EscalateCallRequest:
    """Return the request that hands a call to the liquidation authority."""
    return margin_call_service_pb2.EscalateCallRequest(
        request_id=request_id or new_request_id(), account=account, number=number, text=text, confirms=confirms
    )


def set_call_terms(
    terms: margin_call_service_pb2.CallTerms, *, confirms: str, request_id: str | None
) -> margin_call_service_pb2.SetCallTermsRequest:
    """Return the request that sets the terms of margin calls."""
    return margin_call_service_pb2.SetCallTermsRequest(request_id=request_id or new_request_id(), terms=terms, confirms=confirms)


def get_call_terms(account: str) -> margin_call_service_pb2.GetCallTermsRequest:
    """Return the request for the terms of margin calls on an account."""
    return margin_call_service_pb2.GetCallTermsRequest(account=account)


def watch_call_notices(account: str, *, after_seq: int) -> margin_call_service_pb2.WatchCallNoticesRequest:
    """Return the request that streams what happens to the margin calls of an account."""
    return margin_call_service_pb2.WatchCallNoticesRequest(account=account, after_seq=after_seq)


def list_margin_history(account: str, *, start: datetime | None, end: datetime | None) -> margin_service_pb2.ListMarginHistoryRequest:
    """Return the request for what house runs found of an account, stored from a time on and before another."""
    return margin_service_pb2.ListMarginHistoryRequest(
        account=account,
        start_time=None if start is None else timestamp_of(start, field="start"),
        end_time=None if end is None else timestamp_of(end, field="end"),
        page_size=PAGE_SIZE,
    )


def project_utilization(account: str, *, horizon: timedelta | None, min_seq: int) -> margin_service_pb2.ProjectUtilizationRequest:
    """Return the request for an outlook; without a horizon it is the service's to choose."""
    request = margin_service_pb2.ProjectUtilizationRequest(account=account, min_seq=min_seq)
    if horizon is not None:
        request.horizon.FromTimedelta(horizon)
    return request


def reproduce_margin(
    stamp: margin_service_pb2.MarginStamp, *, margin: margin_service_pb2.Margin | None
) -> margin_service_pb2.ReproduceMarginRequest:
    """Return the request that computes a past margin again; with the margin as it was given its figures are compared too."""
    return margin_service_pb2.ReproduceMarginRequest(stamp=stamp, margin=margin)


def _levels(factor: str, column: Sequence[Exact | None], count: int) -> list[str]:
    if len(column) != count:
        raise ValueError(f"history of {factor} has {len(column)} levels for {count} dates; expected one for each, None where there is none")
    return ["" if level is None else exact_text(level, field=f"level of {factor}") for level in column]


def _factors_by_message(block: Mapping[str, Sequence[str]], date_count: int) -> Iterator[list[str]]:
    """Yield the factors of each message: as many columns as fit beside the dates. One column always does."""
    factors: list[str] = []
    size = date_count * _BYTES_OF_DATE
    for factor, levels in block.items():
        column_size = sum(map(len, levels)) + len(levels) * _BYTES_AROUND_LEVEL + len(factor) + 16
        if factors and (size + column_size > _LARGEST_HISTORY_BYTES or len(factors) == _MOST_COLUMNS):
            yield factors
            factors, size = [], date_count * _BYTES_OF_DATE
        factors.append(factor)
        size += column_size
    if factors:
        yield factors


def run_backtest(
    *,
    account: str,
    books: Iterable[str],
    first_day: date | None,
    last_day: date | None,
    every: int,
    confidence: Exact | None,
    parameter_set_id: str,
) -> risk_service_pb2.RunBacktestRequest:
    """Return the request that tests requirements of the past; what is None is the service's to choose."""
    return risk_service_pb2.RunBacktestRequest(
        account=account,
        books=books,
        first_day=None if first_day is None else date_of(first_day, field="first_day"),
        last_day=None if last_day is None else date_of(last_day, field="last_day"),
        every=every,
        confidence="" if confidence is None else exact_text(confidence, field="confidence"),
        parameter_set_id=parameter_set_id,
    )


def run_stress(
    *,
    account: str,
    scenarios: Iterable[str],
    ad_hoc: Iterable[risk_service_pb2.AdHocScenario],
    correlation: bool,
    accounts_shown: int | None,
    positions_shown: int | None,
) -> risk_service_pb2.RunStressRequest:
    """Return the request that stresses an account, or every open one; what is None is the service's to choose."""
    return risk_service_pb2.RunStressRequest(
        account=account,
        scenarios=scenarios,
        ad_hoc=ad_hoc,
        correlation=correlation,
        accounts_shown=accounts_shown,
        positions_shown=positions_shown,
    )


def plan_liquidation(
    account: str,
    *,
    target_utilization: Exact | None,
    impact_coefficient: Exact | None,
    order_books: Iterable[risk_service_pb2.OrderBook],
) -> risk_service_pb2.PlanLiquidationRequest:
    """Return the request that plans how to close out a part of an account; what is None is the service's to choose."""
    return risk_service_pb2.PlanLiquidationRequest(
        account=account,
        target_utilization="" if target_utilization is None else exact_text(target_utilization, field="target_utilization"),
        impact_coefficient="" if impact_coefficient is None else exact_text(impact_coefficient, field="impact_coefficient"),
        order_books=order_books,
    )


def report_liquidation(
    account: str, liquidation_id: str, fills: Iterable[book_service_pb2.Trade], *, request_id: str | None
) -> risk_service_pb2.ReportLiquidationRequest:
    """Return the request that books what was traded of a liquidation."""
    return risk_service_pb2.ReportLiquidationRequest(
        request_id=request_id or new_request_id(), account=account, liquidation_id=liquidation_id, fills=fills
    )


def abandon_liquidation(
    account: str, liquidation_id: str, text: str, *, request_id: str | None
) -> risk_service_pb2.AbandonLiquidationRequest:
    """Return the request that ends a liquidation."""
    return risk_service_pb2.AbandonLiquidationRequest(
        request_id=request_id or new_request_id(), account=account, liquidation_id=liquidation_id, text=text
    )


def list_liquidations(scope: str, *, only_open: bool) -> risk_service_pb2.ListLiquidationsRequest:
    """Return the request for the first page of liquidations: of a client, of an account, or of all."""
    return risk_service_pb2.ListLiquidationsRequest(scope=scope, only_open=only_open, page_size=PAGE_SIZE)


def approve_liquidation(
    plan: risk_service_pb2.LiquidationPlan, *, confirms: str, request_id: str | None
) -> risk_service_pb2.ApproveLiquidationRequest:
    """Return the request that proposes a plan, or approves of it."""
    return risk_service_pb2.ApproveLiquidationRequest(
        request_id=request_id or new_request_id(),
        account=plan.account,
        as_of_seq=plan.as_of_seq,
        snapshot_id=plan.snapshot_id,
        trades=[trade for piece in plan.pieces for trade in piece.trades],
        target_utilization=plan.target_utilization,
        confirms=confirms,
    )
