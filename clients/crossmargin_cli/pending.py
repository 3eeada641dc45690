"""`crossmargin pending`: what one person has asked for and a second one has to ask for as well."""

from __future__ import annotations

from typing import Annotated

import typer

from crossmargin.api.v1 import pending_request_service_pb2 as pb
from crossmargin_cli.connection import DEFAULT_TARGET, JsonOption, PrincipalOption, TargetOption, connect, print_json, to_json
from crossmargin_cli.examples import examples
from crossmargin_cli.pending_views import pending_sentence, pending_table
from crossmargin_cli.render import console_on

app = typer.Typer(no_args_is_help=True, help="What one person has asked for and a second one has to ask for as well.")
PendingArgument = Annotated[str, typer.Argument(metavar="PENDING", help="Name of the pending request, such as 0f3a5b7c9d1e2f40.")]


@app.command("list", epilog=examples("crossmargin pending list", "crossmargin pending list --client meridian-basis --all"))
def list_pending(
    client: Annotated[str, typer.Option("--client", metavar="CLIENT", help="Only those about this client.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Also those that were confirmed or cancelled, or have expired.")] = False,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """What awaits a second person, oldest first."""
    state = pb.PENDING_STATE_UNSPECIFIED if every else pb.PENDING_STATE_AWAITING_SECOND_PERSON
    with connect(target) as connected:
        found = list(connected.list_pending_requests(client, state=state))
    if json:
        print_json({"pending_requests": [to_json(one) for one in found]})
        return
    console_on().print(pending_table(found) if found else "Nothing awaits a second person.")


@app.command(epilog=examples("crossmargin pending show 0f3a5b7c9d1e2f40"))
def show(pending_id: PendingArgument, json: JsonOption = False, target: TargetOption = DEFAULT_TARGET) -> None:
    """What was asked for, by whom, and what has become of it."""
    with connect(target) as client:
        found = client.get_pending_request(pending_id)
    _answer(found, as_json=json)


@app.command(epilog=examples("crossmargin pending cancel 0f3a5b7c9d1e2f40 --as alice"))
def cancel(
    pending_id: PendingArgument, principal: PrincipalOption = "", json: JsonOption = False, target: TargetOption = DEFAULT_TARGET
) -> None:
    """End it without effect: take back what you asked for, or decline what somebody else did."""
    with connect(target, principal=principal) as client:
        ended = client.cancel_pending_request(pending_id)
    _answer(ended, as_json=json)


def _answer(pending: pb.PendingRequest, *, as_json: bool) -> None:
    if as_json:
        print_json(to_json(pending))
        return
    typer.echo(pending_sentence(pending))
