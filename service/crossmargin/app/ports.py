"""The outside world that use cases are given."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from prometheus_client import CollectorRegistry

from crossmargin.adapters.postgres.audit_trail import PostgresAuditTrail
from crossmargin.adapters.postgres.books import PostgresBookReader
from crossmargin.adapters.postgres.breakers import PostgresBreakerStore
from crossmargin.adapters.postgres.database import Database
from crossmargin.adapters.postgres.instruments import PostgresInstrumentReader
from crossmargin.adapters.postgres.liquidation import PostgresLiquidationStore
from crossmargin.adapters.postgres.margin_calls import PostgresCallStore
from crossmargin.adapters.postgres.margin_history import PostgresMarginHistory
from crossmargin.adapters.postgres.market import PostgresMarketStore
from crossmargin.adapters.postgres.pending_requests import PostgresPendingRequests
from crossmargin.adapters.postgres.quotes import PostgresQuoteStore
from crossmargin.adapters.postgres.reconciliation import PostgresReconciliationStore
from crossmargin.adapters.postgres.risk_parameters import PostgresParameterStore
from crossmargin.adapters.postgres.writer import PostgresWriter
from crossmargin.adapters.prometheus.call_metrics import CallMetrics
from crossmargin.adapters.prometheus.liquidation_metrics import LiquidationMetrics
from crossmargin.adapters.prometheus.market_metrics import QuoteMetrics
from crossmargin.adapters.prometheus.request_metrics import RequestMetrics
from crossmargin.adapters.runtime.clock import SystemClock
from crossmargin.adapters.runtime.liquidation_log import LiquidationLog
from crossmargin.adapters.runtime.standard_parameters import standard_parameters
from crossmargin.domain.parameter_governance import put_in_force
from crossmargin.usecases.ports.audit_event import AuditTrail
from crossmargin.usecases.ports.books import BookReader
from crossmargin.usecases.ports.breaker import BreakerStore
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.liquidation import LiquidationReports, LiquidationStore
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

SYSTEM_PRINCIPAL: Final = "crossmargin"


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
    liquidation_reports: LiquidationReports
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
        liquidation_reports=LiquidationLog(LiquidationMetrics(registry)),
        audit=PostgresAuditTrail(database),
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
