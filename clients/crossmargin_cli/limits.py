"""`crossmargin limits`: what a client or an account may be exposed to."""

from __future__ import annotations

from typing import Annotated

import typer

from crossmargin_cli.connection import (
    DEFAULT_TARGET,
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
from crossmargin_cli.failures import MisuseError
from crossmargin_cli.pending_views import pending_sentence
from crossmargin_cli.render import console_on
from crossmargin_cli.request_views import limits_table
from crossmargin_client import exposure_limits

app = typer.Typer(no_args_is_help=True, help="What a client or an account may be exposed to, in base currency.")
ScopeArgument = Annotated[str, typer.Argument(metavar="SCOPE", help="CLIENT, or CLIENT/ACCOUNT.")]
AmountOption = Annotated[str | None, typer.Option(metavar="USD", help="No limit if it is not given.")]


@app.command(epilog=examples("crossmargin limits show meridian-basis", "crossmargin limits show meridian-basis/core --json"))
def show(scope: ScopeArgument, json: JsonOption = False, target: TargetOption = DEFAULT_TARGET) -> None:
    """Limits of exactly that scope. An account is held to those of its client as well."""
    with connect(target) as client:
        limits = client.get_limits(_scope(scope))
    if json:
        print_json(to_json(limits))
        return
    console_on().print(limits_table(limits))


@app.command(
    "set",
    epilog=examples(
        "crossmargin limits set meridian-basis --gross 50000000 --net 10000000 --as alice",
        "crossmargin limits set meridian-basis --gross 50000000 --net 10000000 --confirm 0f3a5b7c9d1e2f40 --as bob",
        "crossmargin limits set meridian-basis/core --order 1000000 --group BTC=20000000 --group ETH=5000000 --as alice",
    ),
)
def set_limits(  # noqa: PLR0917 - typer reads options from the signature
    scope: ScopeArgument,
    gross: AmountOption = None,
    net: AmountOption = None,
    order: AmountOption = None,
    group: Annotated[list[str] | None, typer.Option(metavar="GROUP=USD", help="Net exposure to an offset group; may be repeated.")] = None,
    confirm: ConfirmOption = "",
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Replace the limits of a scope as a whole: what is not given is not limited any more. It takes two persons."""
    limits = exposure_limits(_scope(scope), gross=gross, net=net, order_notional=order, groups=dict(map(_group, group or ())))
    with connect(target, principal=principal) as client:
        done = client.set_limits(limits, confirms=confirm)
    if json:
        print_json(to_json(done))
    elif done.HasField("pending_request"):
        typer.echo(pending_sentence(done.pending_request))
    else:
        console_on().print(limits_table(done.limits))


def _scope(text: str) -> str:
    if text.startswith("clients/"):
        return text
    return full_account_name(text) if "/" in text else f"clients/{text}"


def _group(text: str) -> tuple[str, str]:
    name, equals, amount = text.partition("=")
    if not (name and equals and amount):
        raise MisuseError(f"--group was {text!r}; expected GROUP=USD, such as BTC=20000000")
    return name, amount
