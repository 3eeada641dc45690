"""The synchronous client: every call of the API, typed, with deadlines and safe retries."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from types import TracebackType
from typing import Final, Self, TypeAlias, TypeVar

import grpc

from crossmargin.api.v1 import (
    account_service_pb2,
    account_service_pb2_grpc,
    audit_service_pb2,
    audit_service_pb2_grpc,
    book_service_pb2,
    book_service_pb2_grpc,
    collateral_service_pb2,
    collateral_service_pb2_grpc,
    margin_call_service_pb2,
    margin_call_service_pb2_grpc,
    margin_service_pb2,
    margin_service_pb2_grpc,
    market_service_pb2,
    market_service_pb2_grpc,
    pending_request_service_pb2,
    pending_request_service_pb2_grpc,
    reconciliation_service_pb2,
    reconciliation_service_pb2_grpc,
    reference_service_pb2,
    reference_service_pb2_grpc,
    risk_service_pb2,
    risk_service_pb2_grpc,
)
from crossmargin_client import requests, retries
from crossmargin_client.channels import DEFAULT_TARGET, HEALTH_CHECK, HEALTH_REQUEST, as_is, channel_options, is_serving, principal_metadata
from crossmargin_client.errors import error_from_call
from crossmargin_client.security import TlsFiles, TokenSource, authorization
from crossmargin_client.values import Exact

Request = TypeVar("Request")
Response = TypeVar("Response")
PagedRequest = TypeVar("PagedRequest", bound=requests.PagedRequest)
PagedResponse = TypeVar("PagedResponse", bound=requests.PagedResponse)
DEFAULT_TIMEOUT_S: Final = 10.0
Interceptor: TypeAlias = (
    grpc.UnaryUnaryClientInterceptor
    | grpc.UnaryStreamClientInterceptor
    | grpc.StreamUnaryClientInterceptor
    | grpc.StreamStreamClientInterceptor
)


class Client:
    """A connection to the service.

    Every call has a deadline of `timeout_s` in all. A call that finds the service unavailable or busy is made again within it; a write
    is made again under its own request id, so it happens once. Calls raise a CrossmarginError. Safe to share between threads.

        with Client("127.0.0.1:50051") as client:
            print(client.get_margin("clients/alpha/accounts/core").utilization)

    Args:
        target: host:port, or dns:///name:port to spread calls over every address of the name.
        timeout_s: Deadline of a call, retries included. Importing history has six times as long.
        tls: Files that prove who calls and who answers; None for a plain connection, which a service accepts on its own machine only.
        token: Shown with every call: a text, a `TokenFile`, or what returns the token to use now.
        credentials: TLS made by hand, in place of `tls`.
        principal: Name to act under on a plain connection, where nothing else tells people apart; empty for the service's own name.
        interceptors: Of every call, such as those of `crossmargin_client.tracing`; the first is the outermost.
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        tls: TlsFiles | None = None,
        token: TokenSource | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        principal: str = "",
        interceptors: Sequence[Interceptor] = (),
    ) -> None:
        self.target = target
        self.timeout_s = timeout_s
        self._principal = principal_metadata(principal)
        self._tls = tls
        self._token = token
        self._interceptors = interceptors
        self._connect(credentials if tls is None else tls.credentials())
        self._shown = self._principal

    def _connect(self, credentials: grpc.ChannelCredentials | None) -> None:
        self._tls_state = () if self._tls is None else self._tls.state()
        self._channel = (
            grpc.insecure_channel(self.target, options=channel_options())
            if credentials is None
            else grpc.secure_channel(self.target, credentials, options=channel_options())
        )
        if self._interceptors:
            self._channel = grpc.intercept_channel(self._channel, *self._interceptors)
        self._accounts = account_service_pb2_grpc.AccountServiceStub(self._channel)
        self._books = book_service_pb2_grpc.BookServiceStub(self._channel)
        self._collateral = collateral_service_pb2_grpc.CollateralServiceStub(self._channel)
        self._calls = margin_call_service_pb2_grpc.MarginCallServiceStub(self._channel)
        self._margin = margin_service_pb2_grpc.MarginServiceStub(self._channel)
        self._market = market_service_pb2_grpc.MarketServiceStub(self._channel)
        self._audit = audit_service_pb2_grpc.AuditServiceStub(self._channel)
        self._pending = pending_request_service_pb2_grpc.PendingRequestServiceStub(self._channel)
        self._reconciliation = reconciliation_service_pb2_grpc.ReconciliationServiceStub(self._channel)
        self._reference = reference_service_pb2_grpc.ReferenceServiceStub(self._channel)
        self._risk = risk_service_pb2_grpc.RiskServiceStub(self._channel)
        self._health = self._channel.unary_unary(HEALTH_CHECK, request_serializer=as_is, response_deserializer=as_is)

    @property
    def _metadata(self) -> tuple[tuple[str, str], ...]:
        """What the call that is being made shows; the next one goes over a new connection if the certificate has been replaced."""
        if self._tls is not None and self._tls.state() not in {(), self._tls_state}:
            self._connect(self._tls.credentials())
            # This call still goes over the old connection, to whose certificate the new token does not belong.
            return self._shown
        self._shown = (*self._principal, *authorization(self._token))
        return self._shown

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the connection and every call on it."""
        self._channel.close()

    def is_serving(self) -> bool:
        """Return whether the service says that it is ready for calls."""
        try:
            return is_serving(self._health(HEALTH_REQUEST, timeout=self.timeout_s))
        except grpc.RpcError as failure:
            raise error_from_call(failure) from None

    # Clients and accounts

    def create_client(self, client_id: str, display_name: str, *, request_id: str | None = None) -> account_service_pb2.Client:
        """Create a client and return it as stored."""
        request = requests.create_client(client_id, display_name, request_id=request_id)
        return self._call(self._accounts.CreateClient, request).client

    def get_client(self, client_id: str) -> account_service_pb2.Client:
        """Return a client."""
        return self._call(self._accounts.GetClient, requests.get_client(client_id)).client

    def list_clients(self) -> Iterator[account_service_pb2.Client]:
        """Yield every client in the order of their ids."""
        for page in self._pages(self._accounts.ListClients, requests.list_clients()):
            yield from page.clients

    def create_account(
        self, name: str, display_name: str, *, parent_account: str = "", request_id: str | None = None
    ) -> account_service_pb2.Account:
        """Create an account and return it as stored: isolated when it has a parent, cross otherwise."""
        request = requests.create_account(name, display_name, parent_account=parent_account, request_id=request_id)
        return self._call(self._accounts.CreateAccount, request).account

    def get_account(self, name: str) -> account_service_pb2.Account:
        """Return an account."""
        return self._call(self._accounts.GetAccount, requests.get_account(name)).account

    def list_accounts(self, client_id: str = "") -> Iterator[account_service_pb2.Account]:
        """Yield every account of a client, or of all clients, in the order of their names."""
        for page in self._pages(self._accounts.ListAccounts, requests.list_accounts(client_id)):
            yield from page.accounts

    def halt(self, reason: str, *, client_id: str = "", request_id: str | None = None) -> account_service_pb2.HaltState:
        """Halt a client, or the house: once this returns, none of its requests commits any more. Facts are booked all the same."""
        return self._call(self._accounts.Halt, requests.halt(client_id, reason, request_id=request_id)).state

    def resume(
        self, reason: str, *, client_id: str = "", confirms: str = "", request_id: str | None = None
    ) -> account_service_pb2.ResumeResponse:
        """End the halt of a client, or of the house, once two persons have asked for it.

        The first one's answer has a `pending_request`; the second one sends the same and its `pending_id` as `confirms`.

        Raises:
            PreconditionFailed: FOUR_EYES_REQUIRED, PENDING_REQUEST_DIFFERS or PENDING_REQUEST_ENDED for a second person.
            NotFound: UNKNOWN_CLIENT; UNKNOWN_PENDING_REQUEST.
        """
        request = requests.resume(client_id, reason, confirms=confirms, request_id=request_id)
        return self._call(self._accounts.Resume, request)

    def get_halt(self, client_id: str = "") -> account_service_pb2.HaltState:
        """Return whether a client, or the house, is halted, and who said so."""
        return self._call(self._accounts.GetHalt, requests.get_halt(client_id)).state

    def set_limits(
        self, limits: account_service_pb2.ExposureLimits, *, confirms: str = "", request_id: str | None = None
    ) -> account_service_pb2.SetLimitsResponse:
        """Replace the limits of a client or account (see `exposure_limits`), once two persons have asked for it; as `resume`."""
        return self._call(self._accounts.SetLimits, requests.set_limits(limits, confirms=confirms, request_id=request_id))

    def get_limits(self, scope: str) -> account_service_pb2.ExposureLimits:
        """Return the limits of clients/{client} or clients/{client}/accounts/{account}."""
        return self._call(self._accounts.GetLimits, requests.get_limits(scope)).limits

    def list_audit_events(
        self,
        *,
        principal: str = "",
        client_id: str = "",
        kind: audit_service_pb2.AuditKind.ValueType = audit_service_pb2.AUDIT_KIND_UNSPECIFIED,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Iterator[audit_service_pb2.AuditEvent]:
        """Yield who was turned away, and who looked at what is not his own, newest first: from `start` on and before `end`.

        For risk and auditors of the whole house; each page that is read is itself an event.
        """
        request = requests.list_audit_events(principal=principal, client_id=client_id, kind=kind, start=start, end=end)
        for page in self._pages(self._audit.ListAuditEvents, request):
            yield from page.events

    def list_pending_requests(
        self,
        client_id: str = "",
        *,
        state: pending_request_service_pb2.PendingState.ValueType = pending_request_service_pb2.PENDING_STATE_AWAITING_SECOND_PERSON,
    ) -> Iterator[pending_request_service_pb2.PendingRequest]:
        """Yield what awaits a second person, or with another `state` what has become of it; of one client or of all, oldest first."""
        for page in self._pages(self._pending.ListPendingRequests, requests.list_pending_requests(client_id=client_id, state=state)):
            yield from page.pending_requests

    def get_pending_request(self, pending_id: str) -> pending_request_service_pb2.PendingRequest:
        """Return what awaits a second person, or what has become of it."""
        return self._call(self._pending.GetPendingRequest, requests.get_pending_request(pending_id)).pending_request

    def cancel_pending_request(self, pending_id: str, *, request_id: str | None = None) -> pending_request_service_pb2.PendingRequest:
        """End what awaits a second person without effect, and return it."""
        request = requests.cancel_pending_request(pending_id, request_id=request_id)
        return self._call(self._pending.CancelPendingRequest, request).pending_request

    def set_methodology(
        self,
        account: str,
        methodology: account_service_pb2.Methodology.ValueType,
        *,
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> account_service_pb2.SetMethodologyResponse:
        """Set what an account is margined by, such as SPAN_GRID, and return it; `validate_only` makes every check and writes nothing."""
        request = requests.set_methodology(account, methodology, validate_only=validate_only, request_id=request_id)
        return self._call(self._accounts.SetMethodology, request)

    # Reference data

    def create_instrument(
        self, instrument: reference_service_pb2.Instrument, *, request_id: str | None = None
    ) -> reference_service_pb2.Instrument:
        """Create an instrument and return it as stored."""
        request = requests.create_instrument(instrument, request_id=request_id)
        return self._call(self._reference.CreateInstrument, request).instrument

    def get_instrument(self, instrument_id: str) -> reference_service_pb2.Instrument:
        """Return an instrument."""
        return self._call(self._reference.GetInstrument, requests.get_instrument(instrument_id)).instrument

    def list_instruments(self) -> Iterator[reference_service_pb2.Instrument]:
        """Yield every instrument in the order of their ids."""
        for page in self._pages(self._reference.ListInstruments, requests.list_instruments()):
            yield from page.instruments

    def get_risk_parameters(self, parameter_set_id: str = "") -> reference_service_pb2.GetRiskParametersResponse:
        """Return a set of risk parameters; the one in force when no id is given."""
        return self._call(self._reference.GetRiskParameters, requests.get_risk_parameters(parameter_set_id))

    def propose_risk_parameters(self, document: str, *, request_id: str | None = None) -> reference_service_pb2.ParameterSet:
        """Propose a set of risk parameters, a JSON document, and return where it stands; nothing changes by it."""
        request = requests.propose_risk_parameters(document, request_id=request_id)
        return self._call(self._reference.ProposeRiskParameters, request).parameter_set

    def list_risk_parameters(self) -> Iterator[reference_service_pb2.ParameterSet]:
        """Yield where every set of risk parameters stands, in the order of their ids."""
        for page in self._pages(self._reference.ListRiskParameters, requests.list_risk_parameters()):
            yield from page.parameter_sets

    def shadow_risk_parameters(self, parameter_set_id: str) -> Iterator[reference_service_pb2.ShadowRiskParametersResponse]:
        """Yield what a set would do to each account, and at the end a summary. A run that breaks is not continued."""
        stream = self._reference.ShadowRiskParameters(requests.shadow_risk_parameters(parameter_set_id), metadata=self._metadata)
        try:
            yield from stream
        except grpc.RpcError as failure:
            raise error_from_call(failure) from None
        finally:
            stream.cancel()

    def approve_risk_parameters(self, parameter_set_id: str, *, request_id: str | None = None) -> reference_service_pb2.ParameterSet:
        """Approve a set that somebody else proposed, and return where it stands."""
        request = requests.approve_risk_parameters(parameter_set_id, request_id=request_id)
        return self._call(self._reference.ApproveRiskParameters, request).parameter_set

    def activate_risk_parameters(
        self, parameter_set_id: str, *, active_from: datetime | None = None, ramp_days: int = 0, request_id: str | None = None
    ) -> reference_service_pb2.ParameterSet:
        """Put an approved set in force from a time on, the latest market unless given, at once or over some days."""
        request = requests.activate_risk_parameters(parameter_set_id, active_from=active_from, ramp_days=ramp_days, request_id=request_id)
        return self._call(self._reference.ActivateRiskParameters, request).parameter_set

    # Books

    def record_trades(
        self, account: str, trades: Iterable[book_service_pb2.Trade], *, request_id: str | None = None
    ) -> book_service_pb2.RecordTradesResponse:
        """Record 1 to 256 executed trades and return what became of each, in their order."""
        return self._call(self._books.RecordTrades, requests.record_trades(account, trades, request_id=request_id))

    def list_positions(self, account: str, *, min_seq: int = 0) -> book_service_pb2.ListPositionsResponse:
        """Return what an account holds, with the ledger entry it is as of."""
        return self._call(self._books.ListPositions, requests.list_positions(account, min_seq=min_seq))

    def list_entries(self, account: str, *, after_seq: int = 0) -> Iterator[book_service_pb2.Entry]:
        """Yield the entries of an account's ledger in sequence order, all or those after a sequence."""
        for page in self._pages(self._books.ListEntries, requests.list_entries(account, after_seq=after_seq)):
            yield from page.entries

    def cancel_trade(
        self, account: str, sequence: int, *, reason: str, request_id: str | None = None
    ) -> book_service_pb2.CancelTradeResponse:
        """Take a trade back, once, and return where its reverse is."""
        return self._call(self._books.CancelTrade, requests.cancel_trade(account, sequence, reason=reason, request_id=request_id))

    def list_trades(self, account: str, *, book: str = "", instrument_id: str = "") -> Iterator[book_service_pb2.BookedTrade]:
        """Yield every trade of an account in sequence order, cancelled ones too; of one book or instrument where given."""
        for page in self._pages(self._books.ListTrades, requests.list_trades(account, book=book, instrument_id=instrument_id)):
            yield from page.trades

    def apply_lifecycle_event(
        self, event: book_service_pb2.LifecycleEvent, *, account: str = "", request_id: str | None = None, patience_s: float = 60.0
    ) -> Iterator[book_service_pb2.ApplyLifecycleEventResponse]:
        """Apply an event (see `crossmargin_client.lifecycle`) and yield the outcome of each account, and at the end a summary.

        It is booked as the outcomes come, so read to the end. A run that breaks is run again under the same name and goes on where it
        stopped; after `patience_s` seconds without an outcome the error is raised.
        """
        request = requests.apply_lifecycle_event(event, account=account, request_id=request_id)
        connections = retries.Reconnections(patience_s)
        told: set[str] = set()
        while True:
            stream = self._books.ApplyLifecycleEvent(request, metadata=self._metadata)
            failure: grpc.RpcError | None = None
            try:
                for response in stream:
                    if response.HasField("summary"):
                        yield response
                        return
                    if response.outcome.account not in told:
                        connections.heard()
                        told.add(response.outcome.account)
                        yield response
            except grpc.RpcError as broken:
                failure = broken
            finally:
                stream.cancel()
            time.sleep(connections.delay_after(failure))

    def cancel_lifecycle_event(
        self, account: str, sequence: int, *, reason: str, request_id: str | None = None
    ) -> book_service_pb2.CancelLifecycleEventResponse:
        """Take back what an event did to an account, once, and return where its reverse is."""
        request = requests.cancel_lifecycle_event(account, sequence, reason=reason, request_id=request_id)
        return self._call(self._books.CancelLifecycleEvent, request)

    def settle_trades(
        self, settle_date: date, *, account: str = "", request_id: str | None = None, patience_s: float = 60.0
    ) -> Iterator[book_service_pb2.SettleTradesResponse]:
        """Settle the trades that are due by a day, and yield what was settled of each account. Read to the end.

        A run that breaks is run again: what it settled and did not tell is settled.
        """
        request = requests.settle_trades(settle_date, account=account, request_id=request_id)
        connections = retries.Reconnections(patience_s)
        while True:
            stream = self._books.SettleTrades(request, metadata=self._metadata)
            failure: grpc.RpcError | None = None
            try:
                for response in stream:
                    connections.heard()
                    yield response
            except grpc.RpcError as broken:
                failure = broken
            else:
                return
            finally:
                stream.cancel()
            time.sleep(connections.delay_after(failure))

    def watch_positions(
        self, account: str, *, after_seq: int | None = None, patience_s: float = 60.0
    ) -> Iterator[book_service_pb2.WatchPositionsResponse]:
        """Yield what an account holds, entry by entry: the present state first, or what comes after a sequence when one is given.

        Never ends by itself. A broken stream, also one that was cut because it was not read, is opened again after the last message, so
        that no entry is missed or yielded twice; after `patience_s` seconds without one the error is raised.
        """
        connections = retries.Reconnections(patience_s)
        seen = after_seq
        while True:
            stream = self._books.WatchPositions(requests.watch_positions(account, after_seq=seen), metadata=self._metadata)
            failure: grpc.RpcError | None = None
            try:
                for response in stream:
                    connections.heard()
                    seen = response.seq
                    yield response
            except grpc.RpcError as broken:
                failure = broken
            finally:
                stream.cancel()
            time.sleep(connections.delay_after(failure))

    def list_due_events(self, account: str = "") -> book_service_pb2.ListDueEventsResponse:
        """Return the lifecycle events that are due and that nobody has booked, oldest first; of one account where given."""
        return self._call(self._books.ListDueEvents, requests.list_due_events(account))

    def get_statement(self, account: str, day: date) -> book_service_pb2.GetStatementResponse:
        """Return an account at the beginning and end of a day, UTC; `add_up` proves it with the entries between."""
        return self._call(self._books.GetStatement, requests.get_statement(account, day))

    # Reconciliation

    def reconcile_statement(
        self,
        source: str,
        as_of: datetime,
        lines: Iterable[reconciliation_service_pb2.StatementLine],
        *,
        accounts: Iterable[str] = (),
        instruments: Iterable[str] = (),
        tolerance: Exact | None = None,
        request_id: str | None = None,
    ) -> reconciliation_service_pb2.ReconcileStatementResponse:
        """Compare a statement with the books and return its breaks; `accounts` are those that it lists nothing of, too."""
        request = requests.reconcile_statement(
            source, as_of, lines, accounts=accounts, instruments=instruments, tolerance=tolerance, request_id=request_id
        )
        return self._call(self._reconciliation.ReconcileStatement, request)

    def list_breaks(
        self,
        *,
        source: str = "",
        statement_id: str = "",
        account: str = "",
        state: reconciliation_service_pb2.BreakState.ValueType = reconciliation_service_pb2.BREAK_STATE_UNSPECIFIED,
    ) -> Iterator[reconciliation_service_pb2.Break]:
        """Yield breaks, oldest statement first; what is left out chooses all."""
        request = requests.list_breaks(source=source, statement_id=statement_id, account=account, state=state)
        for page in self._pages(self._reconciliation.ListBreaks, request):
            yield from page.breaks

    def explain_break(
        self, statement_id: str, account: str, instrument_id: str, note: str, *, request_id: str | None = None
    ) -> reconciliation_service_pb2.Break:
        """Say what is behind a break and return it; it stays in the lists."""
        request = requests.explain_break(statement_id, account, instrument_id, note, request_id=request_id)
        return (self._call(self._reconciliation.ExplainBreak, request)).noted_break

    def close_break(
        self, statement_id: str, account: str, instrument_id: str, note: str, *, request_id: str | None = None
    ) -> reconciliation_service_pb2.Break:
        """Say that a break is settled and return it; it takes no more notes."""
        request = requests.close_break(statement_id, account, instrument_id, note, request_id=request_id)
        return (self._call(self._reconciliation.CloseBreak, request)).noted_break

    # Collateral

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
    ) -> collateral_service_pb2.DepositResponse:
        """Record collateral received and return its place in the ledger."""
        request = requests.deposit(
            account, instrument_id, quantity, received_at=received_at, book=book, reference=reference, request_id=request_id
        )
        return self._call(self._collateral.Deposit, request)

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
    ) -> collateral_service_pb2.WithdrawResponse:
        """Let collateral leave if the account can spare it; `validate_only` says whether it may and writes nothing.

        A large one takes two persons: the first one's answer has a `pending_request`; the second one sends the same and its `pending_id`
        as `confirms`.

        Raises:
            PreconditionFailed: INSUFFICIENT_MARGIN or INSUFFICIENT_HOLDING, with `largest_quantity` as metadata; LIMIT_EXCEEDED; HALTED.
        """
        request = requests.withdraw(
            account,
            instrument_id,
            quantity,
            book=book,
            reference=reference,
            validate_only=validate_only,
            confirms=confirms,
            request_id=request_id,
        )
        return self._call(self._collateral.Withdraw, request)

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
    ) -> collateral_service_pb2.TransferResponse:
        """Move collateral between a core account and its isolated bucket; raises as `withdraw` of the account that gives."""
        request = requests.transfer(
            source_account,
            destination_account,
            instrument_id,
            quantity,
            book=book,
            reference=reference,
            validate_only=validate_only,
            request_id=request_id,
        )
        return self._call(self._collateral.Transfer, request)

    def set_policy(
        self,
        account: str,
        instrument_id: str,
        policy: collateral_service_pb2.CollateralPolicy.ValueType,
        *,
        request_id: str | None = None,
    ) -> collateral_service_pb2.CollateralPolicy.ValueType:
        """Set how an account's holding of an asset counts, RISKED, PLEDGED or AUTO, and return it as stored."""
        request = requests.set_policy(account, instrument_id, policy, request_id=request_id)
        return self._call(self._collateral.SetPolicy, request).policy

    def list_holdings(self, account: str, *, min_seq: int = 0) -> collateral_service_pb2.ListHoldingsResponse:
        """Return what an account's holdings count for as collateral."""
        return self._call(self._collateral.ListHoldings, requests.list_holdings(account, min_seq=min_seq))

    def suggest_top_up(
        self,
        account: str,
        inventory: Iterable[collateral_service_pb2.InventoryItem],
        *,
        target_utilization: Exact | None = None,
        clears_call: bool = False,
        min_seq: int = 0,
    ) -> collateral_service_pb2.SuggestTopUpResponse:
        """Return the cheapest delivery out of an inventory that brings an account to a goal; nothing is stored.

        The goal is that equity covers the initial margin; or that utilization is at most a target; or that the open margin call is met.
        """
        request = requests.suggest_top_up(
            account, inventory, target_utilization=target_utilization, clears_call=clears_call, min_seq=min_seq
        )
        return self._call(self._collateral.SuggestTopUp, request)

    # Market

    def publish_snapshot(self, as_of: datetime, levels: Mapping[str, Exact], marks: Mapping[str, Exact] | None = None) -> str:
        """Publish a market snapshot and return its id: levels of risk factors, marks of instruments as each quotes."""
        return self._call(self._market.PublishSnapshot, requests.publish_snapshot(as_of, levels, marks or {})).snapshot_id

    def publish_quotes(self, source: str, quotes: Sequence[market_service_pb2.Quote]) -> list[market_service_pb2.PublishQuotesResponse]:
        """Publish quotes of one source and return what came of them, an answer for each thousand; all are durable then.

        After a break what was not acknowledged is sent again, and ignored where it had arrived. Without quotes the one answer says how far
        the source has come. `QuotePublisher` numbers quotes by itself.
        """
        messages = requests.publish_quotes(source, quotes)
        answers: list[market_service_pb2.PublishQuotesResponse] = []
        attempts = retries.Attempts(self.timeout_s)
        while len(answers) < len(messages):
            stream = self._market.PublishQuotes(iter(messages[len(answers) :]), timeout=attempts.remaining_s, metadata=self._metadata)
            try:
                for answer in stream:
                    answers.append(answer)  # noqa: PERF402 - what was answered before a break counts
            except grpc.RpcError as failure:
                time.sleep(attempts.delay_after(failure))
        return answers

    def get_breakers(self) -> market_service_pb2.GetBreakersResponse:
        """Return where the breakers stand, and what stands still for it."""
        return self._call(self._market.GetBreakers, market_service_pb2.GetBreakersRequest())

    def reset_breaker(self, kind: market_service_pb2.BreakerKind.ValueType, note: str) -> market_service_pb2.Breaker:
        """Reset a breaker with a note of what was found, and return where it stands."""
        request = market_service_pb2.ResetBreakerRequest(kind=kind, note=note)
        return self._call(self._market.ResetBreaker, request).breaker

    def get_snapshot(self, snapshot_id: str = "") -> market_service_pb2.GetSnapshotResponse:
        """Return a market snapshot; the latest when no id is given."""
        return self._call(self._market.GetSnapshot, requests.get_snapshot(snapshot_id))

    def import_history(
        self, dates: Sequence[date], columns: Mapping[str, Sequence[Exact | None]]
    ) -> market_service_pb2.ImportHistoryResponse:
        """Import daily levels of risk factors, all or nothing. None in a column is a day without a level."""
        return self._stream(self._market.ImportHistory, requests.import_history(dates, columns))

    # Margin

    def get_margin(self, account: str, *, min_seq: int = 0) -> margin_service_pb2.Margin:
        """Return the margin of an account at the latest snapshot."""
        return self._call(self._margin.GetMargin, requests.get_margin(account, min_seq=min_seq)).margin

    def get_standing(self, account: str, *, min_seq: int = 0) -> margin_service_pb2.GetMarginResponse:
        """Return the margin of an account with its open orders at worst, and what is used of its limits."""
        return self._call(self._margin.GetMargin, requests.get_margin(account, min_seq=min_seq))

    def reserve_margin(
        self, account: str, order: margin_service_pb2.Order, *, request_id: str | None = None
    ) -> margin_service_pb2.ReserveMarginResponse:
        """Approve an order (see `order`) and hold its margin until it has filled or is released.

        Raises:
            PreconditionFailed: It was refused, for good under its request id: INSUFFICIENT_MARGIN, LIMIT_EXCEEDED, TOO_MANY_RESERVATIONS or
                HALTED.
        """
        return self._call(self._margin.ReserveMargin, requests.reserve_margin(account, order, request_id=request_id))

    def release_reservation(
        self, account: str, reservation: int, *, request_id: str | None = None
    ) -> margin_service_pb2.ReleaseReservationResponse:
        """End what is left of a reservation: its order was cancelled, or is not open any more."""
        request = requests.release_reservation(account, reservation, request_id=request_id)
        return self._call(self._margin.ReleaseReservation, request)

    def list_reservations(self, account: str) -> Iterator[margin_service_pb2.Reservation]:
        """Yield every reservation of an account in the order of their numbers, ended ones included."""
        for page in self._pages(self._margin.ListReservations, requests.list_reservations(account)):
            yield from page.reservations

    def explain_margin(self, account: str, *, min_seq: int = 0) -> margin_service_pb2.ExplainMarginResponse:
        """Return the margin of an account with its contributions, offset groups, worst scenarios and collateral."""
        return self._call(self._margin.ExplainMargin, requests.explain_margin(account, min_seq=min_seq))

    def compare_methodologies(self, account: str, *, min_seq: int = 0) -> margin_service_pb2.CompareMethodologiesResponse:
        """Return the margin of an account by every methodology, side by side."""
        return self._call(self._margin.CompareMethodologies, requests.compare_methodologies(account, min_seq=min_seq))

    def preview_trades(
        self, account: str, trades: Iterable[book_service_pb2.Trade], *, min_seq: int = 0
    ) -> margin_service_pb2.PreviewTradesResponse:
        """Return the margin before and after 1 to 256 trades that have not been done; nothing is stored."""
        return self._call(self._margin.PreviewTrades, requests.preview_trades(account, trades, min_seq=min_seq))

    def reproduce_margin(
        self, stamp: margin_service_pb2.MarginStamp, *, margin: margin_service_pb2.Margin | None = None
    ) -> margin_service_pb2.ReproduceMarginResponse:
        """Compute a past margin again from what is stored, and say whether it is the same; with `margin`, figure by figure."""
        return self._call(self._margin.ReproduceMargin, requests.reproduce_margin(stamp, margin=margin))

    def list_margin_history(
        self, account: str, *, start: datetime | None = None, end: datetime | None = None
    ) -> Iterator[margin_service_pb2.MarginPoint]:
        """Yield what house runs found of an account, oldest first, stored from `start` on and before `end` where given."""
        for page in self._pages(self._margin.ListMarginHistory, requests.list_margin_history(account, start=start, end=end)):
            yield from page.points

    def project_utilization(
        self, account: str, *, horizon: timedelta | None = None, min_seq: int = 0
    ) -> margin_service_pb2.ProjectUtilizationResponse:
        """Return where the utilization of an account goes by a horizon, 24 hours ahead without one. Nothing is called on it."""
        return self._call(self._margin.ProjectUtilization, requests.project_utilization(account, horizon=horizon, min_seq=min_seq))

    def watch_margin(
        self, account: str, *, utilization_step: Exact | None = None, patience_s: float = 60.0
    ) -> Iterator[margin_service_pb2.Margin]:
        """Yield the margin of an account: at once, then whenever its band changes or its utilization moves by a step.

        Never ends by itself. A broken stream is opened again, and its first message is the present state; after `patience_s` seconds
        without one the error is raised.
        """
        request = requests.watch_margin(account, utilization_step=utilization_step)
        connections = retries.Reconnections(patience_s)
        while True:
            stream = self._margin.WatchMargin(request, metadata=self._metadata)
            failure: grpc.RpcError | None = None
            try:
                for response in stream:
                    connections.heard()
                    yield response.margin
            except grpc.RpcError as broken:
                failure = broken
            finally:
                stream.cancel()
            time.sleep(connections.delay_after(failure))

    # Margin calls

    def list_calls(self, scope: str = "", *, only_open: bool = False) -> Iterator[margin_call_service_pb2.MarginCall]:
        """Yield margin calls by account and number: of clients/{client}, of an account, or of all."""
        for page in self._pages(self._calls.ListCalls, requests.list_calls(scope, only_open=only_open)):
            yield from page.calls

    def get_call(self, account: str, number: int) -> margin_call_service_pb2.GetCallResponse:
        """Return a margin call with everything that happened to it."""
        return self._call(self._calls.GetCall, requests.get_call(account, number))

    def acknowledge_call(
        self, account: str, number: int, text: str = "", *, request_id: str | None = None
    ) -> margin_call_service_pb2.MarginCall:
        """Say that the client has a call, and return it."""
        return self._call(self._calls.AcknowledgeCall, requests.acknowledge_call(account, number, text, request_id=request_id)).call

    def dispute_call(
        self,
        account: str,
        number: int,
        reason: margin_call_service_pb2.DisputeReason.ValueType,
        text: str,
        *,
        request_id: str | None = None,
    ) -> margin_call_service_pb2.MarginCall:
        """Say that the client does not agree with a call, and return it; it is due as before."""
        return self._call(self._calls.DisputeCall, requests.dispute_call(account, number, reason, text, request_id=request_id)).call

    def settle_call(self, account: str, number: int, *, request_id: str | None = None) -> margin_call_service_pb2.MarginCall:
        """Recognise at once what is in the ledger, and return the call; unchanged when nothing came in."""
        return self._call(self._calls.SettleCall, requests.settle_call(account, number, request_id=request_id)).call

    def waive_call(
        self, account: str, number: int, text: str, *, confirms: str = "", request_id: str | None = None
    ) -> margin_call_service_pb2.WaiveCallResponse:
        """Let a call go unmet, once two persons have asked for it: the second one sends the same and the first's `pending_id`."""
        request = requests.waive_call(account, number, text, confirms=confirms, request_id=request_id)
        return self._call(self._calls.WaiveCall, request)

    def escalate_call(
        self, account: str, number: int, text: str, *, confirms: str = "", request_id: str | None = None
    ) -> margin_call_service_pb2.EscalateCallResponse:
        """Hand a call to the liquidation authority, once two persons have asked for it."""
        request = requests.escalate_call(account, number, text, confirms=confirms, request_id=request_id)
        return self._call(self._calls.EscalateCall, request)

    def set_call_terms(
        self, terms: margin_call_service_pb2.CallTerms, *, confirms: str = "", request_id: str | None = None
    ) -> margin_call_service_pb2.SetCallTermsResponse:
        """Set what is agreed about margin calls, once two persons have asked for it."""
        return self._call(self._calls.SetCallTerms, requests.set_call_terms(terms, confirms=confirms, request_id=request_id))

    def get_call_terms(self, account: str) -> margin_call_service_pb2.CallTerms:
        """Return the terms that calls on an account follow."""
        return self._call(self._calls.GetCallTerms, requests.get_call_terms(account)).terms

    def watch_call_notices(
        self, account: str, *, after_seq: int = 0, patience_s: float = 60.0
    ) -> Iterator[margin_call_service_pb2.CallNotice]:
        """Yield what happens to the margin calls of an account, after the number of a notice, in order and each once.

        Never ends by itself. A broken stream is opened again where it ended; after `patience_s` seconds without one the error is raised.
        """
        connections = retries.Reconnections(patience_s)
        while True:
            stream = self._calls.WatchCallNotices(requests.watch_call_notices(account, after_seq=after_seq), metadata=self._metadata)
            failure: grpc.RpcError | None = None
            try:
                for response in stream:
                    connections.heard()
                    after_seq = response.notice.sequence
                    yield response.notice
            except grpc.RpcError as broken:
                failure = broken
            finally:
                stream.cancel()
            time.sleep(connections.delay_after(failure))

    # Risk

    def run_backtest(
        self,
        *,
        account: str = "",
        books: Iterable[str] = (),
        first_day: date | None = None,
        last_day: date | None = None,
        every: int = 1,
        confidence: Exact | None = None,
        parameter_set_id: str = "",
    ) -> Iterator[risk_service_pb2.RunBacktestResponse]:
        """Yield the plan of a backtest, its progress, and at the end one message for each book: an account, or benchmark books.

        Stop reading to stop the test. One that breaks is not continued.
        """
        request = requests.run_backtest(
            account=account,
            books=books,
            first_day=first_day,
            last_day=last_day,
            every=every,
            confidence=confidence,
            parameter_set_id=parameter_set_id,
        )
        return self._results(self._risk.RunBacktest, request)

    def list_stress_scenarios(self) -> risk_service_pb2.ListStressScenariosResponse:
        """Return the named scenarios of the risk parameters in force."""
        return self._call(self._risk.ListStressScenarios, risk_service_pb2.ListStressScenariosRequest())

    def run_stress(
        self,
        *,
        account: str = "",
        scenarios: Iterable[str] = (),
        ad_hoc: Iterable[risk_service_pb2.AdHocScenario] = (),
        correlation: bool = False,
        accounts_shown: int | None = None,
        positions_shown: int | None = None,
    ) -> Iterator[risk_service_pb2.RunStressResponse]:
        """Yield the plan of a stress, its progress, and the outcome of each scenario: of an account, or of every open one.

        With no scenario of any sort the whole library is run, and correlation stress. Stop reading to stop the run. One that breaks is
        not continued.
        """
        request = requests.run_stress(
            account=account,
            scenarios=scenarios,
            ad_hoc=ad_hoc,
            correlation=correlation,
            accounts_shown=accounts_shown,
            positions_shown=positions_shown,
        )
        return self._results(self._risk.RunStress, request)

    def reverse_stress(
        self, line: risk_service_pb2.BreakLine.ValueType, *, account: str = ""
    ) -> Iterator[risk_service_pb2.ReverseStressResponse]:
        """Yield the plan, progress, and the most plausible move that breaks an account, or each open one. Stop reading to stop."""
        return self._results(self._risk.ReverseStress, risk_service_pb2.ReverseStressRequest(account=account, line=line))

    def plan_liquidation(
        self,
        account: str,
        *,
        target_utilization: Exact | None = None,
        impact_coefficient: Exact | None = None,
        order_books: Iterable[risk_service_pb2.OrderBook] = (),
    ) -> risk_service_pb2.PlanLiquidationResponse:
        """Return which parts of an account to close, and whether it may be liquidated at all. Nothing is stored."""
        request = requests.plan_liquidation(
            account, target_utilization=target_utilization, impact_coefficient=impact_coefficient, order_books=order_books
        )
        return self._call(self._risk.PlanLiquidation, request)

    def approve_liquidation(
        self, plan: risk_service_pb2.LiquidationPlan, *, confirms: str = "", request_id: str | None = None
    ) -> risk_service_pb2.ApproveLiquidationResponse:
        """Propose a plan; or, as another person and on a newer snapshot, approve of it.

        The first one's answer has a `pending_request`; the second one sends the same plan and its `pending_id` as `confirms`.
        """
        return self._call(self._risk.ApproveLiquidation, requests.approve_liquidation(plan, confirms=confirms, request_id=request_id))

    def report_liquidation(
        self, account: str, liquidation_id: str, fills: Iterable[book_service_pb2.Trade], *, request_id: str | None = None
    ) -> risk_service_pb2.ReportLiquidationResponse:
        """Book 1 to 256 fills of a liquidation, all or none, and return it as it then stands: it may have ended with them."""
        request = requests.report_liquidation(account, liquidation_id, fills, request_id=request_id)
        return self._call(self._risk.ReportLiquidation, request)

    def abandon_liquidation(
        self, account: str, liquidation_id: str, text: str, *, request_id: str | None = None
    ) -> risk_service_pb2.Liquidation:
        """End a liquidation, saying why, and return it."""
        request = requests.abandon_liquidation(account, liquidation_id, text, request_id=request_id)
        return self._call(self._risk.AbandonLiquidation, request).liquidation

    def get_liquidation(self, account: str, liquidation_id: str) -> risk_service_pb2.GetLiquidationResponse:
        """Return a liquidation with its steps, and whether what is left may be traded now: ask before every piece."""
        request = risk_service_pb2.GetLiquidationRequest(account=account, liquidation_id=liquidation_id)
        return self._call(self._risk.GetLiquidation, request)

    def list_liquidations(self, scope: str = "", *, only_open: bool = False) -> Iterator[risk_service_pb2.Liquidation]:
        """Yield liquidations by account and time of approval: of clients/{client}, of an account, or of all."""
        for page in self._pages(self._risk.ListLiquidations, requests.list_liquidations(scope, only_open=only_open)):
            yield from page.liquidations

    def simulate_cascade(self, request: risk_service_pb2.SimulateCascadeRequest) -> Iterator[risk_service_pb2.SimulateCascadeResponse]:
        """Yield the plan of a cascade, round 0, which is the shock alone, every round, and what it came to. Stop reading to stop."""
        return self._results(self._risk.SimulateCascade, request)

    def advise_margin_mode(self, account: str, *, min_seq: int = 0) -> risk_service_pb2.AdviseMarginModeResponse:
        """Return for each position of a cross account whether to margin it with the rest or to wall it off, and why."""
        return self._call(self._risk.AdviseMarginMode, risk_service_pb2.AdviseMarginModeRequest(account=account, min_seq=min_seq))

    def _results(self, method: grpc.UnaryStreamMultiCallable[Request, Response], request: Request) -> Iterator[Response]:
        stream = method(request, metadata=self._metadata)
        try:
            yield from stream
        except grpc.RpcError as failure:
            raise error_from_call(failure) from None
        finally:
            stream.cancel()

    def _call(self, method: grpc.UnaryUnaryMultiCallable[Request, Response], request: Request) -> Response:
        attempts = retries.Attempts(self.timeout_s, request_id=requests.request_id_of(request))
        while True:
            try:
                return method(request, timeout=attempts.remaining_s, metadata=self._metadata)
            except grpc.RpcError as failure:
                time.sleep(attempts.delay_after(failure))

    def _stream(self, method: grpc.StreamUnaryMultiCallable[Request, Response], messages: Sequence[Request]) -> Response:
        attempts = retries.Attempts(requests.TIMEOUT_FACTOR_OF_HISTORY * self.timeout_s)
        while True:
            try:
                return method(iter(messages), timeout=attempts.remaining_s, metadata=self._metadata)
            except grpc.RpcError as failure:
                time.sleep(attempts.delay_after(failure))

    def _pages(self, method: grpc.UnaryUnaryMultiCallable[PagedRequest, PagedResponse], request: PagedRequest) -> Iterator[PagedResponse]:
        following: PagedRequest | None = request
        while following is not None:
            page = self._call(method, following)
            yield page
            following = requests.next_page(following, page)
