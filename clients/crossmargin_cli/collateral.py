"""`crossmargin collateral`: let collateral leave an account, or move it between a core account and its bucket."""

from __future__ import annotations

from typing import Annotated

import typer

from crossmargin_cli.connection import (
    DEFAULT_TARGET,
    AccountArgument,
    JsonOption,
    PrincipalOption,
    TargetOption,
    connect,
    full_account_name,
    print_json,
    to_json,
)
from crossmargin_cli.examples import examples
from crossmargin_cli.render import money
from crossmargin_client import decimal_of

app = typer.Typer(no_args_is_help=True, help="Let collateral leave an account, or move it between a core account and its bucket.")
InstrumentArgument = Annotated[str, typer.Argument(metavar="INSTRUMENT", help="Cash, a stablecoin, a coin, a bill or a bond.")]
QuantityArgument = Annotated[str, typer.Argument(metavar="QUANTITY", help="In units of the instrument.")]
CheckOption = Annotated[bool, typer.Option("--check", help="Say whether it may, and write nothing.")]
ReferenceOption = Annotated[str, typer.Option(help="Your own name for it.")]


@app.command(
    epilog=examples(
        "crossmargin collateral withdraw meridian-basis/core USD 250000",
        "crossmargin collateral withdraw meridian-basis/core BTC 1.5 --check",
    )
)
def withdraw(  # noqa: PLR0917 - typer reads options from the signature
    account: AccountArgument,
    instrument: InstrumentArgument,
    quantity: QuantityArgument,
    check: CheckOption = False,
    reference: ReferenceOption = "",
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Let collateral leave, if equity covers the initial margin without it. A refusal says how much could."""
    with connect(target, principal=principal) as client:
        done = client.withdraw(full_account_name(account), instrument, quantity, reference=reference, validate_only=check)
    if json:
        print_json(to_json(done))
        return
    verb = "may be withdrawn" if check else f"is withdrawn, as entry {done.sequence} of the ledger"
    typer.echo(f"{quantity} {instrument} {verb}; excess at worst {money(decimal_of(done.excess_after))} without it")


@app.command(
    epilog=examples(
        "crossmargin collateral transfer summit-directional/core summit-directional/satellite USD 50000",
        "crossmargin collateral transfer summit-directional/satellite summit-directional/core USD 50000 --check",
    )
)
def transfer(  # noqa: PLR0917 - typer reads options from the signature
    source: Annotated[str, typer.Argument(metavar="FROM", help="CLIENT/ACCOUNT that gives.")],
    destination: Annotated[str, typer.Argument(metavar="TO", help="CLIENT/ACCOUNT that gets: its isolated bucket, or its parent.")],
    instrument: InstrumentArgument,
    quantity: QuantityArgument,
    check: CheckOption = False,
    reference: ReferenceOption = "",
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Move collateral between a core account and its bucket, if the account that gives can spare it."""
    with connect(target, principal=principal) as client:
        done = client.transfer(
            full_account_name(source),
            full_account_name(destination),
            instrument,
            quantity,
            reference=reference,
            validate_only=check,
        )
    if json:
        print_json(to_json(done))
        return
    verb = "may be moved" if check else f"is moved, as entries {done.source_sequence} and {done.destination_sequence}"
    typer.echo(f"{quantity} {instrument} {verb}; excess at worst {money(decimal_of(done.excess_after))} in {source} without it")
