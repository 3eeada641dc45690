"""`crossmargin margin`: what accounts are worth and need, and why."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from crossmargin.api.v1 import margin_service_pb2
from crossmargin_cli import margin_history, outlook, top_up
from crossmargin_cli.connection import (
    DEFAULT_TARGET,
    AccountArgument,
    JsonOption,
    TargetOption,
    connect,
    full_account_name,
    print_json,
    print_json_line,
    to_json,
)
from crossmargin_cli.examples import examples
from crossmargin_cli.explanation_views import (
    advice_table,
    confidence_lines,
    direction_lines,
    distance_table,
    diversification_sentence,
    worst_direction_sentence,
)
from crossmargin_cli.failures import FAILED, MisuseError
from crossmargin_cli.margin_file import read_margins
from crossmargin_cli.margin_mode_views import mode_table
from crossmargin_cli.margin_views import (
    bridge_table,
    contribution_table,
    equity_table,
    gap_sentence,
    group_table,
    holding_table,
    in_reported_currency,
    margin_table,
    netting_sentence,
    reported_line,
    reproduction_line,
    scenario_table,
    stamp_line,
)
from crossmargin_cli.market_views import doubt_lines
from crossmargin_cli.methodology_views import METHODOLOGY_NAMES, comparison_notes, comparison_table, methodology_named
from crossmargin_cli.peg_views import held_peg_lines
from crossmargin_cli.render import band_text, console_on, money, percent, short_account
from crossmargin_client import Client, decimal_of, moment_of

app = typer.Typer(no_args_is_help=True, help="What accounts are worth and need, and why.")
app.command("history", epilog=margin_history.EXAMPLES)(margin_history.history)
app.command("outlook", epilog=outlook.EXAMPLES)(outlook.outlook)
app.command("topup", epilog=top_up.EXAMPLES)(top_up.topup)


@app.command(
    epilog=examples(
        "crossmargin margin show meridian-basis/core",
        "crossmargin margin show harbour-macro/core --in EUR",
        "crossmargin margin show --all --json",
    )
)
def show(
    account: Annotated[
        str | None, typer.Argument(metavar="ACCOUNT", help="CLIENT/ACCOUNT, or CLIENT for all of its accounts.", show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every account of every client.")] = False,
    report_in: Annotated[
        str, typer.Option("--in", metavar="CURRENCY", help="Money to report in, such as EUR; dollars if none is given.", show_default=False)
    ] = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Equity, margins, utilization and band of one account, of a client's, or of all."""
    if every == (account is not None):
        raise MisuseError("expected an account, a client or --all", next_step="crossmargin margin show --all")
    with connect(target) as client:
        standings = [client.get_standing(name, report_in=report_in) for name in _names(client, account)]
    margins = [standing.margin for standing in standings]
    if json:
        reported = {"reported": [to_json(standing.reported) for standing in standings]} if report_in else {}
        print_json({"margins": [to_json(margin) for margin in margins]} | reported)
        return
    console = console_on()
    shown = [in_reported_currency(standing) for standing in standings]
    console.print(margin_table(console, shown) if shown else "There are no accounts yet.")
    if report_in and standings:
        console.print(reported_line(standings[0].reported))
    for line in (line for margin in margins for line in doubt_lines(margin)):
        console.print(line)
    for margin in margins:
        if margin.HasField("gap_loss"):
            console.print(f"{short_account(margin.stamp.account)}: {gap_sentence(margin.gap_loss)}")


@app.command(
    epilog=examples(
        "crossmargin margin explain lattice-vol/core",
    )
)
def explain(account: AccountArgument, json: JsonOption = False, target: TargetOption = DEFAULT_TARGET) -> None:
    """What makes up the margin of an account: netting, contributions, scenarios, collateral, distance to liquidation, confidence."""
    with connect(target) as client:
        explained = client.explain_margin(full_account_name(account))
    if json:
        print_json(to_json(explained))
        return
    _print_explained(explained)


@app.command(
    epilog=examples(
        "crossmargin margin advise summit-directional/core",
    )
)
def advise(account: AccountArgument, json: JsonOption = False, target: TargetOption = DEFAULT_TARGET) -> None:
    """Which positions of a cross account could as well be walled off, and what that would cap."""
    with connect(target) as client:
        advice = client.advise_margin_mode(full_account_name(account))
    if json:
        print_json(to_json(advice))
        return
    console = console_on()
    console.print(mode_table(advice) if advice.positions else "The account holds nothing but dollars.")
    least = percent(decimal_of(advice.least_benefit))
    console.print(f"Isolate: margining it with the rest saves less than {least} of what it needs alone.", style="dim")


@app.command(
    epilog=examples(
        "crossmargin margin compare lattice-vol/core",
        "crossmargin margin compare lattice-vol/core --json",
    )
)
def compare(account: AccountArgument, json: JsonOption = False, target: TargetOption = DEFAULT_TARGET) -> None:
    """The margin of an account by every methodology, side by side: the same holdings at the same market."""
    with connect(target) as client:
        comparison = client.compare_methodologies(full_account_name(account))
    if json:
        print_json(to_json(comparison))
        return
    console = console_on()
    console.print(comparison_table(comparison))
    for line in comparison_notes(comparison):
        console.print(line, style="dim")


@app.command(
    epilog=examples(
        "crossmargin margin methodology summit-directional/satellite ratio --validate-only",
        "crossmargin margin methodology summit-directional/satellite expected_shortfall",
    )
)
def methodology(
    account: AccountArgument,
    name: Annotated[
        str, typer.Argument(metavar="METHODOLOGY", help=f"One of {', '.join(METHODOLOGY_NAMES.values())}.", show_default=False)
    ],
    validate_only: Annotated[bool, typer.Option("--validate-only", help="Make every check and change nothing.")] = False,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Set what an account is margined by, from its next ledger entry on."""
    chosen = methodology_named(name)
    with connect(target) as client:
        done = client.set_methodology(full_account_name(account), chosen, validate_only=validate_only)
    if json:
        print_json(to_json(done))
        return
    what = "could be" if validate_only else "is"
    entry = "nothing was changed" if validate_only else f"ledger entry {done.sequence}"
    typer.echo(f"{short_account(done.account.name)} {what} margined by {METHODOLOGY_NAMES[done.account.methodology]} ({entry}).")


@app.command(
    epilog=examples(
        "crossmargin margin watch summit-directional/satellite --step 0.001",
    )
)
def watch(
    account: AccountArgument,
    step: Annotated[str, typer.Option(help="Smallest move of utilization to be told of, a fraction.")] = "0.01",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """The margin of an account as it moves, a line for each change, until interrupted."""
    console = console_on()
    with connect(target) as client:
        for margin in client.watch_margin(full_account_name(account), utilization_step=step):
            if json:
                print_json_line(to_json(margin))
            else:
                console.print(_watch_line(margin), band_text(margin.band), soft_wrap=True)


@app.command(
    epilog=examples(
        "crossmargin margin show meridian-basis/core --json > margin.json && crossmargin margin reproduce margin.json",
        "crossmargin margin show --all --json | crossmargin margin reproduce -",
    )
)
def reproduce(
    file: Annotated[str, typer.Argument(metavar="FILE.json", help="What `margin show --json` or `explain --json` printed; - for stdin.")],
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Compute past margins again from what is stored, and compare every figure.

    Exit code 1 when one is not the same.
    """
    margins = read_margins(file)
    with connect(target) as client:
        answers = [client.reproduce_margin(margin.stamp, margin=margin if margin.HasField("requirement") else None) for margin in margins]
    if json:
        print_json({"reproductions": [to_json(answer) for answer in answers]})
    else:
        for margin, answer in zip(margins, answers, strict=True):
            typer.echo(reproduction_line(margin.stamp, answer))
    if not all(answer.reproduced for answer in answers):
        raise typer.Exit(FAILED)


def _names(client: Client, account: str | None) -> list[str]:
    if account is not None and "/" in account:
        return [full_account_name(account)]
    if account is not None:
        client.get_client(account)
    return [item.name for item in client.list_accounts(account or "")]


def _print_explained(explained: margin_service_pb2.ExplainMarginResponse) -> None:
    console = console_on()
    margin = explained.margin
    console.print(margin_table(console, [margin]))
    console.print(stamp_line(margin.stamp), style="dim")
    if margin.HasField("gap_loss"):
        console.print(gap_sentence(margin.gap_loss))
    console.print()
    console.print("Requirement", style="bold")
    console.print(bridge_table(console, margin.requirement))
    console.print(netting_sentence(margin.requirement))
    maintenance = decimal_of(margin.requirement.maintenance_margin)
    for table in (
        equity_table(margin.equity),
        holding_table(explained.holdings),
        contribution_table(explained.contributions, maintenance),
        group_table(explained.groups),
        scenario_table(explained.worst_scenarios),
    ):
        console.print()
        console.print(table)
    for line in held_peg_lines(explained.holdings):
        console.print(line)
    _print_beyond(console, explained)


def _print_beyond(console: Console, explained: margin_service_pb2.ExplainMarginResponse) -> None:
    """Print what the margin says beyond the number."""
    console.print()
    if explained.liquidation_distances:
        console.print(distance_table(explained.liquidation_distances))
        console.print("none: not from -99% to +400%, or 1,000 bp either way", style="dim")
    if explained.HasField("worst_direction"):
        console.print(worst_direction_sentence(explained.worst_direction))
    console.print(diversification_sentence(explained.diversification))
    for line in direction_lines(explained):
        console.print(line)
    if explained.isolation_advice:
        console.print()
        console.print(advice_table(explained.isolation_advice))
    if not explained.HasField("requirement_interval"):
        return
    console.print()
    console.print("How sure this is", style="bold")
    for line in confidence_lines(explained):
        console.print(line)


def _watch_line(margin: margin_service_pb2.Margin) -> str:
    as_of = moment_of(margin.stamp.as_of_time).strftime("%Y-%m-%d %H:%M:%S")
    equity = money(decimal_of(margin.equity.equity))
    maintenance = money(decimal_of(margin.requirement.maintenance_margin))
    return f"{as_of}  equity {equity:>14}  maintenance {maintenance:>14}  {percent(decimal_of(margin.utilization)):>9} "
