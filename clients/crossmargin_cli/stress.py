"""`crossmargin stress`: what a move of the market would do, and what move would break an account."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_cli.connection import DEFAULT_TARGET, JsonOption, TargetOption, connect, full_account_name, print_json, to_json
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import CommandError
from crossmargin_cli.plots import check_plot_file
from crossmargin_cli.render import console_on, error_console
from crossmargin_cli.stress_plots import write_plots
from crossmargin_cli.stress_views import (
    account_table,
    failure_lines,
    house_table,
    library_table,
    plan_line,
    plausibility_lines,
    reverse_table,
    worst_tables,
)
from crossmargin_cli.stress_words import scenario_from_words
from crossmargin_client import decimal_of

app = typer.Typer(no_args_is_help=True, help="What a move of the market would do, and what move would break an account.")
AccountOption = Annotated[str, typer.Option("--account", metavar="CLIENT/ACCOUNT", help="One account; every open one if none is given.")]
_ENDED: Final = "the run ended before its results"


@app.command(
    epilog=examples(
        'crossmargin stress run "All crypto falls as one by 40%" --account summit-directional/core',
        "crossmargin stress run --shock class:CRYPTO=-40% --shock zero:USD=+100bp --both-directions",
        "crossmargin stress run --correlation",
        "crossmargin stress run --plot stress.html --json",
    )
)
def run(  # noqa: PLR0917 - typer reads options from the signature
    scenarios: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SCENARIO]...", help="Names from `crossmargin stress list`; all if nothing is asked for.", show_default=False
        ),
    ] = None,
    account: AccountOption = "",
    shock: Annotated[
        list[str] | None,
        typer.Option("--shock", metavar="WHAT=SIZE", help="A move of your own, such as spot:BTC=-30%; several make one scenario."),
    ] = None,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What to call the scenario of your own.")] = "ad hoc",
    both_directions: Annotated[bool, typer.Option("--both-directions", help="Run its opposite as well.")] = False,
    correlation: Annotated[
        bool, typer.Option("--correlation", help="Nothing diversifies; and every group against the account at once.")
    ] = False,
    shown: Annotated[int, typer.Option("--show", min=0, max=1000, help="How many accounts and positions to name.")] = 10,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw the scenarios: FILE.png, FILE.svg, or FILE.html with the table.")
    ] = None,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Revalue an account, or the whole house, after moves of the market."""
    if plot is not None:
        check_plot_file(plot)
    own = [scenario_from_words(name, shock, both_directions=both_directions)] if shock else []
    plan: pb.StressPlan | None = None
    outcomes: list[pb.StressOutcome] = []
    with connect(target) as client, _progress() as (bar, task):
        responses = client.run_stress(
            account=full_account_name(account) if account else "",
            scenarios=scenarios or [],
            ad_hoc=own,
            correlation=correlation,
            accounts_shown=shown,
            positions_shown=shown,
        )
        for response in responses:
            match response.WhichOneof("message"):
                case "plan":
                    plan = response.plan
                case "progress":
                    bar.update(task, completed=response.progress.done, total=response.progress.total)
                case "outcome":
                    outcomes.append(response.outcome)
    if plan is None or len(outcomes) < len(plan.scenarios):
        raise CommandError(_ENDED, next_step="run it again")
    if plot is not None:
        write_plots(plot, plan, outcomes, is_house=not account)
    if json:
        print_json({"plan": to_json(plan), "outcomes": [to_json(outcome) for outcome in outcomes]})
        return
    _print_stress(plan, outcomes, is_house=not account)


@app.command("list", epilog=examples("crossmargin stress list", "crossmargin stress list --json"))
def list_scenarios(
    days: Annotated[bool, typer.Option("--days", help="The days of crises too, which move as the history did.")] = False,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """The named scenarios of the risk parameters in force."""
    with connect(target) as client:
        library = client.list_stress_scenarios()
    if json:
        print_json(to_json(library))
        return
    console = console_on()
    shown = [one for one in library.scenarios if days or one.kind != pb.STRESS_KIND_CRISIS_DAY]
    console.print(library_table(shown))
    hidden = len(library.scenarios) - len(shown)
    note = f", and {hidden} days of crises (--days)" if hidden else ""
    console.print(f"{len(shown)} scenarios of {library.parameter_set_id}{note}.", style="dim")


@app.command(
    epilog=examples(
        "crossmargin stress reverse --account lattice-vol/core",
        "crossmargin stress reverse --until-ruin --json",
    )
)
def reverse(
    account: AccountOption = "",
    until_ruin: Annotated[bool, typer.Option("--until-ruin", help="Until equity is gone, not only until liquidation.")] = False,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """The most plausible move of the market that breaks an account, or each of the house."""
    line = pb.BREAK_LINE_RUIN if until_ruin else pb.BREAK_LINE_LIQUIDATION
    plan: pb.StressPlan | None = None
    results: list[pb.ReverseStressResult] = []
    with connect(target) as client, _progress() as (bar, task):
        for response in client.reverse_stress(line, account=full_account_name(account) if account else ""):
            match response.WhichOneof("message"):
                case "plan":
                    plan = response.plan
                    bar.update(task, total=plan.account_count)
                case "progress":
                    bar.update(task, completed=response.progress.done, total=response.progress.total)
                case "result":
                    results.append(response.result)
    if plan is None or len(results) < plan.account_count:
        raise CommandError(_ENDED, next_step="run it again")
    if json:
        print_json({"plan": to_json(plan), "results": [to_json(result) for result in results]})
        return
    console = console_on()
    console.print(reverse_table(results))
    for line_of_text in (*(plausibility_lines(results[0]) if len(results) == 1 else ()), plan_line(plan)):
        console.print(line_of_text, style="dim", soft_wrap=True)


def _print_stress(plan: pb.StressPlan, outcomes: list[pb.StressOutcome], *, is_house: bool) -> None:
    console = console_on()
    console.print(house_table(outcomes) if is_house else account_table(outcomes))
    worst = min(outcomes, key=lambda one: decimal_of(one.equity_after))
    for table in worst_tables(worst, with_accounts=is_house):
        if table.row_count:
            console.print(table)
    for line in (*failure_lines(outcomes[0]), plan_line(plan)):
        console.print(line, style="dim", soft_wrap=True)


@contextmanager
def _progress() -> Iterator[tuple[Progress, TaskID]]:
    """Yield a bar on standard error, silent where nobody watches."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=error_console(), transient=True) as bar:
        yield bar, bar.add_task("revaluing", total=None)
