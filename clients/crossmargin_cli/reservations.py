"""`crossmargin reservations`: orders that margin is held for."""

from __future__ import annotations

from datetime import timedelta
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
from crossmargin_cli.failures import MisuseError
from crossmargin_cli.render import console_on
from crossmargin_cli.request_views import is_open, need_sentence, open_count_sentence, reservation_table
from crossmargin_cli.trade_words import parse_trade
from crossmargin_client import order

app = typer.Typer(no_args_is_help=True, help="Orders that margin is held for: reserve, list, release.")
OrderOption = Annotated[str, typer.Option(metavar="ORDER", help='"INSTRUMENT QUANTITY @ WORST-PRICE [PAID-IN]".')]


@app.command(
    "list",
    epilog=examples("crossmargin reservations list meridian-basis/core", "crossmargin reservations list meridian-basis/core --all --json"),
)
def list_reservations(
    account: AccountArgument,
    every: Annotated[bool, typer.Option("--all", help="Ended ones too.")] = False,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Open reservations of an account. Suspect ones are past their time: find out what became of their orders, and release them."""
    with connect(target) as client:
        found = list(client.list_reservations(full_account_name(account)))
    shown = found if every else [one for one in found if is_open(one)]
    if json:
        print_json({"reservations": [to_json(one) for one in shown]})
        return
    console = console_on()
    if shown:
        console.print(reservation_table(shown))
    console.print(open_count_sentence(found))


@app.command(
    epilog=examples(
        'crossmargin reservations reserve meridian-basis/core --buy "BTC-USD-PERP 1 @ 92000" --lifetime 60',
        'crossmargin reservations reserve meridian-basis/core --sell "BTC-USD-PERP 1 @ 88000" --lifetime 5 --immediate',
    )
)
def reserve(  # noqa: PLR0917 - typer reads options from the signature
    account: AccountArgument,
    buy: OrderOption = "",
    sell: OrderOption = "",
    lifetime_s: Annotated[int, typer.Option("--lifetime", min=1, metavar="SECONDS", help="How long the order can be open.")] = 60,
    immediate: Annotated[bool, typer.Option("--immediate", help="Fills at once or is gone; without it the order rests.")] = False,
    reference: Annotated[str, typer.Option(help="Your own name for the order.")] = "",
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Approve one order and hold the margin it may need. Exit code 1 when it is refused."""
    if bool(buy) == bool(sell):
        raise MisuseError("expected --buy or --sell, one of them", next_step='--buy "BTC-USD-PERP 1 @ 92000"')
    wanted = parse_trade(buy or sell, is_sale=bool(sell))
    if wanted.price is None:
        raise MisuseError(f"the order {buy or sell!r} names no price; expected the worst at which it may fill", next_step="add @ PRICE")
    terms = order(
        wanted.instrument_id,
        wanted.quantity,
        wanted.price,
        lifetime=timedelta(seconds=lifetime_s),
        immediate=immediate,
        settlement=wanted.settlement,
        reference=reference,
    )
    with connect(target, principal=principal) as client:
        reserved = client.reserve_margin(full_account_name(account), terms)
    if json:
        print_json(to_json(reserved))
        return
    console = console_on()
    console.print(reservation_table([reserved.reservation]))
    console.print(need_sentence(reserved.need_before, reserved.need_after))


@app.command(epilog=examples("crossmargin reservations release meridian-basis/core 17"))
def release(
    account: AccountArgument,
    reservation: Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="Number of the reservation.")],
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """End what is left of a reservation: its order was cancelled, or is not open any more."""
    with connect(target, principal=principal) as client:
        released = client.release_reservation(full_account_name(account), reservation)
    if json:
        print_json(to_json(released))
        return
    typer.echo(f"reservation {reservation} is released, as entry {released.sequence} of the ledger")
