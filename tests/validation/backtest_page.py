"""Writes what the acceptance backtest found as a page that a risk officer can read, and draws it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from crossmargin.adapters.grpc_server.wire.backtest import backtest_to_message
from crossmargin.domain.backtest import BookBacktest, Coverage, Zone
from crossmargin_cli.backtest_plots import drawing_of
from tests.validation.backtest import CONFIDENCE, FIRST_COIN_DAY, BacktestFindings
from tests.validation.historical_book import FIRST_DAY
from tests.validation.report import filled, table

_REQUIREMENT_HEADER: Final = (
    *("book", "requirement", "days", "breaches by phase", "zone", "by exceedance", "Kupiec p", "independence p"),
    *("largest loss / required", "on"),
)
_TAIL_HEADER: Final = ("book", "beyond the edge", "Z1", "Z2", "p", "peak / trough", "1 day", "5 days", "20 days")
_GROUP_HEADER: Final = ("book", "group", "days", "breaches by phase", "zone", "largest loss / required", "on")
DRAWN: Final = ("btc-long", "eth-short", "eurusd-short", "ust10y-long", "mixed-long", "mixed-hedged")


def draw_backtest(findings: BacktestFindings, file: Path) -> None:
    """Draw six of the books, PNG."""
    drawn = [backtest_to_message(book).book for book in findings.books if book.book in DRAWN and book.series.days]
    file.write_bytes(drawing_of(drawn, "png"))


def render_backtest(findings: BacktestFindings, *, picture: str) -> str:
    """Return the page, Markdown."""
    parameters = findings.parameters
    grid = "Every day" if findings.every == 1 else f"Every {findings.every}th calendar day"
    return filled(f"""# Backtest on real market history

This page and its picture are written by `python -m tests.validation backtest --history DIR --write`. It was run under
`{parameters.set_id}`
(content hash `{parameters.content_hash[:16]}`); another set needs another run. The history is that of [validation](validation.md) and not
part of the project.

{_verdict(findings)}

## What is tested, and how

- **Books.** Thirteen benchmark books of constant dollars, struck anew at each day's market: perpetuals on BTC and ETH, a forward
  on EUR/USD,
  futures on Treasury notes of two and ten years at par; one thing each way, a spread in each class, three mixes. None has collateral.
- **Requirement.** That of the functions that margin accounts, from levels up to the end of the day, events that were over and
  days of crises
  that had happened by then. {grid} from 2019 to 2025; books with EUR or notes on business days, and as far as every curve goes
  (the dollar
  curve ends on 2025-07-11).
- **What happened.** The joint move from the day over each group's own margin period, two calendar days for coins and two business
  days for
  the rest, as in a scenario. The profit is clean: nothing is traded, paid or accrues, no time passes.
- **Confidence.** {CONFIDENCE:.0%}, as EMIR RTS 153/2013 Art. 24 asks of other instruments than over-the-counter derivatives. The
  requirement is
  an expected shortfall at {1 - parameters.tail_fraction:.1%}, which for a normal distribution is the 99% quantile, with a quarter
  of its weight
  on stress; so it should be breached less often than one period in a hundred, and is. Market requirement and maintenance margin
  are both tested.
- **Overlap.** Periods of neighbouring days share a day, and one fall breaches two of them. Days are dealt out to phases without overlap,
  here two, each tested alone; the zone is that of the worse one and p-values are Bonferroni's.
- **Histories.** Currencies and rates know the time from {FIRST_DAY} on, books with coins from {FIRST_COIN_DAY} on only: with less
  than 1,250 days
  of its own among older histories a coin is refused. So they lack the windows of 2008 and 2015 until they have their own: a harder test.

## The books

{table(_REQUIREMENT_HEADER, _requirement_rows(findings.books))}

Kupiec's p-values are low because there are too few breaches and not too many.

## The tail mean and the movement of the margin

Acerbi and Szekely's Z1 and Z2 of the whole account's tail mean: 0 is what the forecast expects, below 0 is worse. Rises are of
the maintenance
margin of the unchanged book, in days of its own calendar.

{table(_TAIL_HEADER, _tail_rows(findings.books))}

## Offset groups alone

{_group_sentence(findings.books)}

{table(_GROUP_HEADER, _group_rows(findings.books))}

## Six of the books

Grey is what happened, the line below it what was required.

![requirements and profits]({picture})

{_reading(findings)}""")


def _verdict(findings: BacktestFindings) -> str:
    if findings.holds:
        return "**Every book is green, by its market requirement and by its maintenance margin.**"
    others = [book.book for book in findings.books if {one.zone for one in book.requirements} != {Zone.GREEN}]
    return f"**NOT every book is green: {', '.join(others)}.**"


def _requirement_rows(books: Sequence[BookBacktest]) -> Iterable[tuple[str, ...]]:
    for book in books:
        for one in book.requirements:
            yield (
                book.book,
                one.measure,
                f"{one.days:,}",
                _phases(one),
                one.zone.value,
                one.zone_by_exceedance.value,
                f"{one.coverage_p_value:.4f}",
                f"{one.independence_p_value:.2f}",
                f"{one.largest_loss_ratio:.2f}",
                str(one.worst_day),
            )


def _tail_rows(books: Sequence[BookBacktest]) -> Iterable[tuple[str, ...]]:
    for book in books:
        tail, speed = book.tail_mean, book.procyclicality
        if tail is not None and speed is not None:
            rises = (speed.rise_1, speed.rise_5, speed.rise_20)
            first = "-" if tail.given_breach is None else f"{tail.given_breach:.2f}"
            yield (
                *(book.book, str(tail.breaches), first, f"{tail.with_frequency:.2f}", f"{tail.p_value:.2f}"),
                *(f"{speed.peak_to_trough:.2f}", *(_percent(rise) for rise in rises)),
            )


def _group_sentence(books: Sequence[BookBacktest]) -> str:
    zones = Counter(group.zone.value for book in books for group in book.groups)
    said = ", ".join(f"{count} {zone}" for zone, count in zones.items())
    return f"Each group's own tail mean against its own profit, over all books: {said}. Those with a breach:"


def _group_rows(books: Sequence[BookBacktest]) -> Iterable[tuple[str, ...]]:
    for book in books:
        for group in book.groups:
            if group.breaches:
                worst = "-" if group.largest_loss_ratio is None else f"{group.largest_loss_ratio:.2f}"
                yield book.book, group.measure, f"{group.days:,}", _phases(group), group.zone.value, worst, str(group.worst_day)


def _reading(findings: BacktestFindings) -> str:
    by_name = {book.book: book for book in findings.books}
    worst = max((one for book in findings.books for one in book.requirements), key=lambda one: one.largest_loss_ratio or Decimal(0))
    rises = {
        book.book: book.procyclicality.rise_20 for book in findings.books if book.procyclicality and book.procyclicality.rise_20 is not None
    }
    largest = max(rises, key=lambda name: rises[name], default="")
    too_few = sum(one.coverage_p_value < Decimal("0.05") for book in findings.books for one in book.requirements)
    coins = by_name["btc-long"].requirements[0]
    return f"""## What is good, and what is not

- Coverage is better than {CONFIDENCE:.0%}, and not by luck: {too_few} of {2 * len(findings.books)} requirements have
  significantly *fewer* breaches
  than one in a hundred. That is the price of a stress weight of a quarter, and clients pay it in calm years.
- Green says how often, not how much. On {worst.worst_day} a book lost {worst.largest_loss_ratio:.2f} times what was required of
  it. Bitcoin's fall by 38% in two days of
  March 2020 was half as large again as any before it. Bitcoin long was breached on {coins.breaches} of {coins.days:,} days. No
  requirement from history
  covers the first fall of its kind; the hypothetical fall of all coins by 40% is in the set, with a weight of some tenths of a percent.
- The largest rise of a margin in twenty days was {_percent(rises.get(largest))}, of {largest}. Books with coins jump when a
  crisis enters the ordinary window scaled to today's
  volatility; a call for that much comes when money is dear. The stress set lowers the jump and
  does not end it.
- The hedged mix is margined too high rather than too low: its worst loss was {_worst(by_name["mixed-hedged"])} of what was required,
  because across classes half of the diversification is not recognised. Spreads inside one class are not:
  {_worst(by_name["btc-against-eth"])} for bitcoin against ether and {_worst(by_name["curve-steepener"])} for the steepener.
- The days of crises were chosen with hindsight (their levels are used only once they had happened), and so were the hypothetical events.
  A green zone of the years that a house chose its scenarios from is weaker evidence than one of the years to come.
- Fixings, closes of yields and of coins are hours apart, so joint losses of mixed books are understated. There are no options in
  the books, because there is no history of volatilities, and no collateral.
- Seven years are some {sum(coins.days_by_phase) // max(1, len(coins.days_by_phase)):,} independent periods for coins, 850 for the
  rest: enough to find a
  requirement that fails twice as often as it should, not one that fails 1.2 times as often."""


def _worst(book: BookBacktest) -> str:
    return f"{book.requirements[0].largest_loss_ratio:.2f}"


def _phases(coverage: Coverage) -> str:
    return " + ".join(f"{breaches} of {days:,}" for breaches, days in zip(coverage.breaches_by_phase, coverage.days_by_phase, strict=True))


def _percent(fraction: Decimal | None) -> str:
    return "-" if fraction is None else f"{fraction:.0%}"
