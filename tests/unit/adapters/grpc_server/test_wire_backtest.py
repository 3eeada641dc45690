"""Backtests cross the wire whole: what is absent stays absent, and columns keep their order."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from google.type.date_pb2 import Date

from crossmargin.adapters.grpc_server.wire.backtest import backtest_request_from_message, backtest_to_message
from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin.domain.backtest import (
    BacktestPlan,
    BacktestProgress,
    BacktestSeries,
    BookBacktest,
    Coverage,
    Procyclicality,
    TailMeanTest,
    Zone,
)
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId, RiskParameterSetId
from crossmargin.usecases.run_backtest import BacktestRequest

DAY = date(2024, 2, 29)
COVERAGE = Coverage(
    measure="BTC",
    confidence=Decimal("0.99"),
    days=10,
    breaches=3,
    days_by_phase=(6, 4),
    breaches_by_phase=(1, 2),
    zone=Zone.RED,
    zone_by_exceedance=Zone.YELLOW,
    coverage_p_value=Decimal("0.1"),
    independence_p_value=Decimal("0.2"),
    largest_loss_ratio=Decimal("1.5"),
    worst_day=DAY,
)
SERIES = BacktestSeries((date(1970, 1, 2), DAY), (Decimal(1), Decimal(2)), (Decimal(3), Decimal(4)), (Decimal("-5.25"), Decimal(6)))
BOOK = BookBacktest("btc-long", 2, "too early", (COVERAGE,), (COVERAGE,), None, None, SERIES)


def test_an_empty_request_asks_for_the_defaults():
    assert backtest_request_from_message(pb.RunBacktestRequest()) == BacktestRequest()


def test_a_full_request_asks_for_what_it_says():
    message = pb.RunBacktestRequest(
        account="clients/alpha/accounts/core",
        books=["btc-long"],
        first_day=Date(year=2024, month=1, day=2),
        last_day=Date(year=2024, month=2, day=29),
        every=5,
        confidence="0.995",
        parameter_set_id="house-2",
    )
    account = AccountRef(ClientId("alpha"), AccountId("core"))
    expected = BacktestRequest(account, ("btc-long",), date(2024, 1, 2), DAY, 5, Decimal("0.995"), RiskParameterSetId("house-2"))
    assert backtest_request_from_message(message) == expected


def test_the_plan_says_its_range_and_what_it_depends_on():
    plan = BacktestPlan(("btc-long",), (date(2024, 1, 2), DAY), 58, Decimal("0.99"), RiskParameterSetId("s"), "ab" * 32, 7, "3")
    message = backtest_to_message(plan).plan
    assert (message.first_day.day, message.last_day.day, message.day_count, message.every) == (2, 29, 2, 58)
    assert (message.confidence, message.parameter_set_id, message.history_version, message.engine_version) == ("0.99", "s", 7, "3")


def test_progress_is_days_done_of_days():
    assert backtest_to_message(BacktestProgress(5, 12)).progress == pb.BacktestProgress(days_done=5, day_count=12)


def test_coverage_keeps_each_phase_together():
    message = backtest_to_message(BOOK).book.requirements[0]
    assert [(phase.day_count, phase.breach_count) for phase in message.phases] == [(6, 1), (4, 2)]
    assert (message.zone, message.zone_by_exceedance) == (pb.BACKTEST_ZONE_RED, pb.BACKTEST_ZONE_YELLOW)
    assert (message.coverage_p_value, message.independence_p_value, message.largest_loss_ratio) == ("0.1", "0.2", "1.5")
    assert message.worst_day == Date(year=2024, month=2, day=29)


def test_a_series_is_columns_of_one_length():
    series = backtest_to_message(BOOK).book.series
    assert list(series.days_since_epoch) == [1, 19782]
    assert list(series.pnl) == ["-5.25", "6"]
    assert (list(series.market_requirement), list(series.maintenance_margin)) == (["1", "2"], ["3", "4"])


def test_what_a_book_has_no_answer_to_is_absent():
    message = backtest_to_message(BOOK).book
    assert not message.HasField("tail_mean")
    assert not message.HasField("procyclicality")


@pytest.mark.parametrize(("given", "text"), [(None, ""), (Decimal("-0.5"), "-0.5")])
def test_tests_of_the_tail_and_rises_may_lack_a_figure(given, text):
    book = BookBacktest(
        "b", 0, "", (), (), TailMeanTest(1, given, Decimal(1), Decimal("0.3")), Procyclicality(Decimal(2), given, None, Decimal(1)), SERIES
    )
    message = backtest_to_message(book).book
    assert (message.tail_mean.given_breach, message.tail_mean.with_frequency, message.tail_mean.p_value) == (text, "1", "0.3")
    assert message.procyclicality == pb.BacktestProcyclicality(peak_to_trough="2", largest_rise_1=text, largest_rise_20="1")
