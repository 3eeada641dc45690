"""Every use case over the ports."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from crossmargin.app.ports import Ports
from crossmargin.config import WITHDRAWAL_ALONE_LIMIT, WITHDRAWAL_WINDOW
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
from crossmargin.usecases.change_call_by_two import ChangeCallByTwo
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
from crossmargin.usecases.halt_trading import HaltTrading
from crossmargin.usecases.import_history import ImportHistory
from crossmargin.usecases.list_due_events import ListDueEvents
from crossmargin.usecases.note_break import NoteBreak
from crossmargin.usecases.parameters_in_force import ParametersInForce
from crossmargin.usecases.past_market import PastMarket
from crossmargin.usecases.plan_liquidation import PlanLiquidation
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
from crossmargin.usecases.two_persons import TwoPersons
from crossmargin.usecases.use_cases import UseCases
from crossmargin.usecases.waive_call import WaiveCall
from crossmargin.usecases.watch_call_notices import WatchCallNotices
from crossmargin.usecases.watch_margin import WatchMargin
from crossmargin.usecases.watch_positions import WatchPositions
from crossmargin.usecases.withdraw_collateral import WithdrawCollateral


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
    change_call_by_two = ChangeCallByTwo(change_call, two_persons)
    read_account = ReadAccount(ports.books)
    decide_on_market = DecideOnMarket(ports.writer, current_market)
    evaluate_margin = EvaluateMargin(read_account, current_market, ports.compute)
    follow_pegs = FollowPegs(ports.instruments, ports.parameters)
    publish_snapshot = PublishSnapshot(ports.writer, ports.market, follow_pegs)
    past_market = PastMarket(ports.books, ports.instruments, ports.market, ports.parameters)
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
        reproduce_margin=ReproduceMargin(past_market, ports.compute),
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
        reproduce_liquidation=ReproduceLiquidation(past_market, ports.compute),
        advise_margin_mode=AdviseMarginMode(read_account, current_market, ports.compute),
        simulate_cascade=SimulateCascade(ports.books, current_market, ports.compute),
        project_utilization=ProjectUtilization(
            ports.books, ports.history, ports.calls, ports.parameters, current_market, ports.compute, ports.clock
        ),
        suggest_top_up=SuggestTopUp(ports.books, ports.instruments, ports.calls, current_market, ports.compute),
        approve_liquidation=ApproveLiquidation(
            decide_on_market, ports.breakers, ports.market, ports.liquidations, ports.compute, two_persons, ports.liquidation_reports
        ),
        report_liquidation=ReportLiquidation(
            decide_on_market, ports.instruments, ports.liquidations, ports.compute, ports.liquidation_reports
        ),
        abandon_liquidation=AbandonLiquidation(ports.writer, ports.liquidations, ports.clock, ports.liquidation_reports),
        read_liquidation=ReadLiquidation(ports.books, ports.breakers, ports.liquidations, current_market, ports.compute, ports.clock),
        books=ports.books,
        instruments=ports.instruments,
        market=ports.market,
        history=ports.history,
        acknowledge_call=AcknowledgeCall(change_call),
        dispute_call=DisputeCall(change_call),
        settle_call=SettleCall(change_call, ports.books, current_market, ports.history, ports.compute),
        waive_call=WaiveCall(change_call_by_two),
        escalate_call=EscalateCall(change_call_by_two),
        set_call_terms=SetCallTerms(ports.writer, ports.calls, two_persons),
        watch_call_notices=WatchCallNotices(ports.calls, ports.clock),
        calls=ports.calls,
        breakers=ports.breakers,
        parameters=ports.parameters,
    )
