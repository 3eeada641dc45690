"""`crossmargin parameters`: risk parameters, from a proposal to the day they are in force."""

from __future__ import annotations

import json as json_text
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from crossmargin.api.v1 import reference_service_pb2 as pb
from crossmargin_cli.connection import (
    DEFAULT_TARGET,
    JsonOption,
    PrincipalOption,
    TargetOption,
    connect,
    print_json,
    to_json,
)
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import CommandError, MisuseError
from crossmargin_cli.parameter_views import call_line_note, called_lines, set_table, shadow_table, standing_line
from crossmargin_cli.render import console_on, error_console
from crossmargin_client import Client

app = typer.Typer(no_args_is_help=True, help="Risk parameters: propose, shadow, approve, activate.")
SetArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the set, such as standard-1.")]


@app.command("list", epilog=examples("crossmargin parameters list"))
def list_sets(json: JsonOption = False, target: TargetOption = DEFAULT_TARGET) -> None:
    """Every set: how far it has come, by whom, and from when it is in force."""
    with connect(target) as client:
        sets = list(client.list_risk_parameters())
    if json:
        print_json({"parameter_sets": [to_json(one) for one in sets]})
        return
    console_on().print(set_table(sets) if sets else "There are no risk parameters yet.")


@app.command(
    epilog=examples(
        "crossmargin parameters show",
        "crossmargin parameters show standard-1 --json > house-2.json",
    )
)
def show(
    parameter_set_id: Annotated[
        str, typer.Argument(metavar="ID", help="Id of the set; the one in force if none is given.", show_default=False)
    ] = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Print a set as JSON: its document alone, which `propose` takes once it has an id of its own."""
    with connect(target) as client:
        found = client.get_risk_parameters(parameter_set_id)
    if not json:
        console_on().print(standing_line(found.parameter_set), style="dim", soft_wrap=True)
    print_json(json_text.loads(found.document))


@app.command(epilog=examples("crossmargin parameters propose house-2.json --as alice"))
def propose(
    file: Annotated[Path, typer.Argument(metavar="FILE.json", help="The set as JSON, with an id of its own.")],
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Propose a set. Nothing changes by it."""
    try:
        document = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MisuseError(f"{file} cannot be read: {error}") from None
    with connect(target, principal=principal) as client:
        proposed = client.propose_risk_parameters(document)
    note = call_line_note(json_text.loads(document))
    next_step = f"next: crossmargin parameters shadow {proposed.parameter_set_id}"
    _answer(proposed, f"{note}\n{next_step}" if note else next_step, as_json=json)


@app.command(epilog=examples("crossmargin parameters shadow house-2"))
def shadow(parameter_set_id: SetArgument, json: JsonOption = False, target: TargetOption = DEFAULT_TARGET) -> None:
    """What a set would do to every account at the latest snapshot, beside the set in force: who would be called, who liquidated."""
    with connect(target) as client:
        accounts, summary = _shadowed(client, parameter_set_id)
        note = call_line_note(json_text.loads(client.get_risk_parameters(parameter_set_id).document))
    if json:
        print_json({"accounts": [to_json(account) for account in accounts], "summary": to_json(summary)})
        return
    console = console_on()
    console.print(shadow_table(accounts, summary))
    for line in (*called_lines(summary), *filter(None, [note])):
        console.print(line, soft_wrap=True)


@app.command(epilog=examples("crossmargin parameters approve house-2 --as bob"))
def approve(
    parameter_set_id: SetArgument,
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Approve a set that somebody else proposed."""
    with connect(target, principal=principal) as client:
        approved = client.approve_risk_parameters(parameter_set_id)
    _answer(approved, f"next: crossmargin parameters activate {parameter_set_id}", as_json=json)


@app.command(
    epilog=examples(
        "crossmargin parameters activate house-2",
        "crossmargin parameters activate house-2 --from 2026-12-01T00:00:00Z --ramp-days 10",
    )
)
def activate(  # noqa: PLR0917 - typer reads options from the signature
    parameter_set_id: SetArgument,
    active_from: Annotated[
        str, typer.Option("--from", metavar="TIME", help="Time of the first market, with a zone; the latest market if none is given.")
    ] = "",
    ramp_days: Annotated[int, typer.Option("--ramp-days", min=0, max=365, help="Days to take over in; 0 for at once.")] = 0,
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Put an approved set in force from a time on, at once or by degrees."""
    moment = _moment(active_from) if active_from else None
    with connect(target, principal=principal) as client:
        active = client.activate_risk_parameters(parameter_set_id, active_from=moment, ramp_days=ramp_days)
    _answer(active, "", as_json=json)


def _answer(standing: pb.ParameterSet, next_step: str, *, as_json: bool) -> None:
    if as_json:
        print_json(to_json(standing))
        return
    typer.echo(standing_line(standing))
    if next_step:
        typer.echo(next_step)


def _shadowed(client: Client, parameter_set_id: str) -> tuple[list[pb.ShadowedAccount], pb.ShadowSummary]:
    accounts: list[pb.ShadowedAccount] = []
    with error_console().status(f"margining every account under {parameter_set_id}") as status:
        for response in client.shadow_risk_parameters(parameter_set_id):
            if response.HasField("summary"):
                return accounts, response.summary
            accounts.append(response.account)
            status.update(f"{response.account_count_done:,} of {response.account_count:,} accounts")
    raise CommandError("the shadow run ended before its summary", next_step="run it again")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise MisuseError(f"--from was {text!r}; expected a time with a zone, such as 2026-12-01T00:00:00Z")
    return moment
