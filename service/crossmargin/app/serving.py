"""The process that serves."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import version as version_of
from traceback import format_tb
from typing import TYPE_CHECKING, Any, Final

import structlog
from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR, CollectorRegistry
from psycopg.conninfo import make_conninfo

from crossmargin.adapters.grpc_server.server import GrpcServer, build_server
from crossmargin.adapters.postgres.migrate import expected_revision, upgrade
from crossmargin.adapters.postgres.server_checks import DatabaseRefusedError
from crossmargin.adapters.postgres.walls import make_login
from crossmargin.adapters.prometheus.admin_server import AdminServer
from crossmargin.adapters.prometheus.build_metrics import publish_build
from crossmargin.adapters.prometheus.database_metrics import DatabaseMetrics
from crossmargin.adapters.prometheus.engine_metrics import EngineMetrics, TimedComputePool
from crossmargin.adapters.prometheus.rpc_metrics import RpcMetrics
from crossmargin.adapters.runtime.audit_log import log_audit_event
from crossmargin.adapters.runtime.logs import configure_logs
from crossmargin.adapters.runtime.open_files import allow_open_files
from crossmargin.adapters.runtime.readiness import Readiness
from crossmargin.adapters.runtime.ready_file import write_ready_file
from crossmargin.app.access import access
from crossmargin.app.databases import EMBEDDED_LOGIN, database_url, open_database
from crossmargin.app.extras import chosen_kernels, compute_pool, tracing_if_asked
from crossmargin.app.migrating import check_walls
from crossmargin.app.monitor import anchor_key, guard_ledger, monitor_duties, open_leadership
from crossmargin.app.ports import postgres_ports, store_shipped_parameters
from crossmargin.app.start_error import StartError
from crossmargin.app.use_cases import build_use_cases
from crossmargin.config import Settings
from crossmargin.domain.errors import DomainError
from crossmargin.engine.kernels.choice import Kernels
from crossmargin.usecases.current_market import CurrentMarket
from crossmargin.usecases.keep_audit import KeepAudit
from crossmargin.usecases.reap_reservations import ReapReservations

if TYPE_CHECKING:
    from crossmargin.adapters.tracing.tracing import Tracing


log = structlog.get_logger()

SWITCH_INTERVAL_S: Final = 0.0002
"""How long a thread that computes keeps the interpreter from one that wants it. With Python's own 5 ms the event loop would wait so long
again and again while a house is margined; computing takes no longer for it."""


def serve(settings: Settings) -> None:
    """Serve the API until SIGTERM or SIGINT, then let running calls end.

    Raises:
        StartError: The database or an address cannot be had.
    """
    tracing = tracing_if_asked(settings)
    configure_logs(tracing.log_fields if tracing is not None else ())
    allow_open_files()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    kernels = chosen_kernels(settings)
    # What is there now stays to the end: no later collection, which calls have to wait for, looks at it again.
    gc.freeze()
    with database_url(settings) as url:
        if settings.embedded:
            upgrade(url)
            make_login(url, EMBEDDED_LOGIN)
            url = make_conninfo(url, user=EMBEDDED_LOGIN)  # noqa: PLW2901 - the owner's is not used from here on
        check_walls(settings, url)
        asyncio.run(_serve(settings, url, tracing, kernels))


async def _serve(settings: Settings, url: str, tracing: Tracing | None, kernels: Kernels) -> None:
    stopping = _stop_on_signals()
    signs_anchors = anchor_key(settings)
    async with AsyncExitStack() as resources:
        if tracing is not None:
            resources.callback(tracing.close)
        database = await resources.enter_async_context(open_database(settings, url, tracing))
        compute = await resources.enter_async_context(compute_pool(settings))
        registry = _new_registry()
        compute = TimedComputePool(compute, EngineMetrics(registry))
        ports = postgres_ports(database, compute=compute, registry=registry, halt_alert_s=settings.halt_alert_s)
        if tracing is not None:
            ports = replace(ports, writer=tracing.writer(ports.writer), compute=tracing.compute(ports.compute))
        await store_shipped_parameters(ports)
        publish_build(registry, version=version_of("crossmargin"), schema_revision=expected_revision())
        DatabaseMetrics(registry, database.pool_statistics)
        current_market = CurrentMarket(ports.instruments, ports.market, ports.parameters, ports.compute, kernels)
        use_cases = build_use_cases(
            ports,
            current_market,
            withdrawal_alone_limit=settings.withdrawal_alone_limit,
            withdrawal_window=timedelta(seconds=settings.withdrawal_window_s),
        )
        audit = KeepAudit(ports.audit, log_audit_event, ports.clock)
        resources.push_async_callback(_flush, audit)
        counted = RpcMetrics(registry)
        server = build_server(
            use_cases,
            address=settings.grpc_address,
            access=access(settings, audit, ports.clock, registry),
            metrics=counted if tracing is None else tracing.rpc_metrics(counted),
            reflection=settings.reflection,
            outer_interceptors=() if tracing is None else (tracing.interceptor,),
        )
        readiness = Readiness(database.check_schema, server.set_serving, refusals=(DatabaseRefusedError,))
        admin = _start_admin(settings, registry, readiness)
        resources.callback(admin.stop)
        grpc_port = await _start_grpc(settings, server)
        # Whatever ends this, calls end before what they stand on is closed.
        resources.push_async_callback(server.stop, 0)
        # A task that fails takes the process down with it: a replica that looks alive and is blind helps nobody.
        async with asyncio.TaskGroup() as background:
            tasks = [background.create_task(_until_it_fails("readiness", readiness.watch()))]
            tasks.append(background.create_task(_until_it_fails("audit", audit())))
            reaper = ReapReservations(ports.writer, ports.books, ports.clock)
            tasks.append(background.create_task(_until_it_fails("reaper", reaper())))
            if settings.monitor:
                leadership = await resources.enter_async_context(open_leadership(url))
                duties = monitor_duties(settings, ports, use_cases, current_market, leadership=leadership, registry=registry)
                tasks.extend(background.create_task(_until_it_fails(name, duty)) for name, duty in duties.items())
                guard = guard_ledger(settings, database, leadership, signs_anchors, registry)
                tasks.extend(background.create_task(_until_it_fails("ledger", duty())) for duty in guard.duties())
            _announce(settings, grpc_port, admin.port, kernels)
            await stopping.wait()
            log.info("stopping", drain_s=settings.drain_s)
            readiness.stop()
            await server.stop(settings.drain_s)
            for task in tasks:
                task.cancel()


async def _flush(audit: KeepAudit) -> None:
    # What cannot be stored any more is in the log.
    with suppress(DomainError):
        await audit.flush()


async def _until_it_fails(name: str, work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception as error:
        # Said at once, because what ends the process meanwhile takes its time.
        stack = "".join(format_tb(error.__traceback__))
        log.error("background task failed", task=name, error=type(error).__qualname__, stack=stack)  # noqa: TRY400 - it would add values
        raise


def _new_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
        registry.register(collector)
    return registry


def _stop_on_signals() -> asyncio.Event:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


async def _start_grpc(settings: Settings, server: GrpcServer) -> int:
    try:
        return await server.start()
    except RuntimeError as error:
        raise StartError(f"gRPC address {settings.grpc_address} cannot be used, perhaps another process has it; choose another") from error


def _start_admin(settings: Settings, registry: CollectorRegistry, readiness: Readiness) -> AdminServer:
    host, _, port = settings.admin_address.rpartition(":")
    try:
        admin = AdminServer(host.strip("[]"), int(port), registry, why_not_ready=lambda: readiness.why_not)
    except OSError as error:
        raise StartError(f"admin address {settings.admin_address} cannot be used: {error.strerror}; choose another") from error
    admin.start()
    return admin


def _announce(settings: Settings, grpc_port: int, admin_port: int, kernels: Kernels) -> None:
    grpc_address = f"{settings.grpc_address.rpartition(':')[0]}:{grpc_port}"
    admin_address = f"{settings.admin_address.rpartition(':')[0]}:{admin_port}"
    log.info("serving", grpc_address=grpc_address, admin_address=admin_address, engine=kernels.engine_version)
    if settings.ready_file is not None:
        write_ready_file(settings.ready_file, grpc_address=grpc_address, admin_address=admin_address)
