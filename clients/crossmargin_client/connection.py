"""A connection to the service: its channel, what each call shows of its caller, and the services at its other end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeAlias, TypeVar

import grpc
import grpc.aio

from crossmargin.api.v1 import (
    account_service_pb2_grpc,
    audit_service_pb2_grpc,
    book_service_pb2_grpc,
    collateral_service_pb2_grpc,
    margin_call_service_pb2_grpc,
    margin_service_pb2_grpc,
    market_service_pb2_grpc,
    pending_request_service_pb2_grpc,
    reconciliation_service_pb2_grpc,
    reference_service_pb2_grpc,
    risk_service_pb2_grpc,
)
from crossmargin_client.channels import DEFAULT_TARGET, channel_options, principal_metadata
from crossmargin_client.security import TlsFiles, TokenSource, authorization

Channel = TypeVar("Channel", grpc.Channel, grpc.aio.Channel)
Interceptor = TypeVar("Interceptor")
DEFAULT_TIMEOUT_S: Final = 10.0
SyncInterceptor: TypeAlias = (
    grpc.UnaryUnaryClientInterceptor
    | grpc.UnaryStreamClientInterceptor
    | grpc.StreamUnaryClientInterceptor
    | grpc.StreamStreamClientInterceptor
)


class Services:
    """Every service of the API, over one channel. Over an asyncio channel its methods answer with awaitables."""

    def __init__(self, channel: grpc.Channel | grpc.aio.Channel) -> None:
        self.accounts = account_service_pb2_grpc.AccountServiceStub(channel)
        self.audit = audit_service_pb2_grpc.AuditServiceStub(channel)
        self.books = book_service_pb2_grpc.BookServiceStub(channel)
        self.collateral = collateral_service_pb2_grpc.CollateralServiceStub(channel)
        self.margin = margin_service_pb2_grpc.MarginServiceStub(channel)
        self.margin_calls = margin_call_service_pb2_grpc.MarginCallServiceStub(channel)
        self.market = market_service_pb2_grpc.MarketServiceStub(channel)
        self.pending_requests = pending_request_service_pb2_grpc.PendingRequestServiceStub(channel)
        self.reconciliation = reconciliation_service_pb2_grpc.ReconciliationServiceStub(channel)
        self.reference = reference_service_pb2_grpc.ReferenceServiceStub(channel)
        self.risk = risk_service_pb2_grpc.RiskServiceStub(channel)


class Connection(ABC, Generic[Channel, Interceptor]):
    """What both clients are: a channel to the service that is made anew when the caller's certificate has been replaced."""

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

    @abstractmethod
    def _open(self, credentials: grpc.ChannelCredentials | None) -> Channel:
        """Return a new channel to the target."""

    def _connect(self, credentials: grpc.ChannelCredentials | None) -> None:
        self._tls_state = () if self._tls is None else self._tls.state()
        self._channel: Channel = self._open(credentials)
        self._services = Services(self._channel)

    @property
    def _metadata(self) -> tuple[tuple[str, str], ...]:
        """What the call that is being made shows; the next one goes over a new connection if the certificate has been replaced."""
        if self._tls is not None and self._tls.state() not in {(), self._tls_state}:
            self._connect(self._tls.credentials())
            # This call still goes over the old connection, to whose certificate the new token does not belong.
            return self._shown
        self._shown = (*self._principal, *authorization(self._token))
        return self._shown

    def _start(self, method: Callable[[Services], Any], message: object, timeout_s: float | None) -> Any:  # noqa: ANN401 - as the method is
        return method(self._services)(message, timeout=timeout_s, metadata=self._metadata)


class SyncConnection(Connection[grpc.Channel, SyncInterceptor]):
    """A connection whose calls block."""

    def _open(self, credentials: grpc.ChannelCredentials | None) -> grpc.Channel:
        channel = (
            grpc.insecure_channel(self.target, options=channel_options())
            if credentials is None
            else grpc.secure_channel(self.target, credentials, options=channel_options())
        )
        return grpc.intercept_channel(channel, *self._interceptors) if self._interceptors else channel


class AsyncConnection(Connection[grpc.aio.Channel, grpc.aio.ClientInterceptor]):
    """A connection whose calls are awaited, in one event loop."""

    def _open(self, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
        if credentials is None:
            return grpc.aio.insecure_channel(self.target, options=channel_options(), interceptors=self._interceptors)
        return grpc.aio.secure_channel(self.target, credentials, options=channel_options(), interceptors=self._interceptors)


def start(connection: Connection[Any, Any], method: Callable[[Services], Any], message: object, *, timeout_s: float | None = None) -> Any:  # noqa: ANN401 - a response, an iterator, or what is awaited for either, as the method is
    """Start a call of a method, with a request or an iterator of them, and return what gRPC returns."""
    return connection._start(method, message, timeout_s)  # noqa: SLF001 - users of a client should not be shown it
