"""Backtests on the wire."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Final

from crossmargin.adapters.grpc_server.wire.values import account_ref_from_name, date_from_message, date_to_message, format_fraction
from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin.domain.backtest import BacktestPlan, BacktestProgress, BacktestSeries, BookBacktest, Coverage, Zone
from crossmargin.domain.identifiers import RiskParameterSetId
from crossmargin.domain.money import format_decimal
from crossmargin.usecases.run_backtest import DEFAULT_CONFIDENCE, BacktestRequest

_EPOCH: Final = date(1970, 1, 1)
_ZONES: Final = {
    Zone.GREEN: pb.BACKTEST_ZONE_GREEN,
    Zone.YELLOW: pb.BACKTEST_ZONE_YELLOW,
    Zone.RED: pb.BACKTEST_ZONE_RED,
}


def backtest_request_from_message(message: pb.RunBacktestRequest) -> BacktestRequest:
    """Return what a message asks to test."""
    return BacktestRequest(
        account=account_ref_from_name(message.account, what="account") if message.account else None,
        books=tuple(message.books),
        first_day=date_from_message(message.first_day, what="first_day") if message.HasField("first_day") else None,
        last_day=date_from_message(message.last_day, what="last_day") if message.HasField("last_day") else None,
        every=message.every or 1,
        confidence=Decimal(message.confidence) if message.confidence else DEFAULT_CONFIDENCE,
        parameter_set_id=RiskParameterSetId(message.parameter_set_id) if message.parameter_set_id else None,
    )


def backtest_to_message(result: BacktestPlan | BacktestProgress | BookBacktest) -> pb.RunBacktestResponse:
    """Return one message of the stream."""
    match result:
        case BacktestPlan():
            return pb.RunBacktestResponse(plan=_plan_to_message(result))
        case BacktestProgress(done=done, total=total):
            return pb.RunBacktestResponse(progress=pb.BacktestProgress(days_done=done, day_count=total))
        case BookBacktest():
            return pb.RunBacktestResponse(book=_book_to_message(result))


def _plan_to_message(plan: BacktestPlan) -> pb.BacktestPlan:
    return pb.BacktestPlan(
        books=plan.books,
        first_day=date_to_message(plan.days[0]),
        last_day=date_to_message(plan.days[-1]),
        day_count=len(plan.days),
        every=plan.every,
        confidence=format_fraction(plan.confidence),
        parameter_set_id=plan.parameter_set_id,
        parameters_hash=plan.parameters_hash,
        history_version=plan.history_version,
        engine_version=plan.engine_version,
    )


def _book_to_message(book: BookBacktest) -> pb.BookBacktest:
    message = pb.BookBacktest(
        book=book.book,
        left_out_day_count=book.days_left_out,
        left_out_because=book.left_out_because,
        requirements=map(_coverage_to_message, book.requirements),
        groups=map(_coverage_to_message, book.groups),
        series=_series_to_message(book.series),
    )
    if book.tail_mean is not None:
        message.tail_mean.CopyFrom(
            pb.BacktestTailMean(
                breach_count=book.tail_mean.breaches,
                given_breach=_optional(book.tail_mean.given_breach),
                with_frequency=format_fraction(book.tail_mean.with_frequency),
                p_value=format_fraction(book.tail_mean.p_value),
            )
        )
    if book.procyclicality is not None:
        message.procyclicality.CopyFrom(
            pb.BacktestProcyclicality(
                peak_to_trough=format_fraction(book.procyclicality.peak_to_trough),
                largest_rise_1=_optional(book.procyclicality.rise_1),
                largest_rise_5=_optional(book.procyclicality.rise_5),
                largest_rise_20=_optional(book.procyclicality.rise_20),
            )
        )
    return message


def _coverage_to_message(coverage: Coverage) -> pb.BacktestCoverage:
    phases = zip(coverage.days_by_phase, coverage.breaches_by_phase, strict=True)
    return pb.BacktestCoverage(
        measure=coverage.measure,
        day_count=coverage.days,
        breach_count=coverage.breaches,
        phases=[pb.BacktestPhase(day_count=days, breach_count=breaches) for days, breaches in phases],
        zone=_ZONES[coverage.zone],
        zone_by_exceedance=_ZONES[coverage.zone_by_exceedance],
        coverage_p_value=format_fraction(coverage.coverage_p_value),
        independence_p_value=format_fraction(coverage.independence_p_value),
        largest_loss_ratio=_optional(coverage.largest_loss_ratio),
        worst_day=None if coverage.worst_day is None else date_to_message(coverage.worst_day),
    )


def _series_to_message(series: BacktestSeries) -> pb.BacktestSeries:
    return pb.BacktestSeries(
        days_since_epoch=[(day - _EPOCH).days for day in series.days],
        market_requirement=map(format_decimal, series.market_requirement),
        maintenance_margin=map(format_decimal, series.maintenance_margin),
        pnl=map(format_decimal, series.pnl),
    )


def _optional(value: Decimal | None) -> str:
    return "" if value is None else format_fraction(value)
