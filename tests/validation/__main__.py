"""Runs the validation, the backtest or the crashes: `python -m tests.validation [backtest|flash-crash] [--history DIR] [--write]`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from rich.progress import track

from crossmargin.adapters.runtime.standard_parameters import standard_parameters
from crossmargin.adapters.runtime.terminal import exit_code_of
from crossmargin.engine.scenarios.history_arrays import known_history
from crossmargin_cli.render import error_console
from tests.validation.backtest import run_backtest
from tests.validation.backtest_page import draw_backtest, render_backtest
from tests.validation.crisis_days import days_are_by_rule
from tests.validation.flash_crash import EPISODES, Episode, replay_crash
from tests.validation.flash_crash_page import holds, render_flash_crash
from tests.validation.flash_crash_picture import draw_flash_crash
from tests.validation.historical_book import FIRST_DAY, LAST_CRISIS_DAY, LAST_FULL_DAY, REVIEW_DAYS, margin_alone, margin_book, single_legs
from tests.validation.market_history import HistoryError, known_truths, load_market_history
from tests.validation.option_surface import check_options, load_option_snapshot
from tests.validation.report import Findings, LineAlone, render

HISTORY_VARIABLE: Final = "CROSSMARGIN_HISTORY_DIR"
PAGE: Final = Path(__file__).resolve().parents[2] / "service" / "docs" / "validation.md"
BACKTEST_PAGE: Final = PAGE.with_name("backtest.md")
BACKTEST_PICTURE: Final = PAGE.with_name("backtest.png")
CRASH_PAGE: Final = PAGE.with_name("flash-crash.md")
CRASH_PICTURE: Final = PAGE.with_name("flash-crash.png")
EXIT_HOLDS, EXIT_FAILED, EXIT_NO_HISTORY = 0, 1, 2


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Return 0 when every check holds, 1 when one does not, 2 without a folder of history to read."""
    parser = argparse.ArgumentParser(prog="python -m tests.validation", description="Validate the margin engine on real market history.")
    parser.add_argument("--history", type=Path, help=f"folder of market history; default {HISTORY_VARIABLE}")
    parser.add_argument("--write", action="store_true", help=f"write the page to {PAGE.relative_to(PAGE.parents[2])}")
    parser.add_argument("what", nargs="?", choices=["validation", "backtest", "flash-crash"], default="validation", help="what to run")
    parser.add_argument("--every", type=int, default=1, help="backtest: test every so-manieth day; a page is of every day")
    options = parser.parse_args(arguments)
    folder = options.history or (Path(named) if (named := environment.get(HISTORY_VARIABLE)) else None)
    if folder is None:
        return _complain(f"no market history: give --history DIR or set {HISTORY_VARIABLE} to a folder of daily CSV files")
    try:
        if options.what == "backtest":
            return _backtest(folder, every=options.every, write=options.write)
        if options.what == "flash-crash":
            return _flash_crash(folder, write=options.write)
        findings = validate(folder)
    except HistoryError as error:
        return _complain(f"market history in {folder} cannot be read: {error}")
    page = render(findings)
    sys.stdout.write(page)
    if options.write:
        PAGE.write_text(page, encoding="utf-8")
    return EXIT_HOLDS if findings.holds else EXIT_FAILED


def validate(folder: Path) -> Findings:
    """Return what the validation finds in a folder of market history.

    Raises:
        HistoryError: The folder lacks something, or holds something else than it should.
    """
    parameters, history = standard_parameters(), load_market_history(folder)
    return Findings(
        parameters=parameters,
        truths=known_truths(history),
        days_are_by_rule=days_are_by_rule(known_history(history.factor_history(FIRST_DAY, LAST_CRISIS_DAY), parameters), parameters),
        curve_days=len(history.par_yields["10Y"]),
        largest_par_error=history.largest_par_error,
        books=[margin_book(history, day, parameters) for day in REVIEW_DAYS],
        alone_day=LAST_FULL_DAY,
        alone=[
            LineAlone(name, *margin_alone(leg, history, LAST_FULL_DAY, parameters))
            for name, leg in single_legs(history, LAST_FULL_DAY).items()
        ],
        options=check_options(load_option_snapshot(folder), parameters),
    )


def _backtest(folder: Path, *, every: int, write: bool) -> int:
    findings = run_backtest(load_market_history(folder), standard_parameters(), every=every)
    page = render_backtest(findings, picture=BACKTEST_PICTURE.name)
    sys.stdout.write(page)
    if write:
        BACKTEST_PAGE.write_text(page, encoding="utf-8")
        draw_backtest(findings, BACKTEST_PICTURE)
    return EXIT_HOLDS if findings.holds else EXIT_FAILED


def _flash_crash(folder: Path, *, write: bool) -> int:
    parameters = standard_parameters()

    def tracked(episode: Episode, ticks: Sequence[int]) -> Iterable[int]:
        return track(ticks, description=episode.name, console=error_console())

    crashes = [replay_crash(folder, episode, parameters, partial(tracked, episode)) for episode in EPISODES]
    page = render_flash_crash(crashes, parameters, picture=CRASH_PICTURE.name)
    sys.stdout.write(page)
    if write:
        CRASH_PAGE.write_text(page, encoding="utf-8")
        draw_flash_crash(crashes, CRASH_PICTURE)
    return EXIT_HOLDS if holds(crashes) else EXIT_FAILED


def _complain(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return EXIT_NO_HISTORY


if __name__ == "__main__":
    sys.exit(exit_code_of(lambda: main(sys.argv[1:], os.environ)))
