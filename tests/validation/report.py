"""Writes what the validation found as a page that a risk officer can read."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.risk_parameters import RiskParameters
from tests.validation.crisis_days import DAYS_EACH_WAY, LEADING_FACTORS
from tests.validation.historical_book import LAST_GILT_DAY, LOAN_USD, BookMargin
from tests.validation.market_history import KnownTruth
from tests.validation.option_surface import HALF_TICK, OptionReport


@dataclass(frozen=True)
class LineAlone:
    """Market requirement of ten million dollars of one thing: standard, all days of crises, named events only, without stress."""

    name: str
    required: Decimal
    every_day: Decimal
    events_only: Decimal
    without_stress: Decimal


@dataclass(frozen=True)
class Findings:
    """Everything the page says.

    Attributes:
        days_are_by_rule: True when the shipped days of the crisis windows are those that the rule picks from the history.
        curve_days: Days with a bootstrapped Treasury curve. largest_par_error: Farthest a par bond reprices from 100.
        alone_day: Day of `alone`.
    """

    parameters: RiskParameters
    truths: Sequence[KnownTruth]
    days_are_by_rule: bool
    curve_days: int
    largest_par_error: float
    books: Sequence[BookMargin]
    alone_day: date
    alone: Sequence[LineAlone]
    options: OptionReport

    @property
    def holds(self) -> bool:
        """True when every check of the validation holds."""
        return all(truth.holds for truth in self.truths) and self.days_are_by_rule and self.options.holds


def render(findings: Findings) -> str:
    """Return the page, Markdown."""
    parts = (_introduction, _data, _curve, _crisis_days, _margins, _worst, _stress_share, _options, _judgement)
    return filled("\n\n".join(part(findings) for part in parts))


def _introduction(findings: Findings) -> str:
    parameters = findings.parameters
    return f"""# Validation on real market history

This page is written by `python -m tests.validation --history DIR --write`. It runs the engine that margins clients, unchanged, on
real history. The parameter set is `{parameters.set_id}` (content hash `{parameters.content_hash[:16]}`). The history itself is not part
of the project; only results are shown here.

Every check of this page {"holds" if findings.holds else "DOES NOT HOLD: see the rows marked no"}."""


def _data(findings: Findings) -> str:
    rows = [(truth.what, f"{truth.published:g}", f"{truth.read:.4f}", _yes(truth.holds)) for truth in findings.truths]
    return f"""## Data

| source | used for |
|---|---|
| ECB euro reference rates | USD per unit of EUR, GBP, JPY, CHF |
| US Treasury daily par yield curve | dollar zero curve, 3M to 30Y |
| ECB (AAA) and Bank of England government zero curves | euro and sterling zero curves |
| venue closes at 24:00 UTC | BTC and ETH |
| one snapshot of listed ETH options with their marks | option pricing |

Fixings are taken in the early afternoon in Frankfurt, Treasury yields in the afternoon in New York and coins at midnight UTC, so joint
moves within a day are understated. A day without a level carries the last one, as the engine does; nothing else is filled in.

The loaders are checked against moves that are public knowledge:

{table(("move", "published", "read", "holds"), rows)}"""


def _curve(findings: Findings) -> str:
    return f"""## Treasury curve

Par yields are bond-equivalent and semi-annual. They are bootstrapped to continuously compounded zero rates at ten nodes, linear between
nodes. On {findings.curve_days:,} days every par bond reprices to 100 within {findings.largest_par_error:.0e} per 100 of face. Days on
which a tenor was not published have no curve."""


def _crisis_days(findings: Findings) -> str:
    rows = [
        (window.name, f"{window.first_day} to {window.last_day}", str(len(window.days))) for window in findings.parameters.crisis_windows
    ]
    verdict = "are exactly these" if findings.days_are_by_rule else "ARE OTHERS"
    return f"""## Days of past crises

The worst {DAYS_EACH_WAY} falls and rises of each of {len(LEADING_FACTORS)} leading factors, out of all days of all windows. The
shipped days {verdict}.

{table(("window", "days it was chosen from", "chosen"), rows)}"""


def _margins(findings: Findings) -> str:
    rows = [
        (
            str(book.day),
            _money(book.result.equity.equity),
            _money(book.result.requirement.gross),
            _money(book.result.requirement.market_requirement),
            _money(book.result.requirement.maintenance_margin),
            _money(book.result.requirement.initial_margin),
            "none" if book.result.utilization is None else f"{book.result.utilization:.2f}",
            f"{book.result.requirement.netting_benefit_fraction:.0%}",
            _money(book.events_only.requirement.maintenance_margin),
            _money(book.without_stress.requirement.maintenance_margin),
            str(book.stress_count),
            _money(book.realised_pnl),
        )
        for book in findings.books
    ]
    header = (
        "day",
        "equity",
        "gross",
        "market",
        "MM",
        "IM",
        "U",
        "netting",
        "MM, named events",
        "MM, no stress",
        "stress scenarios",
        "next two days",
    )
    observations = {book.observations for book in findings.books}
    return f"""## A cross-asset book on days of the past

The same book every day, in dollars at that day's prices: long 15m BTC and 5m ETH, short 10m and 8m of their perpetuals; 20m dollars of
euro bought and 12m of sterling sold three months forward; a 20m bill, a 30m two-year note, 10m of ten-year notes sold short; a dollar
loan of {LOAN_USD // 1_000_000}m. Each day sees only what was known by then: {_spoken(observations)} overlapping joint moves, scenarios of
named events that were over, and the chosen days of crises so far. "MM, named events" leaves those days out, "MM, no stress" all stress.
"Next two days" is what the unchanged book then gained or lost over two business days. The
sterling curve ends on {LAST_GILT_DAY}, so the last line is the book without its sterling forward.

Equity and requirements are in thousands of dollars. MM is the maintenance and IM the initial margin, U the utilization MM / equity.
Gross is what every line would need alone. Most of the netting is coins against their own perpetuals and notes against notes.

{table(header, rows)}"""


def _worst(findings: Findings) -> str:
    chosen = [book for book in findings.books if book.day == date(2020, 3, 13)] + [findings.books[-1]]
    tables = [
        f"### {book.day}\n\n"
        + table(
            ("scenario", "stress", "weight", "profit or loss"),
            [(worst.name, _yes(worst.is_stress), f"{worst.weight:.4%}", _money(worst.pnl)) for worst in book.result.worst_scenarios],
        )
        for book in chosen
    ]
    return "## The ten worst scenarios\n\nThousands of dollars.\n\n" + "\n\n".join(tables)


def _stress_share(findings: Findings) -> str:
    rows = [
        (
            line.name,
            f"{line.required / 10_000_000:.1%}",
            f"{line.every_day / 10_000_000:.1%}",
            f"{line.events_only / 10_000_000:.1%}",
            f"{line.without_stress / 10_000_000:.1%}",
            f"{line.required / line.without_stress:.1f}x",
        )
        for line in findings.alone
    ]
    parameters = findings.parameters
    day = next(book for book in findings.books if book.day == findings.alone_day)
    weight, alpha = 1 - parameters.ordinary_weight, parameters.tail_fraction
    return f"""## What the stress set does to the tail

On {findings.alone_day} the stress set is the {day.event_count} scenarios of named events and {day.stress_count - day.event_count} days of
past crises, the worst of them for coins, currencies and rates each way. They share a weight of {weight:.0%}, so each weighs
{weight / day.stress_count:.3%}, and {alpha * day.stress_count / weight:.0f} of them would fill the tail of {alpha:.1%} alone; with the
named events only it took {alpha * day.event_count / weight:.1f}. With every day of the windows, calm ones and all, the weight is spread
thinner and the requirement lower. Ten million dollars of one thing, market requirement as a share of notional:

{table(("position", "standard", "all days of the windows", "named events only", "no stress", "standard / no stress"), rows)}"""


def _options(findings: Findings) -> str:
    report = findings.options
    comparisons = (
        ("value when nothing moves, against the mark", report.base_error),
        ("own Black-76 at the engine's implied volatility, against the mark", report.repriced_error),
        (
            f"profit in {report.scenario_count - 1} stress scenarios, engine against own revaluation (largest of each option)",
            report.scenario_error,
        ),
    )
    rows = [
        (what, str(len(error)), f"{np.median(error):.0e}", f"{error.max():.0e}", _yes(bool(error.max() <= HALF_TICK)))
        for what, error in comparisons
    ]
    near = report.near_money
    parity = [
        _parity_row("all strikes", report.parity_price_gap, report.parity_volatility_gap),
        _parity_row("strike within 0.8 to 1.25 of forward", report.parity_price_gap[near], report.parity_volatility_gap[near]),
    ]
    outside = ", ".join(report.outside_bounds)
    return f"""## Real coin-settled options

All {len(report.snapshot.quotes)} listed ETH options of {report.snapshot.as_of:%Y-%m-%d %H:%M} UTC, over
{len({quote.expiry for quote in report.snapshot.quotes})} expiries, priced in ETH. The forward of each expiry is the venue's own price of
the underlying; carry nodes are solved so that the engine's forward is that price. {len(report.outside_bounds)} marks lie outside their
no-arbitrage bounds ({outside}): no volatility explains them, and the engine holds the unexplained part fixed. Errors are in ETH; half a
tick is {HALF_TICK:g}.

{table(("comparison", "options", "median", "largest", "within half a tick"), rows)}

The first line shows that a marked option is worth its mark and no more than that. The second and third do not: they price with a formula
of the validation's own and revalue spot, carry and volatility together.

Put-call parity asks whether the venue's marks and forward agree at all. Call less put should be 1 - K/F coins, and both should imply the
same volatility:

{table(("pairs", "count", "price gap, median", "price gap, largest", "volatility gap, median", "volatility gap, largest"), parity)}"""


def _judgement(findings: Findings) -> str:
    worst = min(findings.books, key=lambda book: book.realised_pnl)
    covered = all(-book.realised_pnl <= book.result.requirement.maintenance_margin for book in findings.books)
    before, after = (next(book for book in findings.books if book.day == day) for day in (date(2020, 2, 28), date(2020, 3, 31)))
    rise = after.result.requirement.maintenance_margin / before.result.requirement.maintenance_margin - 1
    calm_rise = after.without_stress.requirement.maintenance_margin / before.without_stress.requirement.maintenance_margin - 1
    last = findings.books[-1]
    return f"""## What is good, and what is not

- {"On every day of the table" if covered else "NOT on every day of the table"} the maintenance margin covered the loss of the next two
  business days. The largest loss was {_money(-worst.realised_pnl)} thousand after {worst.day}, against a margin of
  {_money(worst.result.requirement.maintenance_margin)} thousand. Eleven days are an illustration;
  every day is in the [backtest](backtest.md).
- From the end of February to the end of March 2020 the margin rose by {rise:.0%}; without the stress set it would have risen by
  {calm_rise:.0%}. The stress set works as the buffer against procyclicality that it is meant to be.
- Its price is a requirement that leans on chosen scenarios. On {last.day} {last.stress_among_worst} of the ten worst scenarios are stress.
- The chosen days of past crises make the requirement rest on more scenarios than the named events alone, which are the worst of all and
  many of them hypothetical: {_money(after.result.requirement.maintenance_margin)} thousand instead of
  {_money(after.events_only.requirement.maintenance_margin)} on {after.day}, {_money(last.result.requirement.maintenance_margin)} instead of
  {_money(last.events_only.requirement.maintenance_margin)} on {last.day}.
- The days were chosen with hindsight, from all of history up to 2025; a day of 2020 is margined with those of its past alone.
- Options are priced to the rounding of a float. The size of their volatility shocks is not validated: there is no history of implied
  volatilities here.
- No stablecoin has a price series here, so the book holds dollars and bills instead. What a stablecoin needs comes from the depeg
  event and, in operation, from an imported history.
- Carry of futures has no history here either: perpetuals move with spot one for one.
- One book on eleven days says nothing about other books. Thirteen of them over seven years are in the
  [backtest](backtest.md)."""


def _parity_row(name: str, price_gap: NDArray[np.float64], volatility_gap: NDArray[np.float64]) -> tuple[str, ...]:
    prices, volatilities = np.abs(price_gap), np.abs(volatility_gap)
    return (
        name,
        str(len(prices)),
        f"{np.median(prices):.0e}",
        f"{prices.max():.0e}",
        f"{np.median(volatilities):.2%}",
        f"{volatilities.max():.2%}",
    )


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table, Markdown."""
    lines = [list(header), *(list(row) for row in rows)]
    rule = ["---"] * len(lines[0])
    return "\n".join("| " + " | ".join(line) + " |" for line in (lines[0], rule, *lines[1:]))


def _money(amount: Decimal | float) -> str:
    return f"{amount / 1000:,.0f}"


def _spoken(counts: set[int]) -> str:
    return " or ".join(f"{count:,}" for count in sorted(counts))


def filled(page: str) -> str:
    """Return a page with the lines of its paragraphs filled."""
    return "\n\n".join(_wrapped(block) for block in page.strip().split("\n\n")) + "\n"


def _wrapped(block: str) -> str:
    """The block with its lines filled; headings and tables as they are, each point of a list by itself."""
    if block.startswith(("#", "|")):
        return block
    if block.startswith("- "):
        points = block.removeprefix("- ").split("\n- ")
        return "\n".join(textwrap.fill(" ".join(point.split()), 135, initial_indent="- ", subsequent_indent="  ") for point in points)
    return textwrap.fill(" ".join(block.split()), 135)


def _yes(claim: bool) -> str:
    return "yes" if claim else "no"
