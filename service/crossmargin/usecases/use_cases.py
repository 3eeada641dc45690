"""Everything a caller can ask, in one value that the composition root builds and the edge uses."""

from __future__ import annotations

from dataclasses import dataclass

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
from crossmargin.usecases.compare_methodologies import CompareMethodologies
from crossmargin.usecases.create_account import CreateAccount
from crossmargin.usecases.create_client import CreateClient
from crossmargin.usecases.create_instrument import CreateInstrument
from crossmargin.usecases.deposit_collateral import DepositCollateral
from crossmargin.usecases.dispute_call import DisputeCall
from crossmargin.usecases.escalate_call import EscalateCall
from crossmargin.usecases.evaluate_margin import EvaluateMargin
from crossmargin.usecases.explain_margin import ExplainMargin
from crossmargin.usecases.halt_trading import HaltTrading
from crossmargin.usecases.import_history import ImportHistory
from crossmargin.usecases.list_due_events import ListDueEvents
from crossmargin.usecases.note_break import NoteBreak
from crossmargin.usecases.parameters_in_force import ParametersInForce
from crossmargin.usecases.plan_liquidation import PlanLiquidation
from crossmargin.usecases.ports.audit_event import AuditTrail
from crossmargin.usecases.ports.books import BookReader
from crossmargin.usecases.ports.breaker import BreakerStore
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.margin import MarginHistory
from crossmargin.usecases.ports.margin_call import CallStore
from crossmargin.usecases.ports.market import MarketStore
from crossmargin.usecases.ports.pending_request import PendingRequests
from crossmargin.usecases.ports.reconciliation import ReconciliationStore
from crossmargin.usecases.ports.risk_parameters import ParameterStore
from crossmargin.usecases.preview_trades import PreviewTrades
from crossmargin.usecases.project_utilization import ProjectUtilization
from crossmargin.usecases.propose_parameters import ProposeParameters
from crossmargin.usecases.publish_quotes import PublishQuotes
from crossmargin.usecases.publish_snapshot import PublishSnapshot
from crossmargin.usecases.read_account import ReadAccount
from crossmargin.usecases.read_liquidation import ReadLiquidation
from crossmargin.usecases.read_standing import ReadStanding
from crossmargin.usecases.read_statement import ReadStatement
from crossmargin.usecases.reconcile_statement import ReconcileStatement
from crossmargin.usecases.record_trades import RecordTrades
from crossmargin.usecases.release_reservation import ReleaseReservation
from crossmargin.usecases.report_liquidation import ReportLiquidation
from crossmargin.usecases.reproduce_liquidation import ReproduceLiquidation
from crossmargin.usecases.reproduce_margin import ReproduceMargin
from crossmargin.usecases.reserve_margin import ReserveMargin
from crossmargin.usecases.reset_breaker import ResetBreaker
from crossmargin.usecases.resume_trading import ResumeTrading
from crossmargin.usecases.run_backtest import RunBacktest
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
from crossmargin.usecases.transfer_collateral import TransferCollateral
from crossmargin.usecases.waive_call import WaiveCall
from crossmargin.usecases.watch_call_notices import WatchCallNotices
from crossmargin.usecases.watch_margin import WatchMargin
from crossmargin.usecases.watch_positions import WatchPositions
from crossmargin.usecases.withdraw_collateral import WithdrawCollateral


@dataclass(frozen=True, slots=True)
class UseCases:
    """The verbs, and the readers for what needs none."""

    create_client: CreateClient
    create_account: CreateAccount
    create_instrument: CreateInstrument
    record_trades: RecordTrades
    cancel_trade: CancelTrade
    apply_lifecycle_event: ApplyLifecycleEvent
    cancel_lifecycle_event: CancelLifecycleEvent
    settle_trades: SettleTrades
    list_due_events: ListDueEvents
    watch_positions: WatchPositions
    read_statement: ReadStatement
    deposit_collateral: DepositCollateral
    set_collateral_policy: SetCollateralPolicy
    set_methodology: SetMethodology
    publish_snapshot: PublishSnapshot
    publish_quotes: PublishQuotes
    build_snapshot: BuildSnapshot
    import_history: ImportHistory
    read_account: ReadAccount
    evaluate_margin: EvaluateMargin
    explain_margin: ExplainMargin
    compare_methodologies: CompareMethodologies
    preview_trades: PreviewTrades
    watch_margin: WatchMargin
    propose_parameters: ProposeParameters
    approve_parameters: ApproveParameters
    activate_parameters: ActivateParameters
    shadow_parameters: ShadowParameters
    parameters_in_force: ParametersInForce
    reproduce_margin: ReproduceMargin
    reset_breaker: ResetBreaker
    halt_trading: HaltTrading
    resume_trading: ResumeTrading
    cancel_pending_request: CancelPendingRequest
    read_standing: ReadStanding
    release_reservation: ReleaseReservation
    reserve_margin: ReserveMargin
    set_exposure_limits: SetExposureLimits
    transfer_collateral: TransferCollateral
    withdraw_collateral: WithdrawCollateral
    reconcile_statement: ReconcileStatement
    note_break: NoteBreak
    run_backtest: RunBacktest
    run_stress: RunStress
    plan_liquidation: PlanLiquidation
    reproduce_liquidation: ReproduceLiquidation
    approve_liquidation: ApproveLiquidation
    report_liquidation: ReportLiquidation
    abandon_liquidation: AbandonLiquidation
    read_liquidation: ReadLiquidation
    simulate_cascade: SimulateCascade
    suggest_top_up: SuggestTopUp
    project_utilization: ProjectUtilization
    advise_margin_mode: AdviseMarginMode
    books: BookReader
    instruments: InstrumentReader
    market: MarketStore
    history: MarginHistory
    acknowledge_call: AcknowledgeCall
    dispute_call: DisputeCall
    settle_call: SettleCall
    waive_call: WaiveCall
    escalate_call: EscalateCall
    set_call_terms: SetCallTerms
    watch_call_notices: WatchCallNotices
    calls: CallStore
    breakers: BreakerStore
    parameters: ParameterStore
    reconciliation: ReconciliationStore
    pending: PendingRequests
    audit: AuditTrail
