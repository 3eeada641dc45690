"""The composition root: builds everything and wires it. Nothing else does."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from importlib.metadata import version as version_of
from pathlib import Path
from traceback import format_tb
from typing import TYPE_CHECKING, Any

import psycopg
import structlog
from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR, CollectorRegistry
from psycopg.conninfo import make_conninfo

from crossmargin.adapters.grpc_server.call_limits import CallBudget
from crossmargin.adapters.grpc_server.context import local_caller
from crossmargin.adapters.grpc_server.denial import Cause
from crossmargin.adapters.grpc_server.secure_access import SecureFiles, secure_access
from crossmargin.adapters.grpc_server.server import Access, GrpcServer, build_server
from crossmargin.adapters.postgres.anchors import PostgresAnchorStore
from crossmargin.adapters.postgres.audit_trail import PostgresAuditTrail
from crossmargin.adapters.postgres.books import PostgresBookReader
from crossmargin.adapters.postgres.breakers import PostgresBreakerStore
from crossmargin.adapters.postgres.database import Database
from crossmargin.adapters.postgres.instruments import PostgresInstrumentReader
from crossmargin.adapters.postgres.leadership import PostgresLeadership
from crossmargin.adapters.postgres.ledger_checks import PostgresLedgerChecks
from crossmargin.adapters.postgres.ledger_view import PostgresLedgerView
from crossmargin.adapters.postgres.liquidation import PostgresLiquidationStore
from crossmargin.adapters.postgres.margin_calls import PostgresCallStore
from crossmargin.adapters.postgres.margin_history import PostgresMarginHistory
from crossmargin.adapters.postgres.market import PostgresMarketStore
from crossmargin.adapters.postgres.migrate import current_revision, expected_revision, upgrade
from crossmargin.adapters.postgres.pending_requests import PostgresPendingRequests
from crossmargin.adapters.postgres.projections import PostgresProjections
from crossmargin.adapters.postgres.quotes import PostgresQuoteStore
from crossmargin.adapters.postgres.reconciliation import PostgresReconciliationStore
from crossmargin.adapters.postgres.risk_parameters import PostgresParameterStore
from crossmargin.adapters.postgres.server_checks import DatabaseRefusedError
from crossmargin.adapters.postgres.walls import RolesMissingError, make_login, wall_gaps
from crossmargin.adapters.postgres.writer import PostgresWriter
from crossmargin.adapters.prometheus.access_metrics import AccessMetrics
from crossmargin.adapters.prometheus.admin_server import AdminServer
from crossmargin.adapters.prometheus.breaker_metrics import BreakerMetrics
from crossmargin.adapters.prometheus.build_metrics import publish_build
from crossmargin.adapters.prometheus.call_metrics import CallMetrics
from crossmargin.adapters.prometheus.database_metrics import DatabaseMetrics
from crossmargin.adapters.prometheus.engine_metrics import EngineMetrics, TimedComputePool
from crossmargin.adapters.prometheus.ledger_metrics import LedgerMetrics
from crossmargin.adapters.prometheus.lifecycle_metrics import LifecycleMetrics
from crossmargin.adapters.prometheus.margin_metrics import MarginMetrics
from crossmargin.adapters.prometheus.market_metrics import QuoteMetrics
from crossmargin.adapters.prometheus.outlook_metrics import OutlookMetrics
from crossmargin.adapters.prometheus.request_metrics import RequestMetrics
from crossmargin.adapters.prometheus.rpc_metrics import RpcMetrics
from crossmargin.adapters.runtime.anchor_file import AnchorFile, read_anchor_file
from crossmargin.adapters.runtime.anchor_keys import (
    AnchorKey,
    AnchorKeyError,
    AnchorKeyring,
    load_anchor_key,
    load_anchor_keyring,
    load_or_create_anchor_key,
)
from crossmargin.adapters.runtime.audit_log import log_audit_event
from crossmargin.adapters.runtime.breaker_log import BreakerLog
from crossmargin.adapters.runtime.clock import SystemClock
from crossmargin.adapters.runtime.compute_pool import ThreadComputePool
from crossmargin.adapters.runtime.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError, running_url
from crossmargin.adapters.runtime.ledger_log import LedgerLog, log_repair
from crossmargin.adapters.runtime.logs import configure_logs
from crossmargin.adapters.runtime.open_files import allow_open_files
from crossmargin.adapters.runtime.readiness import Readiness
from crossmargin.adapters.runtime.ready_file import write_ready_file
from crossmargin.adapters.runtime.standard_parameters import standard_parameters
from crossmargin.config import WITHDRAWAL_ALONE_LIMIT, WITHDRAWAL_WINDOW, Settings
from crossmargin.domain.audit_event import AuditEvent
from crossmargin.domain.errors import DomainError
from crossmargin.domain.parameter_governance import put_in_force
from crossmargin.domain.projection import ProjectionDifference
from crossmargin.usecases.abandon_liquidation import AbandonLiquidation
from crossmargin.usecases.acknowledge_call import AcknowledgeCall
from crossmargin.usecases.activate_parameters import ActivateParameters
from crossmargin.usecases.advise_margin_mode import AdviseMarginMode
from crossmargin.usecases.apply_lifecycle_event import ApplyLifecycleEvent
from crossmargin.usecases.approve_liquidation import ApproveLiquidation
from crossmargin.usecases.approve_parameters import ApproveParameters
from crossmargin.usecases.build_snapshot import BuildSnapshot
from crossmargin.usecases.cancel_entry import CancelLifecycleEvent, CancelTrade
from crossmargin.usecases.cancel_pending_request import CancelPendingRequest
from crossmargin.usecases.change_call import ChangeCall
from crossmargin.usecases.check_ledger import CheckLedger
from crossmargin.usecases.compare_methodologies import CompareMethodologies
from crossmargin.usecases.create_account import CreateAccount
from crossmargin.usecases.create_client import CreateClient
from crossmargin.usecases.create_instrument import CreateInstrument
from crossmargin.usecases.current_market import CurrentMarket
from crossmargin.usecases.decide_on_market import DecideOnMarket
from crossmargin.usecases.deposit_collateral import DepositCollateral
from crossmargin.usecases.dispute_call import DisputeCall
from crossmargin.usecases.escalate_call import EscalateCall
from crossmargin.usecases.evaluate_margin import EvaluateMargin
from crossmargin.usecases.explain_margin import ExplainMargin
from crossmargin.usecases.follow_pegs import FollowPegs
from crossmargin.usecases.guard_ledger import GuardLedger
from crossmargin.usecases.halt_trading import HaltTrading
from crossmargin.usecases.import_history import ImportHistory
from crossmargin.usecases.keep_audit import KeepAudit
from crossmargin.usecases.list_due_events import ListDueEvents
from crossmargin.usecases.note_break import NoteBreak
from crossmargin.usecases.parameters_in_force import ParametersInForce
from crossmargin.usecases.plan_liquidation import PlanLiquidation
from crossmargin.usecases.ports.audit_event import AuditTrail
from crossmargin.usecases.ports.books import BookReader
from crossmargin.usecases.ports.breaker import BreakerStore
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.liquidation import LiquidationStore
from crossmargin.usecases.ports.margin import MarginHistory
from crossmargin.usecases.ports.margin_call import CallReports, CallStore
from crossmargin.usecases.ports.market import MarketStore
from crossmargin.usecases.ports.open_orders import RequestReports
from crossmargin.usecases.ports.pending_request import PendingRequests
from crossmargin.usecases.ports.quote import QuoteMetrics as QuoteMetricsPort
from crossmargin.usecases.ports.quote import QuoteStore
from crossmargin.usecases.ports.reconciliation import ReconciliationStore
from crossmargin.usecases.ports.risk_parameters import ParameterStore
from crossmargin.usecases.ports.runtime import Clock, ComputePool
from crossmargin.usecases.ports.writing import Decision, Writer, WriteRequest
from crossmargin.usecases.preview_trades import PreviewTrades
from crossmargin.usecases.project_utilization import ProjectUtilization
from crossmargin.usecases.propose_parameters import ProposeParameters
from crossmargin.usecases.publish_quotes import PublishQuotes
from crossmargin.usecases.publish_snapshot import PublishSnapshot
from crossmargin.usecases.read_account import ReadAccount
from crossmargin.usecases.read_liquidation import ReadLiquidation
from crossmargin.usecases.read_standing import ReadStanding
from crossmargin.usecases.read_statement import ReadStatement
from crossmargin.usecases.reap_reservations import ReapReservations
from crossmargin.usecases.rebuild_projections import RebuildProjections
from crossmargin.usecases.reconcile_statement import ReconcileStatement
from crossmargin.usecases.record_trades import RecordTrades
from crossmargin.usecases.release_reservation import ReleaseReservation
from crossmargin.usecases.report_liquidation import ReportLiquidation
from crossmargin.usecases.reproduce_margin import ReproduceMargin
from crossmargin.usecases.reserve_margin import ReserveMargin
from crossmargin.usecases.reset_breaker import ResetBreaker
from crossmargin.usecases.resume_trading import ResumeTrading
from crossmargin.usecases.review_calls import ReviewCalls
from crossmargin.usecases.run_backtest import RunBacktest
from crossmargin.usecases.run_house import RunHouse
from crossmargin.usecases.run_stress import RunStress
from crossmargin.usecases.set_call_terms import SetCallTerms
from crossmargin.usecases.set_collateral_policy import SetCollateralPolicy
from crossmargin.usecases.set_exposure_limits import SetExposureLimits
from crossmargin.usecases.set_methodology import SetMethodology
from crossmargin.usecases.settle_call import SettleCall
from crossmargin.usecases.settle_trades import SettleTrades
from crossmargin.usecases.shadow_parameters import ShadowParameters
from crossmargin.usecases.simulate_cascade import SimulateCascade
from crossmargin.usecases.suggest_top_up import SuggestTopUp
from crossmargin.usecases.take_anchor import TakeAnchor
from crossmargin.usecases.thin_history import ThinHistory
from crossmargin.usecases.tick_market import TickMarket
from crossmargin.usecases.transfer_collateral import TransferCollateral
from crossmargin.usecases.two_persons import TwoPersons
from crossmargin.usecases.use_cases import UseCases
from crossmargin.usecases.verify_ledger import LedgerVerdict, Report, VerifyLedger
from crossmargin.usecases.waive_call import WaiveCall
from crossmargin.usecases.watch_breakers import WatchBreakers
from crossmargin.usecases.watch_call_notices import WatchCallNotices
from crossmargin.usecases.watch_calls import WatchCalls
from crossmargin.usecases.watch_due_events import WatchDueEvents
from crossmargin.usecases.watch_margin import WatchMargin
from crossmargin.usecases.watch_outlooks import WatchOutlooks
from crossmargin.usecases.watch_positions import WatchPositions
from crossmargin.usecases.watch_requests import WatchRequests
from crossmargin.usecases.withdraw_collateral import WithdrawCollateral

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crossmargin.adapters.tracing.tracing import Tracing

SYSTEM_PRINCIPAL = "crossmargin"
EMBEDDED_LOGIN = "crossmargin_service"
"""What the service works as in an embedded database, which it owns only while it migrates it."""

log = structlog.get_logger()


class StartError(Exception):
    """The service cannot start as configured; the message says what to do."""


def serve(settings: Settings) -> None:
    """Serve the API until SIGTERM or SIGINT, then let running calls end.

    Raises:
        StartError: The database or an address cannot be had.
    """
    tracing = _tracing(settings)
    configure_logs(tracing.log_fields if tracing is not None else ())
    allow_open_files()
    with _database_url(settings) as url:
        if settings.embedded:
            upgrade(url)
            make_login(url, EMBEDDED_LOGIN)
            url = make_conninfo(url, user=EMBEDDED_LOGIN)  # noqa: PLW2901 - the owner's is not used from here on
        _check_walls(settings, url)
        asyncio.run(_serve(settings, url, tracing))


def migrate(settings: Settings) -> str:
    """Bring the database to the schema this release needs, and return a sentence that says so.

    Raises:
        StartError: The database cannot be reached, or lacks roles that somebody else has to make.
    """
    with _owner_url(settings) as url:
        try:
            upgrade(url)
        except RolesMissingError as error:
            raise StartError(str(error)) from error
        except psycopg.OperationalError as error:
            variable = "CROSSMARGIN_MIGRATION_URL" if settings.migration_url else "CROSSMARGIN_DATABASE_URL"
            raise StartError(f"the database cannot be reached; check {variable} and that it lets this user in") from error
        return f"the database is at schema revision {current_revision(url)}"


def anchor_public_key(settings: Settings) -> str:
    """Return the public half of the key that signs anchors, in PEM: what an auditor is given.

    Raises:
        StartError: There is no key.
    """
    path = settings.anchor_key_file or settings.embedded_anchor_key_file
    try:
        return load_anchor_key(path).public_pem
    except AnchorKeyError as error:
        raise StartError(str(error)) from error


def verify_ledger(settings: Settings, *, anchor_file: Path | None, public_keys: Sequence[Path], report: Report) -> LedgerVerdict:
    """Verify everything that is stored of the ledger, as of now; the service may go on meanwhile.

    Args:
        settings: Where the database is, and the service's own key and file of anchors.
        anchor_file: Anchors that were kept outside the database; the service's own file unless one is named, if it is there.
        public_keys: To check signatures with; the public half of the service's own key unless some are named, if it is there.
        report: Called with how many entries were looked at, and how many there are.

    Raises:
        StartError: The database, the file or a key cannot be read.
    """
    try:
        signatures = _anchor_keyring(settings, public_keys)
        anchors = _anchors_outside(settings, anchor_file)
        with _running_database_url(settings) as url:
            return asyncio.run(_verify(url, signatures, anchors, report))
    except (AnchorKeyError, DatabaseRefusedError) as error:
        raise StartError(str(error)) from error
    except OSError as error:
        raise StartError(f"{error.filename} cannot be read: {error.strerror}") from error


async def _verify(url: str, signatures: AnchorKeyring | None, anchor_file: Path | None, report: Report) -> LedgerVerdict:
    async with PostgresLedgerView.open(url) as view:
        # The file is read after the view was opened, so that it is never behind what the view shows by more than an anchor under way.
        outside = read_anchor_file(anchor_file) if anchor_file is not None else None
        return await VerifyLedger(view, signatures, outside, report)()


def rebuild_projections(settings: Settings, *, may_repair: Callable[[Sequence[ProjectionDifference]], bool]) -> ProjectionReport:
    """Compare every projection with the ledger; rebuild what differs when `may_repair`, shown the differences, says so.

    Raises:
        StartError: The database cannot be used.
    """
    with _running_database_url(settings) as url:
        owner_url = settings.migration_url.get_secret_value() if settings.migration_url is not None else url
        return asyncio.run(_rebuild_projections(settings, owner_url, may_repair))


@dataclass(frozen=True, slots=True)
class ProjectionReport:
    """What was found to differ, and how many rows of it were put right."""

    differences: Sequence[ProjectionDifference]
    repaired_count: int


async def _rebuild_projections(
    settings: Settings, url: str, may_repair: Callable[[Sequence[ProjectionDifference]], bool]
) -> ProjectionReport:
    async with _open_database(settings, url) as database:
        rebuild = RebuildProjections(PostgresAnchorStore(database), PostgresProjections(database))
        differences = await rebuild.compare()
        repaired = await rebuild.repair(differences, log_repair) if differences and may_repair(differences) else 0
        return ProjectionReport(differences, repaired)


def _anchor_keyring(settings: Settings, public_keys: Sequence[Path]) -> AnchorKeyring | None:
    if public_keys:
        return load_anchor_keyring(public_keys)
    own = settings.anchor_key_file or (settings.embedded_anchor_key_file if settings.embedded else None)
    return load_anchor_key(own).keyring if own is not None and own.exists() else None


def _anchors_outside(settings: Settings, named: Path | None) -> Path | None:
    if named is not None:
        named.open("rb").close()
        return named
    own = settings.anchor_journal
    return own if own is not None and own.exists() else None


@contextmanager
def _running_database_url(settings: Settings) -> Iterator[str]:
    """Yield where the database is: the embedded server that runs already, where one does."""
    running = running_url(settings.data_dir) if settings.embedded else None
    if running is not None:
        yield running
        return
    with _database_url(settings) as url:
        yield url


def database_gaps(settings: Settings) -> tuple[str, ...]:
    """Return why the second wall does not hold for the service as configured, in words; empty when it holds.

    Raises:
        StartError: The database cannot be reached.
    """
    with _running_database_url(settings) as url:
        try:
            return wall_gaps(make_conninfo(url, user=EMBEDDED_LOGIN) if settings.embedded else url)
        except psycopg.OperationalError as error:
            raise StartError("the database cannot be reached; check CROSSMARGIN_DATABASE_URL and that it lets this user in") from error


@contextmanager
def _owner_url(settings: Settings) -> Iterator[str]:
    """Yield where the database is for its owner."""
    if settings.migration_url is not None:
        yield settings.migration_url.get_secret_value()
        return
    with _database_url(settings) as url:
        yield url


def _check_walls(settings: Settings, url: str) -> None:
    """Return if row-level security and privileges hold the service, or if it serves this machine alone, where they are only missed."""
    try:
        gaps = wall_gaps(url)
    except psycopg.Error:
        return  # whoever opens the database says why it cannot be
    if gaps and not settings.insecure:
        raise StartError("; ".join(gaps))
    for gap in gaps:
        log.warning("the database does not keep clients apart", why=gap)


@dataclass(frozen=True, slots=True)
class Ports:
    """The outside world that use cases are given."""

    writer: Writer
    books: BookReader
    instruments: InstrumentReader
    market: MarketStore
    history: MarginHistory
    calls: CallStore
    liquidations: LiquidationStore
    parameters: ParameterStore
    reconciliation: ReconciliationStore
    pending: PendingRequests
    clock: Clock
    compute: ComputePool
    quotes: QuoteStore
    breakers: BreakerStore
    quote_metrics: QuoteMetricsPort
    request_reports: RequestReports
    call_reports: CallReports
    audit: AuditTrail


def postgres_ports(database: Database, *, compute: ComputePool, registry: CollectorRegistry, halt_alert_s: float) -> Ports:
    """Return the ports on an open database."""
    return Ports(
        writer=PostgresWriter(database),
        books=PostgresBookReader(database),
        instruments=PostgresInstrumentReader(database),
        market=PostgresMarketStore(database),
        history=PostgresMarginHistory(database),
        calls=PostgresCallStore(database),
        liquidations=PostgresLiquidationStore(database),
        parameters=PostgresParameterStore(database),
        reconciliation=PostgresReconciliationStore(database),
        pending=PostgresPendingRequests(database),
        clock=SystemClock(),
        compute=compute,
        quotes=PostgresQuoteStore(database),
        breakers=PostgresBreakerStore(database),
        quote_metrics=QuoteMetrics(registry),
        request_reports=RequestMetrics(registry, halt_alert_s=halt_alert_s),
        call_reports=CallMetrics(registry),
        audit=PostgresAuditTrail(database),
    )


def build_use_cases(
    ports: Ports,
    current_market: CurrentMarket,
    *,
    withdrawal_alone_limit: Decimal = WITHDRAWAL_ALONE_LIMIT,
    withdrawal_window: timedelta = WITHDRAWAL_WINDOW,
) -> UseCases:
    """Return every use case over the ports."""
    two_persons = TwoPersons(ports.pending)
    change_call = ChangeCall(ports.writer, ports.calls, ports.call_reports, ports.clock)
    read_account = ReadAccount(ports.books)
    decide_on_market = DecideOnMarket(ports.writer, current_market)
    evaluate_margin = EvaluateMargin(read_account, current_market, ports.compute)
    follow_pegs = FollowPegs(ports.instruments, ports.parameters)
    publish_snapshot = PublishSnapshot(ports.writer, ports.market, follow_pegs)
    in_force = ParametersInForce(ports.parameters, ports.market, ports.clock)
    return UseCases(
        create_client=CreateClient(ports.writer),
        create_account=CreateAccount(ports.writer, ports.books),
        create_instrument=CreateInstrument(ports.writer, ports.instruments),
        cancel_trade=CancelTrade(ports.writer, ports.books),
        apply_lifecycle_event=ApplyLifecycleEvent(ports.writer, ports.books, ports.instruments, ports.clock),
        cancel_lifecycle_event=CancelLifecycleEvent(ports.writer, ports.books),
        settle_trades=SettleTrades(ports.writer, ports.books, ports.clock),
        list_due_events=ListDueEvents(ports.books, ports.instruments, ports.clock),
        watch_positions=WatchPositions(ports.books, ports.clock),
        read_statement=ReadStatement(ports.books, ports.clock),
        record_trades=RecordTrades(ports.writer, ports.instruments, current_market, ports.compute, ports.request_reports),
        deposit_collateral=DepositCollateral(ports.writer, ports.instruments),
        set_collateral_policy=SetCollateralPolicy(ports.writer, ports.instruments, ports.clock),
        publish_snapshot=publish_snapshot,
        publish_quotes=PublishQuotes(ports.quotes, ports.instruments, ports.quote_metrics, ports.clock),
        build_snapshot=BuildSnapshot(
            ports.quotes, ports.market, ports.instruments, ports.parameters, follow_pegs, publish_snapshot, ports.quote_metrics
        ),
        set_methodology=SetMethodology(ports.writer, ports.books, ports.parameters, in_force, ports.clock),
        import_history=ImportHistory(ports.market),
        read_account=read_account,
        evaluate_margin=evaluate_margin,
        explain_margin=ExplainMargin(read_account, current_market, ports.compute),
        preview_trades=PreviewTrades(ports.books, ports.instruments, current_market, ports.compute),
        compare_methodologies=CompareMethodologies(read_account, current_market, ports.compute),
        watch_margin=WatchMargin(evaluate_margin, ports.books, ports.market, ports.parameters, ports.history, ports.clock),
        propose_parameters=ProposeParameters(ports.writer, ports.parameters, ports.clock),
        approve_parameters=ApproveParameters(ports.writer, ports.parameters, ports.clock),
        activate_parameters=ActivateParameters(ports.writer, ports.parameters, in_force, ports.clock),
        shadow_parameters=ShadowParameters(ports.parameters, ports.books, current_market, ports.compute),
        parameters_in_force=in_force,
        reproduce_margin=ReproduceMargin(ports.books, ports.instruments, ports.market, ports.parameters, ports.compute),
        reset_breaker=ResetBreaker(ports.breakers, ports.clock),
        reserve_margin=ReserveMargin(decide_on_market, ports.instruments, ports.compute),
        release_reservation=ReleaseReservation(ports.writer),
        read_standing=ReadStanding(ports.books, current_market, ports.compute),
        withdraw_collateral=WithdrawCollateral(
            decide_on_market, ports.books, ports.instruments, ports.compute, two_persons, withdrawal_alone_limit, withdrawal_window
        ),
        transfer_collateral=TransferCollateral(decide_on_market, ports.books, ports.instruments, ports.compute),
        halt_trading=HaltTrading(ports.writer, ports.books),
        resume_trading=ResumeTrading(ports.writer, ports.books, two_persons),
        set_exposure_limits=SetExposureLimits(ports.writer, ports.books, two_persons),
        cancel_pending_request=CancelPendingRequest(ports.writer, ports.pending),
        pending=ports.pending,
        audit=ports.audit,
        reconcile_statement=ReconcileStatement(ports.writer, ports.reconciliation),
        note_break=NoteBreak(ports.writer, ports.reconciliation, ports.clock),
        reconciliation=ports.reconciliation,
        run_backtest=RunBacktest(read_account, ports.instruments, ports.market, ports.parameters, in_force, ports.compute),
        run_stress=RunStress(ports.books, current_market, ports.compute),
        plan_liquidation=PlanLiquidation(ports.books, ports.breakers, current_market, ports.compute),
        advise_margin_mode=AdviseMarginMode(read_account, current_market, ports.compute),
        simulate_cascade=SimulateCascade(ports.books, current_market, ports.compute),
        project_utilization=ProjectUtilization(
            ports.books, ports.history, ports.calls, ports.parameters, current_market, ports.compute, ports.clock
        ),
        suggest_top_up=SuggestTopUp(ports.books, ports.instruments, ports.calls, current_market, ports.compute),
        approve_liquidation=ApproveLiquidation(
            decide_on_market, ports.breakers, ports.market, ports.liquidations, ports.compute, two_persons
        ),
        report_liquidation=ReportLiquidation(decide_on_market, ports.instruments, ports.liquidations, ports.compute),
        abandon_liquidation=AbandonLiquidation(ports.writer, ports.liquidations, ports.clock),
        read_liquidation=ReadLiquidation(ports.books, ports.breakers, ports.liquidations, current_market, ports.compute, ports.clock),
        books=ports.books,
        instruments=ports.instruments,
        market=ports.market,
        history=ports.history,
        acknowledge_call=AcknowledgeCall(change_call),
        dispute_call=DisputeCall(change_call),
        settle_call=SettleCall(change_call, ports.books, current_market, ports.history, ports.compute),
        waive_call=WaiveCall(change_call, two_persons),
        escalate_call=EscalateCall(change_call, two_persons),
        set_call_terms=SetCallTerms(ports.writer, ports.calls, two_persons),
        watch_call_notices=WatchCallNotices(ports.calls, ports.clock),
        calls=ports.calls,
        breakers=ports.breakers,
        parameters=ports.parameters,
    )


async def store_shipped_parameters(ports: Ports) -> None:
    """Put the shipped risk parameters in force, for every market, if none ever were."""
    if await ports.parameters.activations():
        return
    parameters = standard_parameters()

    async def decide(_: object) -> Decision:
        return Decision(response=b"", records=(put_in_force(parameters, SYSTEM_PRINCIPAL, ports.clock.now()),))

    content = sha256(parameters.document.encode()).digest()
    await ports.writer.write(WriteRequest(SYSTEM_PRINCIPAL, "StoreShippedParameters", parameters.set_id, content), decide)


@contextmanager
def _database_url(settings: Settings) -> Iterator[str]:
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    try:
        with EmbeddedPostgres(settings.data_dir, settings.pg_bin) as server:
            yield server.url
    except EmbeddedPostgresError as error:
        raise StartError(str(error)) from error


async def _serve(settings: Settings, url: str, tracing: Tracing | None) -> None:
    stopping = _stop_on_signals()
    anchor_key = _anchor_key(settings)
    async with AsyncExitStack() as resources:
        if tracing is not None:
            resources.callback(tracing.close)
        database = await resources.enter_async_context(_open_database(settings, url, tracing))
        compute = await resources.enter_async_context(_compute(settings))
        registry = _new_registry()
        compute = TimedComputePool(compute, EngineMetrics(registry))
        ports = postgres_ports(database, compute=compute, registry=registry, halt_alert_s=settings.halt_alert_s)
        if tracing is not None:
            ports = replace(ports, writer=tracing.writer(ports.writer), compute=tracing.compute(ports.compute))
        await store_shipped_parameters(ports)
        publish_build(registry, version=version_of("crossmargin"), schema_revision=expected_revision())
        DatabaseMetrics(registry, database.pool_statistics)
        current_market = CurrentMarket(ports.instruments, ports.market, ports.parameters, ports.compute)
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
            access=_access(settings, audit, ports.clock, registry),
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
                leadership = await resources.enter_async_context(_leadership(url))
                duties = _monitor_duties(settings, ports, use_cases, current_market, leadership=leadership, registry=registry)
                tasks.extend(background.create_task(_until_it_fails(name, duty)) for name, duty in duties.items())
                guard = _guard_ledger(settings, database, leadership, anchor_key, registry)
                tasks.extend(background.create_task(_until_it_fails("ledger", duty())) for duty in guard.duties())
            _announce(settings, grpc_port, admin.port)
            await stopping.wait()
            log.info("stopping", drain_s=settings.drain_s)
            readiness.stop()
            await server.stop(settings.drain_s)
            for task in tasks:
                task.cancel()


def _monitor_duties(
    settings: Settings,
    ports: Ports,
    use_cases: UseCases,
    current_market: CurrentMarket,
    *,
    leadership: PostgresLeadership,
    registry: CollectorRegistry,
) -> Mapping[str, Coroutine[Any, Any, None]]:
    """Return what the monitor does for ever, by name; of all monitors the leader's does it."""
    metrics = MarginMetrics(registry, client_limit=settings.client_label_limit)
    breakers = WatchBreakers(ports.breakers, BreakerLog(BreakerMetrics(registry)), ports.clock)
    calls = ReviewCalls(ports.writer, ports.calls, ports.breakers, ports.call_reports, ports.clock, settings.call_time)
    house = RunHouse(ports.books, current_market, ports.compute, metrics, leadership, ports.history, ports.clock, calls, breakers)
    call_watch = WatchCalls(calls, ports.calls, ports.call_reports, leadership, ports.clock)
    ticks = TickMarket(use_cases.build_snapshot, metrics, leadership, ports.clock, settings.quote_tick_s)
    requests = WatchRequests(ports.books, ports.request_reports, leadership, ports.clock)
    due = WatchDueEvents(use_cases.list_due_events, LifecycleMetrics(registry), leadership, ports.clock)
    outlooks = OutlookMetrics(registry, client_limit=settings.client_label_limit)
    outlook_watch = WatchOutlooks(use_cases.project_utilization, outlooks, leadership, ports.clock)
    thinning = ThinHistory(ports.history, settings.history_tiers, leadership, ports.clock)
    return {
        "monitor": house(),
        "market": ticks(),
        "requests": requests.duty()(),
        "due events": due.duty()(),
        "outlooks": outlook_watch.duty()(),
        "history": thinning.duty()(),
        "calls": call_watch.duty()(),
    }


@asynccontextmanager
async def _compute(settings: Settings) -> AsyncIterator[ComputePool]:
    """Yield threads of this process; with a cluster it gets the blocks of runs over the house."""
    threads = ThreadComputePool(settings.compute_threads)
    try:
        if not settings.dask_scheduler:
            yield threads
            return
        try:
            # An extra: most installations do without it.
            from distributed import Client  # noqa: PLC0415

            from crossmargin.adapters.runtime.dask_pool import DaskComputePool  # noqa: PLC0415
        except ImportError as error:
            words = "a cluster needs Dask, which is not installed; install it with: pip install 'crossmargin[distributed]'"
            raise StartError(words) from error
        try:
            client = await Client(settings.dask_scheduler, asynchronous=True)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            raise StartError(
                f"Dask scheduler {settings.dask_scheduler} cannot be reached; start it, or leave dask_scheduler empty"
            ) from error
        async with client:
            yield DaskComputePool(threads, client)
    finally:
        threads.close()


def _tracing(settings: Settings) -> Tracing | None:
    if not settings.tracing:
        return None
    try:
        # An extra: most installations do without it, and nobody pays for what was not asked for.
        from crossmargin.adapters.tracing.tracing import Tracing  # noqa: PLC0415
    except ImportError as error:
        raise StartError("traces need OpenTelemetry, which is not installed; install it with: pip install 'crossmargin[otel]'") from error
    return Tracing.by_otlp(version_of("crossmargin"))


def _access(settings: Settings, audit: KeepAudit, clock: Clock, registry: CollectorRegistry) -> Access:
    metrics = AccessMetrics(registry, causes=[cause.name.lower() for cause in Cause])

    def record(event: AuditEvent) -> None:
        metrics.recorded(event)
        audit.record(event)

    if settings.insecure:
        what = "whoever is on this machine may do everything, without TLS and without a token"
        log.warning("INSECURE", what=what, grpc_address=settings.grpc_address)
        return Access(local_caller, record, clock)
    files = [settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file, settings.allow_list_file, settings.token_keys_file]
    given = [file for file in files if file is not None]
    if len(given) < len(files) or settings.token_issuer is None or settings.token_audience is None:
        raise StartError("TLS and tokens are not configured; see `crossmargin config show`")
    try:
        access, expiry = secure_access(
            SecureFiles(*given),
            issuer=settings.token_issuer,
            audience=settings.token_audience,
            longest_token_s=settings.token_longest_s,
            longest_connection_s=settings.connection_longest_s,
            budget=CallBudget(
                calls_per_s=settings.calls_per_s,
                urgent_calls_per_s=settings.urgent_calls_per_s,
                most_calls=settings.most_calls,
                most_streams=settings.most_streams,
            ),
            record=record,
            clock=clock,
        )
    except (OSError, ValueError) as error:
        raise StartError(f"what tells callers apart cannot be used: {error}") from error
    metrics.watch_certificate(expiry)
    return access


async def _flush(audit: KeepAudit) -> None:
    # What cannot be stored any more is in the log.
    with suppress(DomainError):
        await audit.flush()


def _anchor_key(settings: Settings) -> AnchorKey | None:
    try:
        if settings.anchor_key_file is not None:
            return load_anchor_key(settings.anchor_key_file)
        if settings.embedded:
            return load_or_create_anchor_key(settings.embedded_anchor_key_file)
    except AnchorKeyError as error:
        raise StartError(str(error)) from error
    log.warning("no anchors are taken", why="CROSSMARGIN_ANCHOR_KEY_FILE is not set")
    return None


def _guard_ledger(
    settings: Settings, database: Database, leadership: PostgresLeadership, key: AnchorKey | None, registry: CollectorRegistry
) -> GuardLedger:
    anchors, clock = PostgresAnchorStore(database), SystemClock()
    journal = AnchorFile(settings.anchor_journal) if settings.anchor_journal is not None else None
    return GuardLedger(
        leadership=leadership,
        clock=clock,
        reports=(LedgerMetrics(registry), LedgerLog()),
        check_ledger=CheckLedger(anchors, PostgresLedgerChecks(database), PostgresProjections(database), clock),
        check_time=settings.ledger_check_time,
        take_anchor=TakeAnchor(anchors, key, journal) if key is not None else None,
        anchor_interval_s=settings.anchor_interval_s,
    )


async def _until_it_fails(name: str, work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception as error:
        # Said at once, because what ends the process meanwhile takes its time.
        stack = "".join(format_tb(error.__traceback__))
        log.error("background task failed", task=name, error=type(error).__qualname__, stack=stack)  # noqa: TRY400 - it would add values
        raise


@asynccontextmanager
async def _open_database(settings: Settings, url: str, tracing: Tracing | None = None) -> AsyncIterator[Database]:
    turn = nullcontext if tracing is None else tracing.database_turn
    database = Database(url, pool_size=settings.connection_count, turn=turn)
    try:
        await database.open()
    except DatabaseRefusedError as error:
        raise StartError(str(error)) from error
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def _leadership(url: str) -> AsyncIterator[PostgresLeadership]:
    leadership = PostgresLeadership(url)
    try:
        yield leadership
    finally:
        await leadership.close()


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


def _announce(settings: Settings, grpc_port: int, admin_port: int) -> None:
    grpc_address = f"{settings.grpc_address.rpartition(':')[0]}:{grpc_port}"
    admin_address = f"{settings.admin_address.rpartition(':')[0]}:{admin_port}"
    log.info("serving", grpc_address=grpc_address, admin_address=admin_address)
    if settings.ready_file is not None:
        write_ready_file(settings.ready_file, grpc_address=grpc_address, admin_address=admin_address)
