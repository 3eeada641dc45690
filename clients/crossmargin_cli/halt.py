"""`crossmargin halt`: refuse every request of a client, or of the house, until it is resumed."""

from __future__ import annotations

from typing import Annotated

import typer

from crossmargin.api.v1 import account_service_pb2
from crossmargin_cli.connection import (
    DEFAULT_TARGET,
    ConfirmOption,
    JsonOption,
    PrincipalOption,
    TargetOption,
    connect,
    print_json,
    to_json,
)
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import MisuseError
from crossmargin_cli.pending_views import pending_sentence
from crossmargin_cli.request_views import halt_sentence

app = typer.Typer(no_args_is_help=True, help="Refuse every request of a client, or of the house, until it is resumed. Facts are booked.")
ClientOption = Annotated[str, typer.Option("--client", metavar="CLIENT", help="The client it is about.")]
HouseOption = Annotated[bool, typer.Option("--house", help="The whole house.")]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="WORDS", help="Why, for whoever meets it. Required.")]


@app.command(
    epilog=examples(
        'crossmargin halt start --client meridian-basis --reason "runaway algorithm" --as alice',
        'crossmargin halt start --house --reason "price feed is wrong" --as alice',
    )
)
def start(  # noqa: PLR0917 - typer reads options from the signature
    reason: ReasonOption,
    client: ClientOption = "",
    house: HouseOption = False,
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Halt. Once this returns, no request commits any more, whether it began before or after."""
    client_id = _scope(client, house=house)
    with connect(target, principal=principal) as connected:
        state = connected.halt(reason, client_id=client_id)
    _answer(state, as_json=json)


@app.command(
    epilog=examples(
        'crossmargin halt resume --client meridian-basis --reason "algorithm was stopped" --as alice',
        'crossmargin halt resume --client meridian-basis --reason "algorithm was stopped" --confirm 0f3a5b7c9d1e2f40 --as bob',
    )
)
def resume(  # noqa: PLR0917 - typer reads options from the signature
    reason: ReasonOption,
    client: ClientOption = "",
    house: HouseOption = False,
    confirm: ConfirmOption = "",
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """End a halt. Those of the house and of a client end separately. It takes two persons; to halt takes one."""
    client_id = _scope(client, house=house)
    with connect(target, principal=principal) as connected:
        done = connected.resume(reason, client_id=client_id, confirms=confirm)
    if json:
        print_json(to_json(done))
    elif done.HasField("pending_request"):
        typer.echo(pending_sentence(done.pending_request))
    else:
        typer.echo(halt_sentence(done.state))


@app.command(epilog=examples("crossmargin halt show --house", "crossmargin halt show --client meridian-basis --json"))
def show(client: ClientOption = "", house: HouseOption = False, json: JsonOption = False, target: TargetOption = DEFAULT_TARGET) -> None:
    """Whether a client or the house is halted, by whom and why."""
    client_id = _scope(client, house=house)
    with connect(target) as connected:
        state = connected.get_halt(client_id)
    _answer(state, as_json=json)


def _scope(client: str, *, house: bool) -> str:
    if bool(client) == house:
        raise MisuseError("expected --client CLIENT or --house, one of them", next_step="crossmargin halt show --house")
    return client


def _answer(state: account_service_pb2.HaltState, *, as_json: bool) -> None:
    if as_json:
        print_json(to_json(state))
        return
    typer.echo(halt_sentence(state))
