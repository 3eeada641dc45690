"""A backtest says what it is going to do, runs in blocks on the pool, and stops when nobody reads it any more."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.backtest import BacktestPlan, BacktestProgress, BookBacktest, Zone
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId, RiskParameterSetId
from crossmargin.usecases.run_backtest import BLOCK_DAYS, BacktestRequest
from tests.unit.usecases.house import CORE, HISTORY_DAYS

LAST = date(2026, 3, 1)
FIRST_OF_HISTORY = LAST - timedelta(days=HISTORY_DAYS - 1)
TESTED = BacktestRequest(books=("btc-long", "ust10y-short"), first_day=date(2026, 2, 5), last_day=date(2026, 2, 20))


async def outcome(house, request=TESTED):
    results = [result async for result in house.use_cases.run_backtest(request)]
    return results[0], results[1:-1], results


async def test_the_plan_comes_first_then_progress_then_each_book(house):
    results = [result async for result in house.use_cases.run_backtest(TESTED)]
    plan, *progress = [result for result in results if not isinstance(result, BookBacktest)]
    books = [result for result in results if isinstance(result, BookBacktest)]
    assert isinstance(plan, BacktestPlan)
    assert plan.books == ("btc-long", "ust10y-short") == tuple(book.book for book in books)
    assert len(plan.days) == 16
    assert progress == [BacktestProgress(done, 16) for done in (5, 10, 15, 16)]
    assert results.index(books[0]) > results.index(progress[-1])


async def test_the_numbers_name_everything_they_depend_on(house):
    plan, _, _ = await outcome(house)
    parameters = await house.ports.parameters.get_parameters(RiskParameterSetId("standard-1"))
    assert (plan.parameter_set_id, plan.parameters_hash) == ("standard-1", parameters.content_hash)
    assert plan.history_version == await house.ports.market.history_version()


async def test_a_book_is_tested_and_one_without_its_factors_says_what_it_lacks(house):
    _, _, results = await outcome(house)
    bitcoin, note = results[-2:]
    assert bitcoin.requirements[0].days == 16
    assert bitcoin.requirements[0].zone is Zone.GREEN
    assert bitcoin.series.pnl[0] != 0
    assert note.requirements == ()
    assert note.days_left_out == 12  # business days of the range
    assert "zero:USD:10Y" in note.left_out_because


async def test_the_same_backtest_says_the_same(house):
    assert await outcome(house) == await outcome(house)


async def test_an_account_is_tested_as_it_is_now(house):
    await house.deposit("100000")
    await house.trade("-2")
    request = BacktestRequest(account=CORE, first_day=date(2026, 2, 5), last_day=date(2026, 2, 20))
    _, _, results = await outcome(house, request)
    (short,) = results[-1:]
    assert short.book == str(CORE)
    _, _, others = await outcome(house)
    long = others[-2]
    # Two coins short at 60,000 against ten million dollars long: the other way round, and by the ratio of what they are worth.
    ratio = Decimal(-120_000) / 10_000_000
    assert [float(pnl) for pnl in short.series.pnl] == pytest.approx([float(pnl * ratio) for pnl in long.series.pnl], abs=0.02)


async def test_without_a_range_it_is_the_year_that_the_history_can_judge(house):
    plan, _, _ = await outcome(house, BacktestRequest(books=("btc-long",), every=30))
    assert plan.days[0] == plan.days[-1] - timedelta(days=360)
    # The longest margin period of the shipped set is five business days: from Friday 20 February it ends on the 27th.
    assert date(2026, 2, 20) - timedelta(days=30) < plan.days[-1] <= date(2026, 2, 22)


async def test_whoever_stops_reading_stops_the_work(house):
    run = house.use_cases.run_backtest(BacktestRequest(books=("btc-long",), first_day=FIRST_OF_HISTORY, last_day=LAST))
    async for result in run:
        if isinstance(result, BacktestProgress):
            break
    before = house.compute.run_count
    await run.aclose()
    assert house.compute.run_count == before
    assert before <= 1 + 1  # the history, and one block of days
    assert result.done == BLOCK_DAYS


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (BacktestRequest(books=("btc-longs",)), "book was btc-longs; expected one of btc-long, "),
        (BacktestRequest(account=CORE, books=("btc-long",)), "books was btc-long; expected none with an account"),
        (BacktestRequest(every=0), "every was 0"),
        (BacktestRequest(confidence=Decimal(1)), "confidence was 1"),
        (BacktestRequest(first_day=LAST, last_day=FIRST_OF_HISTORY), "first_day was 2026-03-01; expected not after"),
        (BacktestRequest(first_day=date(1900, 1, 1), last_day=LAST), "expected at most 20000; use every"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_cannot_be_tested_is_refused_before_anything_runs(house, request_, words):
    with pytest.raises(DomainError, match=words) as refused:
        await anext(house.use_cases.run_backtest(request_))
    assert refused.value.reason is Reason.INVALID_ARGUMENT


async def test_an_unknown_account_or_set_is_named(house):
    stranger = AccountRef(ClientId("nobody"), AccountId("core"))
    for request, reason in (
        (BacktestRequest(account=stranger), Reason.UNKNOWN_ACCOUNT),
        (BacktestRequest(parameter_set_id=RiskParameterSetId("none")), Reason.UNKNOWN_RISK_PARAMETERS),
    ):
        with pytest.raises(DomainError) as refused:
            await anext(house.use_cases.run_backtest(request))
        assert refused.value.reason is reason
