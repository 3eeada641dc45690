"""`crossmargin backtest`: was the requirement enough, day after day?"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Final

import typer

from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_cli.backtest_plots import write_plots
from crossmargin_cli.backtest_views import backtest_table, left_out_lines, plan_line
from crossmargin_cli.connection import DEFAULT_TARGET, JsonOption, TargetOption, connect, full_account_name, print_json, to_json
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import CommandError, MisuseError
from crossmargin_cli.plots import check_plot_file
from crossmargin_cli.render import console_on, counted, error_console

EXAMPLES: Final = examples(
    "crossmargin backtest --from 2020-01-01 --to 2024-12-31",
    "crossmargin backtest btc-long mixed-hedged --plot backtest.html",
    "crossmargin backtest --account meridian-basis/core --every 5 --json",
)


def backtest(  # noqa: PLR0917 - typer reads options from the signature
    books: Annotated[
        list[str] | None,
        typer.Argument(metavar="[BOOK]...", help="Benchmark books, such as btc-long; all of them if none is named.", show_default=False),
    ] = None,
    account: Annotated[
        str, typer.Option("--account", metavar="CLIENT/ACCOUNT", help="Test an account's present holdings and no benchmark book.")
    ] = "",
    first_day: Annotated[str, typer.Option("--from", metavar="DAY", help="First day; a year before the last if none is given.")] = "",
    last_day: Annotated[
        str, typer.Option("--to", metavar="DAY", help="Last day; the last that the history can judge if none is given.")
    ] = "",
    every: Annotated[int, typer.Option("--every", min=1, max=366, help="Test every so-manieth day.")] = 1,
    confidence: Annotated[str, typer.Option("--confidence", metavar="SHARE", help="Share of margin periods to be covered.")] = "0.99",
    parameters: Annotated[
        str, typer.Option("--parameters", metavar="ID", help="Set of risk parameters; the one in force if none is given.")
    ] = "",
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw requirements and profits: FILE.png, FILE.svg, or FILE.html with the table."),
    ] = None,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Test requirements of past days, each from what was known then, against what the unchanged book gained or lost."""
    if plot is not None:
        check_plot_file(plot)
    plan, results = _run(
        target,
        books=books or [],
        account=full_account_name(account) if account else "",
        first_day=_day(first_day, "--from"),
        last_day=_day(last_day, "--to"),
        every=every,
        confidence=confidence,
        parameter_set_id=parameters,
    )
    if plot is not None:
        write_plots(plot, plan, results)
    if json:
        print_json({"plan": to_json(plan), "books": [to_json(book) for book in results]})
        return
    console = console_on()
    console.print(backtest_table(plan, results))
    for line in (plan_line(plan), *left_out_lines(results)):
        console.print(line, soft_wrap=True)


def _run(target: str, **asked: object) -> tuple[pb.BacktestPlan, list[pb.BookBacktest]]:
    plan: pb.BacktestPlan | None = None
    books: list[pb.BookBacktest] = []
    with connect(target) as client, error_console().status("reading the history") as status:
        for response in client.run_backtest(**asked):  # type: ignore[arg-type]
            match response.WhichOneof("message"):
                case "plan":
                    plan = response.plan
                case "progress":
                    status.update(f"{response.progress.days_done:,} of {counted(response.progress.day_count, 'day')}")
                case "book":
                    books.append(response.book)
    if plan is None or len(books) < len(plan.books):
        raise CommandError("the backtest ended before its results", next_step="run it again")
    return plan, books


def _day(text: str, option: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise MisuseError(f"{option} was {text!r}; expected a day such as 2024-12-31") from None
