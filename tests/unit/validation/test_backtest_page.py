"""The page of the acceptance backtest says what was found: green only if everything is, and what was not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from crossmargin.adapters.runtime.standard_parameters import standard_parameters
from crossmargin.domain.backtest import BacktestSeries, BookBacktest, Coverage, Procyclicality, TailMeanTest, Zone
from crossmargin.domain.benchmark_book import BENCHMARK_BOOKS
from tests.unit.validation.test_historical_book import still_market
from tests.validation import backtest
from tests.validation.backtest import BacktestFindings, run_backtest
from tests.validation.backtest_page import DRAWN, draw_backtest, render_backtest

DAY = date(2020, 3, 10)


def coverage(measure="market", *, breaches=1, zone=Zone.GREEN, ratio="1.81"):
    return Coverage(
        measure=measure,
        confidence=Decimal("0.99"),
        days=250,
        breaches=breaches,
        days_by_phase=(125, 125),
        breaches_by_phase=(breaches, 0),
        zone=zone,
        zone_by_exceedance=Zone.GREEN,
        coverage_p_value=Decimal("0.5"),
        independence_p_value=Decimal(1),
        largest_loss_ratio=Decimal(ratio),
        worst_day=DAY,
    )


def book(name, *requirements):
    return BookBacktest(
        book=name,
        days_left_out=0,
        left_out_because="",
        requirements=requirements or (coverage(), coverage("maintenance")),
        groups=(coverage("BTC"), coverage("ETH", breaches=0)),
        tail_mean=TailMeanTest(3, None, Decimal("0.8"), Decimal(1)),
        procyclicality=Procyclicality(Decimal("1.5"), Decimal("0.1"), None, Decimal("0.54")),
        series=BacktestSeries((DAY,), (Decimal(1),), (Decimal(1),), (Decimal(-2),)),
    )


def findings(**changed):
    books = [changed.get(one.name.replace("-", "_"), book(one.name)) for one in BENCHMARK_BOOKS]
    return BacktestFindings(standard_parameters(), 1, books)


def test_every_book_must_be_green_by_both_requirements():
    assert findings().holds
    yellow = book("eth-long", coverage(), coverage("maintenance", zone=Zone.YELLOW))
    found = findings(eth_long=yellow)
    assert not found.holds
    assert "NOT every book is green: eth-long." in render_backtest(found, picture="p.png")


def test_a_book_that_could_not_be_tested_is_not_green():
    assert not findings(eth_long=replace(book("eth-long"), requirements=())).holds


def test_the_page_shows_each_requirement_groups_with_breaches_and_rises():
    page = render_backtest(findings(), picture="p.png")
    assert "| btc-long | maintenance | 250 | 1 of 125 + 0 of 125 | green | green | 0.5000 | 1.00 | 1.81 | 2020-03-10 |" in page
    assert page.count("| BTC | 250 |") == len(BENCHMARK_BOOKS)
    assert "| ETH | 250 |" not in page
    assert "| btc-long | 3 | - | 0.80 | 1.00 | 1.50 | 10% | - | 54% |" in page
    assert f"content hash `{standard_parameters().content_hash[:16]}`" in " ".join(page.split())
    assert "![requirements and profits](p.png)" in page


def test_the_picture_is_a_png(tmp_path):
    draw_backtest(replace(findings(), books=findings().books[:1]), tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert set(DRAWN) <= {one.name for one in BENCHMARK_BOOKS}


@pytest.mark.parametrize("moved", [False, True])
def test_books_are_tested_on_a_history_without_rates_or_with(monkeypatch, moved):
    """A market that wiggles and one that falls: the fall is a breach of the coin held, in the days the test is told to look at."""
    monkeypatch.setattr(backtest, "FIRST_TESTED", date(2017, 11, 20))
    monkeypatch.setattr(backtest, "LAST_TESTED", date(2017, 12, 8))
    market = still_market(wiggle=0.01, **({"BTC": 4_000.0} if moved else {}))
    found = {one.book: one for one in run_backtest(market, standard_parameters(), every=2).books}
    assert found["btc-long"].requirements[0].breaches == (1 if moved else 0)
    assert found["btc-short"].requirements[0].breaches == 0
    assert found["ust10y-long"].requirements[0].days > 0
