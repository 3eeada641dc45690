"""The gRPC server: services, limits, health and reflection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, cast

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_reflection.v1alpha import reflection, reflection_pb2
from protovalidate import Validator

from crossmargin.adapters.grpc_server.access_gate import AccessGate
from crossmargin.adapters.grpc_server.access_policy import read_policy, shipped_policy
from crossmargin.adapters.grpc_server.account_service import AccountService
from crossmargin.adapters.grpc_server.audit_service import AuditService
from crossmargin.adapters.grpc_server.book_service import BookService
from crossmargin.adapters.grpc_server.call_limits import CallLimits
from crossmargin.adapters.grpc_server.collateral_service import CollateralService
from crossmargin.adapters.grpc_server.context import Identify
from crossmargin.adapters.grpc_server.conversation import Stopping
from crossmargin.adapters.grpc_server.interceptors import REAUTHORISE_S, CallInterceptor, RpcMetrics
from crossmargin.adapters.grpc_server.margin_call_service import MarginCallService
from crossmargin.adapters.grpc_server.margin_service import MarginService
from crossmargin.adapters.grpc_server.market_service import MarketService
from crossmargin.adapters.grpc_server.pending_request_service import PendingRequestService
from crossmargin.adapters.grpc_server.reconciliation_service import ReconciliationService
from crossmargin.adapters.grpc_server.reference_service import ReferenceService
from crossmargin.adapters.grpc_server.risk_service import RiskService
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
from crossmargin.domain.audit_event import AuditEvent
from crossmargin.usecases.ports.runtime import Clock
from crossmargin.usecases.use_cases import UseCases

LARGEST_MESSAGE_BYTES: Final = 1024 * 1024
LARGEST_METADATA_BYTES: Final = 8 * 1024
SERVICES: Final[tuple[ServiceDescriptor, ...]] = tuple(
    service
    for file in (
        reference_service_pb2,
        account_service_pb2,
        audit_service_pb2,
        book_service_pb2,
        collateral_service_pb2,
        market_service_pb2,
        margin_service_pb2,
        pending_request_service_pb2,
        reconciliation_service_pb2,
        margin_call_service_pb2,
        risk_service_pb2,
    )
    for service in file.DESCRIPTOR.services_by_name.values()
)
PROTECTED_SERVICES: Final[tuple[ServiceDescriptor, ...]] = (
    *SERVICES,
    *health_pb2.DESCRIPTOR.services_by_name.values(),
    *reflection_pb2.DESCRIPTOR.services_by_name.values(),
)
"""Everything that this server answers, and the access policy therefore decides on."""
# Batches, snapshots and blocks of history; every other request is small.
_LARGE_METHODS: Final = frozenset(
    f"/{service.full_name}/{method.name}"
    for service in SERVICES
    for method in service.methods
    if service.name == "MarketService" or method.name in {"RecordTrades", "ReconcileStatement"}
)
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", LARGEST_MESSAGE_BYTES),
    ("grpc.max_metadata_size", LARGEST_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", LARGEST_METADATA_BYTES),
    # Two servers on one port would share its calls silently.
    ("grpc.so_reuseport", 0),
    # A peer that vanished is noticed within 40 s; clients may ping every 2 s, also while no call is running.
    # Ours do every 12 s: on a machine too busy to read for ten seconds two of their pings arrive close to one another, and are not held
    # against them.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # A ping for another purpose that is under way takes the place of a keepalive's, and waits a minute unless told otherwise.
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 2_000),
)


class GrpcServer:
    """A server that says in health checks whether it should get calls: from its start, unless told otherwise, until it is stopped."""

    def __init__(
        self,
        server: grpc.aio.Server,
        health_servicer: health.aio.HealthServicer,
        stopping: Stopping,
        address: str,
        credentials: grpc.ServerCredentials | None,
    ) -> None:
        self._stopping = stopping
        self._server = server
        self._credentials = credentials
        self._health = health_servicer
        self._address = address
        self._is_serving = True
        self._announcements: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Listen and serve; return the port bound, which is a free one if the address asked for port 0.

        Raises:
            RuntimeError: The address cannot be bound, for example because somebody else listens there.
        """
        if self._credentials is None:
            port = self._server.add_insecure_port(self._address)
        else:
            port = self._server.add_secure_port(self._address, self._credentials)
        await self._server.start()
        await self._announce()
        return port

    async def stop(self, grace_s: float) -> None:
        """Take no new calls, let streams of requests end, give running calls `grace_s` seconds, then cancel them."""
        await self._health.enter_graceful_shutdown()
        self._stopping.stop()
        await self._server.stop(grace_s)

    def set_serving(self, serving: bool) -> None:  # noqa: FBT001 - the one thing there is to say
        """Say in health checks whether this process should get calls. Calls that come anyway are served."""
        self._is_serving = serving
        task = asyncio.get_running_loop().create_task(self._announce())
        # The loop itself keeps no reference to a task.
        self._announcements.add(task)
        task.add_done_callback(self._announcements.discard)

    async def _announce(self) -> None:
        status = HealthCheckResponse.SERVING if self._is_serving else HealthCheckResponse.NOT_SERVING
        for name in ("", *(service.full_name for service in SERVICES)):
            await self._health.set(name, status)


@dataclass(frozen=True, slots=True)
class Access:
    """What stands in front of every call, beside the policy.

    Attributes:
        identify: See `AccessGate`, as for `record`.
        credentials: TLS; None for a plain port, which is for loopback only.
        longest_connection_s: After so long a connection takes no more calls, so that the next one is made with a certificate that holds
            then; None for ever. Streams on it are given a tenth of that again, and continue on another.
        reauthorise_s: How often a stream is asked whether its caller would still be let in.
        limits: How much callers may ask for, and that calls have to have a deadline; None for as much as they like, on loopback.
    """

    identify: Identify
    record: Callable[[AuditEvent], None]
    clock: Clock
    credentials: grpc.ServerCredentials | None = None
    longest_connection_s: float | None = None
    reauthorise_s: float = REAUTHORISE_S
    limits: CallLimits | None = None


def build_server(
    use_cases: UseCases,
    *,
    address: str,
    access: Access,
    metrics: RpcMetrics,
    reflection: bool = True,
    outer_interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
) -> GrpcServer:
    """Return a server of the whole API at `address` (HOST:PORT), not yet started. Call it where the event loop runs.

    `outer_interceptors` are run around everything that a call goes through here.

    Raises:
        AccessPolicyError: The policy does not fit the API.
    """
    validator = _warm_validator()
    policy = read_policy(shipped_policy(), PROTECTED_SERVICES)
    gate = AccessGate(policy, access.identify, access.record, access.clock)
    interceptor = CallInterceptor(
        gate,
        metrics,
        validator,
        largest_requests=dict.fromkeys(_LARGE_METHODS, LARGEST_MESSAGE_BYTES),
        reauthorise_s=access.reauthorise_s,
        limits=access.limits,
    )
    server = grpc.aio.server(
        interceptors=[*outer_interceptors, interceptor], options=(*_OPTIONS, *_connection_age(access.longest_connection_s))
    )
    stopping = Stopping()
    by_name = cast("grpc.aio.Server", _ByName(server))
    reference_service_pb2_grpc.add_ReferenceServiceServicer_to_server(ReferenceService(use_cases), by_name)
    account_service_pb2_grpc.add_AccountServiceServicer_to_server(AccountService(use_cases), by_name)
    audit_service_pb2_grpc.add_AuditServiceServicer_to_server(AuditService(use_cases), by_name)
    book_service_pb2_grpc.add_BookServiceServicer_to_server(BookService(use_cases, validator, stopping), by_name)
    collateral_service_pb2_grpc.add_CollateralServiceServicer_to_server(CollateralService(use_cases), by_name)
    market_service_pb2_grpc.add_MarketServiceServicer_to_server(MarketService(use_cases), by_name)
    margin_service_pb2_grpc.add_MarginServiceServicer_to_server(MarginService(use_cases, stopping), by_name)
    pending_request_service_pb2_grpc.add_PendingRequestServiceServicer_to_server(PendingRequestService(use_cases), by_name)
    margin_call_service_pb2_grpc.add_MarginCallServiceServicer_to_server(MarginCallService(use_cases), by_name)
    reconciliation_service_pb2_grpc.add_ReconciliationServiceServicer_to_server(ReconciliationService(use_cases), by_name)
    risk_service_pb2_grpc.add_RiskServiceServicer_to_server(RiskService(use_cases), by_name)
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, by_name)
    if reflection:
        _add_reflection(server)
    return GrpcServer(server, health_servicer, stopping, address, access.credentials)


class _ByName:
    """Lets a server find methods by their names when they are called.

    Of methods that are registered one by one the server's loop waits for each by itself, and begins that anew at every call: with a hundred
    methods that is a tenth of a millisecond of every call.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self.add_generic_rpc_handlers = server.add_generic_rpc_handlers

    def add_registered_method_handlers(self, service_name: str, method_handlers: object) -> None:
        """Do nothing: generated code registers everything both ways."""


def _connection_age(longest_s: float | None) -> tuple[tuple[str, int], ...]:
    if longest_s is None:
        return ()
    return ("grpc.max_connection_age_ms", int(longest_s * 1000)), ("grpc.max_connection_age_grace_ms", int(longest_s * 100))


def _add_reflection(server: grpc.aio.Server) -> None:
    names = (*(service.full_name for service in SERVICES), health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)


def _warm_validator() -> Validator:
    # The rules of a message are compiled when it is first validated, which takes too long for somebody's first call.
    validator = Validator()
    for service in SERVICES:
        for method in service.methods:
            validator.collect_violations(GetMessageClass(method.input_type)())
    return validator
