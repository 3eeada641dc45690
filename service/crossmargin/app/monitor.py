"""What the monitor does for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from crossmargin.adapters.postgres.anchors import PostgresAnchorStore
from crossmargin.adapters.postgres.database import Database
from crossmargin.adapters.postgres.leadership import PostgresLeadership
from crossmargin.adapters.postgres.ledger_checks import PostgresLedgerChecks
from crossmargin.adapters.postgres.projections import PostgresProjections
from crossmargin.adapters.prometheus.breaker_metrics import BreakerMetrics
from crossmargin.adapters.prometheus.ledger_metrics import LedgerMetrics
from crossmargin.adapters.prometheus.lifecycle_metrics import LifecycleMetrics
from crossmargin.adapters.prometheus.margin_metrics import MarginMetrics
from crossmargin.adapters.prometheus.outlook_metrics import OutlookMetrics
from crossmargin.adapters.runtime.anchor_file import AnchorFile
from crossmargin.adapters.runtime.anchor_keys import (
    AnchorKey,
    AnchorKeyError,
    load_anchor_key,
    load_or_create_anchor_key,
)
from crossmargin.adapters.runtime.breaker_log import BreakerLog
from crossmargin.adapters.runtime.clock import SystemClock
from crossmargin.adapters.runtime.ledger_log import LedgerLog
from crossmargin.app.ports import Ports
from crossmargin.app.start_error import StartError
from crossmargin.config import Settings
from crossmargin.usecases.check_ledger import CheckLedger
from crossmargin.usecases.current_market import CurrentMarket
from crossmargin.usecases.guard_ledger import GuardLedger
from crossmargin.usecases.review_calls import ReviewCalls
from crossmargin.usecases.review_liquidations import ReviewLiquidations
from crossmargin.usecases.run_house import RunHouse
from crossmargin.usecases.take_anchor import TakeAnchor
from crossmargin.usecases.thin_history import ThinHistory
from crossmargin.usecases.tick_market import TickMarket
from crossmargin.usecases.use_cases import UseCases
from crossmargin.usecases.watch_breakers import WatchBreakers
from crossmargin.usecases.watch_calls import WatchCalls
from crossmargin.usecases.watch_due_events import WatchDueEvents
from crossmargin.usecases.watch_liquidations import WatchLiquidations
from crossmargin.usecases.watch_outlooks import WatchOutlooks
from crossmargin.usecases.watch_requests import WatchRequests

log = structlog.get_logger()


def monitor_duties(
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
    liquidations = ReviewLiquidations(ports.writer, ports.liquidations, ports.liquidation_reports, ports.compute, ports.clock)
    house = RunHouse(
        ports.books, current_market, ports.compute, metrics, leadership, ports.history, ports.clock, calls, liquidations, breakers
    )
    call_watch = WatchCalls(calls, ports.calls, ports.call_reports, leadership, ports.clock)
    liquidation_watch = WatchLiquidations(liquidations, ports.liquidation_reports, leadership, ports.clock)
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
        "liquidations": liquidation_watch.duty()(),
    }


def guard_ledger(
    settings: Settings, database: Database, leadership: PostgresLeadership, key: AnchorKey | None, registry: CollectorRegistry
) -> GuardLedger:
    """Return what the leader does for the ledger: it takes anchors, if there is a key to sign them, and checks what is stored."""
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


def anchor_key(settings: Settings) -> AnchorKey | None:
    """Return the key that signs anchors; None if there is none, which is said in the log.

    Raises:
        StartError: It cannot be read.
    """
    try:
        if settings.anchor_key_file is not None:
            return load_anchor_key(settings.anchor_key_file)
        if settings.embedded:
            return load_or_create_anchor_key(settings.embedded_anchor_key_file)
    except AnchorKeyError as error:
        raise StartError(str(error)) from error
    log.warning("no anchors are taken", why="CROSSMARGIN_ANCHOR_KEY_FILE is not set")
    return None


@asynccontextmanager
async def open_leadership(url: str) -> AsyncIterator[PostgresLeadership]:
    """Yield this process's part in the election of the monitor."""
    leadership = PostgresLeadership(url)
    try:
        yield leadership
    finally:
        await leadership.close()
