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
    print_json,
    to_json,
)
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import CommandError, MisuseError
from crossmargin_cli.liquidation_views import plan_lines, plan_table
from crossmargin_cli.pending_views import pending_sentence, pending_table
from crossmargin_cli.render import console_on, percent
from crossmargin_client import decimal_of

app = typer.Typer(no_args_is_help=True, help="Which parts of an account to close, and the agreement of two persons to it.")
_VERB: Final = "ApproveLiquidation"


@app.command(
    epilog=examples(
        "crossmargin liquidation plan summit-directional/core",
        "crossmargin liquidation plan summit-directional/core --out plan.json",
        "crossmargin liquidation plan summit-directional/core --target-utilization 0.6 --json",
    )
)
def plan(  # noqa: PLR0917 - typer reads options from the signature
    account: AccountArgument,
    target_utilization: Annotated[str, typer.Option("--target-utilization", metavar="U", help="Where utilization is to end.")] = "0.75",
    impact: Annotated[str, typer.Option("--impact", metavar="Y", help="Coefficient of the square-root law of impact.")] = "1",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Keep the plan, to have it approved.")] = None,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """The cheapest orders that bring utilization back, in pieces with limits; nothing is done, and nothing is stored."""
    with connect(target) as client:
        planned = client.plan_liquidation(full_account_name(account), target_utilization=target_utilization, impact_coefficient=impact)
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
    """Propose a plan; or, as another person and on a newer market, approve of it. Report what is then executed with `book import`."""
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


@app.command(epilog=examples("crossmargin liquidation show summit-directional/core"))
def show(account: AccountArgument, json: JsonOption = False, target: TargetOption = DEFAULT_TARGET) -> None:
    """Proposals for an account and what became of them, and whether anything is still to be closed."""
    name = full_account_name(account)
    client_id = name.split("/")[1]
    with connect(target) as client:
        pending = [
            one for one in client.list_pending_requests(client_id=client_id) if one.verb == _VERB and f"liquidate {name} " in one.words
        ]
        planned = client.plan_liquidation(name)
    if json:
        print_json({"proposals": [to_json(one) for one in pending], "now": to_json(planned)})
        return
    console = console_on()
    console.print(pending_table(pending) if pending else "Nothing was proposed.")
    for line in plan_lines(planned):
        console.print(line, soft_wrap=True)


def _read(file: Path) -> pb.LiquidationPlan:
    if not file.is_file():
        raise MisuseError(f"plan was {file}, which is no file; expected one that `crossmargin liquidation plan --out` wrote")
    try:
        return Parse(file.read_text(encoding="utf-8"), pb.LiquidationPlan())
    except (ParseError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} is no plan: {error}", next_step="crossmargin liquidation plan ACCOUNT --out FILE") from None
