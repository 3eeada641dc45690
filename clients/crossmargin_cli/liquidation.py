"""`crossmargin liquidation`: which parts of an account to close, and the agreement of two persons to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from google.protobuf.json_format import MessageToJson, Parse, ParseError

from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_cli.connection import (
    DEFAULT_TARGET,
    AccountArgument,
    ConfirmOption,
    JsonOption,
    PrincipalOption,
    TargetOption,
    connect,
    full_account_name,
    full_scope,
    print_json,
    to_json,
)
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import FAILED, CommandError, MisuseError
from crossmargin_cli.liquidation_life_views import (
    liquidation_lines,
    liquidation_table,
    order_table,
    reported_lines,
    state_name,
    step_table,
)
from crossmargin_cli.liquidation_views import plan_lines, plan_table, reproduction_line
from crossmargin_cli.pending_views import pending_sentence, pending_table
from crossmargin_cli.render import console_on, percent, short_account
from crossmargin_cli.trade_file import BATCH_SIZE, batches, read_trade_file
from crossmargin_client import decimal_of

app = typer.Typer(no_args_is_help=True, help="Which parts of an account to close, and the agreement of two persons to it.")
_VERB: Final = "ApproveLiquidation"
LiquidationArgument = Annotated[str, typer.Argument(metavar="LIQUIDATION", help="Its name, as `approve` said it.")]


@app.command(
    epilog=examples(
        "crossmargin liquidation plan summit-directional/core",
        "crossmargin liquidation plan summit-directional/core --out plan.json",
        "crossmargin liquidation plan summit-directional/core --target-utilization 0.6 --json",
    )
)
def plan(  # noqa: PLR0917 - typer reads options from the signature
    account: AccountArgument,
    target_utilization: Annotated[
        str, typer.Option("--target-utilization", metavar="U", help="Where utilization is to end; else where the risk parameters say.")
    ] = "",
    impact: Annotated[
        str, typer.Option("--impact", metavar="Y", help="Coefficient of the square-root law of impact; else that of the risk parameters.")
    ] = "",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Keep the plan, to have it approved.")] = None,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """The cheapest orders that bring utilization back, in pieces with limits; nothing is done, and nothing is stored."""
    with connect(target) as client:
        planned = client.plan_liquidation(
            full_account_name(account), target_utilization=target_utilization or None, impact_coefficient=impact or None
        )
    if out is not None:
        out.write_text(MessageToJson(planned.plan, preserving_proto_field_name=True) + "\n", encoding="utf-8")
    if json:
        print_json(to_json(planned))
        return
    console = console_on()
    if planned.plan.pieces:
        console.print(plan_table(planned.plan))
    for line in plan_lines(planned):
        console.print(line, soft_wrap=True)


@app.command(epilog=examples("crossmargin liquidation reproduce plan.json", "crossmargin liquidation reproduce plan.json --json"))
def reproduce(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A plan that was kept with --out.")],
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Make a past plan again from what is stored, whatever has happened since, and compare every order, limit and figure.

    Exit code 1 when it is not the same.
    """
    kept = _read(file)
    with connect(target) as client:
        answer = client.reproduce_liquidation(kept)
    if json:
        print_json(to_json(answer))
    else:
        console_on().print(reproduction_line(kept, answer), soft_wrap=True)
    if not answer.reproduced:
        raise typer.Exit(FAILED)


@app.command(
    epilog=examples(
        "crossmargin liquidation approve plan.json --as alice",
        "crossmargin liquidation approve plan.json --confirm 0f3a5b7c9d1e2f40 --as bob",
    )
)
def approve(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A plan that was kept with --out.")],
    confirm: ConfirmOption = "",
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Propose a plan; or, as another person and on a newer market, approve of it. Nothing is traded by itself; report what is."""
    kept = _read(file)
    with connect(target, principal=principal) as client:
        done = client.approve_liquidation(kept, confirms=confirm)
    if json:
        print_json(to_json(done))
        return
    console = console_on()
    if done.HasField("pending_request"):
        console.print(pending_sentence(done.pending_request), soft_wrap=True)
        return
    before, after = (percent(decimal_of(standing.utilization)) for standing in (done.before, done.after))
    console.print(f"Approved: at the market of now it takes utilization from {before} to {after}.")
    report_it = f"crossmargin liquidation report {short_account(kept.account)} {done.liquidation_id} FILE.csv"
    console.print(f"Report what is traded of it: {report_it}", soft_wrap=True)


@app.command(
    epilog=examples(
        "crossmargin liquidation report summit-directional/core 0f3a5b7c9d1e2f40 fills.csv --as olivia",
    )
)
def report(  # noqa: PLR0917 - typer reads options from the signature
    account: AccountArgument,
    liquidation_id: LiquidationArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="What was traded, as `crossmargin book import` takes it.")],
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Book what was traded of a liquidation, all of the file or nothing; reporting the same file again books nothing again."""
    name, fills = full_account_name(account), read_trade_file(file)
    work = list(batches(fills, account=f"{name} {liquidation_id}"))
    if len(work) > 1:
        raise CommandError(f"{file} has {len(fills.lines)} fills; expected at most {BATCH_SIZE}", next_step="report them in several files")
    ((request_id, lines),) = work
    with connect(target, principal=principal) as client:
        done = client.report_liquidation(name, liquidation_id, [line.trade for line in lines], request_id=request_id)
    if json:
        print_json(to_json(done))
        return
    console = console_on()
    for line in reported_lines(done):
        console.print(line, soft_wrap=True)


@app.command(
    epilog=examples('crossmargin liquidation abandon summit-directional/core 0f3a5b7c9d1e2f40 --text "the client has paid" --as alice')
)
def abandon(  # noqa: PLR0917 - typer reads options from the signature
    account: AccountArgument,
    liquidation_id: LiquidationArgument,
    text: Annotated[str, typer.Option("--why", "--text", metavar="WORDS", help="Why; it is kept.")],
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """End a liquidation: nothing more of it is to be traded."""
    with connect(target, principal=principal) as client:
        ended = client.abandon_liquidation(full_account_name(account), liquidation_id, text)
    if json:
        print_json(to_json(ended))
        return
    console_on().print(f"Liquidation {ended.liquidation_id} is {state_name(ended.state)}.")


@app.command("list", epilog=examples("crossmargin liquidation list", "crossmargin liquidation list summit-directional/core --all --json"))
def list_liquidations(
    scope: Annotated[str, typer.Argument(metavar="[CLIENT|ACCOUNT]", help="CLIENT or CLIENT/ACCOUNT; everybody without.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Those that have ended, too.")] = False,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Open liquidations, with what they cost and where they stand."""
    with connect(target) as client:
        found = list(client.list_liquidations(full_scope(scope), only_open=not every))
    if json:
        print_json({"liquidations": [to_json(one) for one in found]})
    elif found:
        console_on().print(liquidation_table(found))
    else:
        typer.echo("There are no liquidations." if every else "There are no open liquidations.")


@app.command(
    epilog=examples(
        "crossmargin liquidation show summit-directional/core", "crossmargin liquidation show summit-directional/core 0f3a5b7c9d1e2f40"
    )
)
def show(
    account: AccountArgument,
    liquidation_id: Annotated[str, typer.Argument(metavar="[LIQUIDATION]", help="One that was approved; without, all.")] = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Proposals and liquidations of an account, and whether anything is still to be closed; or one liquidation with every step of it."""
    name = full_account_name(account)
    if liquidation_id:
        _show_one(name, liquidation_id, as_json=json, target=target)
        return
    client_id = name.split("/")[1]
    with connect(target) as client:
        pending = [
            one for one in client.list_pending_requests(client_id=client_id) if one.verb == _VERB and f"liquidate {name} " in one.words
        ]
        found = list(client.list_liquidations(name))
        planned = client.plan_liquidation(name)
    if json:
        proposals, known = [to_json(one) for one in pending], [to_json(one) for one in found]
        print_json({"proposals": proposals, "liquidations": known, "now": to_json(planned)})
        return
    console = console_on()
    console.print(pending_table(pending) if pending else "Nothing was proposed.")
    if found:
        console.print(liquidation_table(found))
    for line in plan_lines(planned):
        console.print(line, soft_wrap=True)


def _show_one(name: str, liquidation_id: str, *, as_json: bool, target: str) -> None:
    with connect(target) as client:
        found = client.get_liquidation(name, liquidation_id)
    if as_json:
        print_json(to_json(found))
        return
    console = console_on()
    console.print(order_table(found.liquidation))
    console.print(step_table(found.steps))
    for line in liquidation_lines(found):
        console.print(line, soft_wrap=True)


def _read(file: Path) -> pb.LiquidationPlan:
    if not file.is_file():
        raise MisuseError(f"plan was {file}, which is no file; expected one that `crossmargin liquidation plan --out` wrote")
    try:
        return Parse(file.read_text(encoding="utf-8"), pb.LiquidationPlan())
    except (ParseError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} is no plan: {error}", next_step="crossmargin liquidation plan ACCOUNT --out FILE") from None
