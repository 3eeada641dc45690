"""`crossmargin collateral`: take it in, let it leave, move it between a core account and its bucket, and see what it counts for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from crossmargin_cli.connection import (
    DEFAULT_TARGET,
    AccountArgument,
    ConfirmOption,
    JsonOption,
    PrincipalOption,
    TargetOption,
    connect,
    full_account_name,
    moment_option,
    print_json,
    to_json,
)
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import MisuseError
from crossmargin_cli.margin_views import holding_table
from crossmargin_cli.pending_views import pending_sentence
from crossmargin_cli.render import console_on, money
from crossmargin_client import AUTO, PLEDGED, RISKED, decimal_of

app = typer.Typer(no_args_is_help=True, help="Collateral of an account: deposit, withdraw, transfer, and what it counts for.")
InstrumentArgument = Annotated[str, typer.Argument(metavar="INSTRUMENT", help="Cash, a stablecoin, a coin, a bill or a bond.")]
QuantityArgument = Annotated[str, typer.Argument(metavar="QUANTITY", help="In units of the instrument.")]
CheckOption = Annotated[bool, typer.Option("--check", help="Say whether it may, and write nothing.")]
ReferenceOption = Annotated[str, typer.Option(help="Your own name for it.")]
_POLICIES: Final = {"auto": AUTO, "risked": RISKED, "pledged": PLEDGED}
_POLICY_NAMES: Final = {policy: name for name, policy in _POLICIES.items()}


@app.command(
    epilog=examples(
        "crossmargin collateral deposit alpha/core USD 5000000 --reference 'wire 1207'",
        "crossmargin collateral deposit alpha/core BTC 40 --at 2026-11-20T15:00:00Z",
    )
)
def deposit(  # noqa: PLR0917 - typer reads options from the signature
    account: AccountArgument,
    instrument: InstrumentArgument,
    quantity: QuantityArgument,
    received_at: Annotated[str, typer.Option("--at", metavar="TIME", help="When it was received, with its zone; now without one.")] = "",
    reference: ReferenceOption = "",
    request_id: Annotated[str, typer.Option(help="Name of this deposit: given twice, it is booked once. Made up without one.")] = "",
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Record collateral that was received. It is a fact and never refused for what the account holds."""
    moment = moment_option(received_at, "--at") if received_at else datetime.now(tz=UTC)
    with connect(target, principal=principal) as client:
        done = client.deposit(
            full_account_name(account), instrument, quantity, received_at=moment, reference=reference, request_id=request_id or None
        )
    if json:
        print_json(to_json(done))
        return
    replayed = ", as before" if done.replayed else ""
    typer.echo(f"{quantity} {instrument} received, entry {done.sequence} of the ledger{replayed}")


@app.command(epilog=examples("crossmargin collateral holdings harbour-macro/core", "crossmargin collateral holdings alpha/core --json"))
def holdings(
    account: AccountArgument, principal: PrincipalOption = "", json: JsonOption = False, target: TargetOption = DEFAULT_TARGET
) -> None:
    """What the holdings of an account count for: market value, haircuts, limits, and what remains."""
    with connect(target, principal=principal) as client:
        held = client.list_holdings(full_account_name(account))
    if json:
        print_json(to_json(held))
        return
    console = console_on()
    console.print(holding_table(held.holdings) if held.holdings else "The account holds nothing that counts as collateral.")
    console.print(f"as of ledger entry {held.as_of_seq}, market snapshot {held.snapshot_id[:8]}", style="dim")


@app.command(epilog=examples("crossmargin collateral policy alpha/core BTC pledged", "crossmargin collateral policy alpha/core BTC auto"))
def policy(  # noqa: PLR0917 - typer reads options from the signature
    account: AccountArgument,
    instrument: InstrumentArgument,
    policy_name: Annotated[str, typer.Argument(metavar="POLICY", help="auto, risked or pledged.")],
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Set how a holding counts: in the scenarios, after a haircut outside of them, or split where it leaves the most excess."""
    if policy_name not in _POLICIES:
        raise MisuseError(f"POLICY was {policy_name!r}; expected {', '.join(_POLICIES)}")
    with connect(target, principal=principal) as client:
        stored = client.set_policy(full_account_name(account), instrument, _POLICIES[policy_name])
    if json:
        print_json({"account": full_account_name(account), "instrument_id": instrument, "policy": _POLICY_NAMES[stored]})
        return
    typer.echo(f"{instrument} of {account} counts as {_POLICY_NAMES[stored]} from its next ledger entry on")


@app.command(
    epilog=examples(
        "crossmargin collateral withdraw meridian-basis/core USD 250000",
        "crossmargin collateral withdraw meridian-basis/core BTC 1.5 --check",
        "crossmargin collateral withdraw meridian-basis/core USD 2500000 --confirm 0f3a5b7c9d1e2f40 --as bob",
    )
)
def withdraw(  # noqa: PLR0917 - typer reads options from the signature
    account: AccountArgument,
    instrument: InstrumentArgument,
    quantity: QuantityArgument,
    check: CheckOption = False,
    reference: ReferenceOption = "",
    confirm: ConfirmOption = "",
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Let collateral leave, if equity covers the initial margin without it. A refusal says how much could. Much takes two persons."""
    with connect(target, principal=principal) as client:
        done = client.withdraw(full_account_name(account), instrument, quantity, reference=reference, validate_only=check, confirms=confirm)
    if json:
        print_json(to_json(done))
        return
    if done.HasField("pending_request"):
        typer.echo(pending_sentence(done.pending_request))
        return
    checked = "may be withdrawn" + (", by two persons" if done.needs_second_person else "")
    verb = checked if check else f"is withdrawn, as entry {done.sequence} of the ledger"
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
