"""`crossmargin market`: what the market is, how far it can be believed, and what stands still for it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from crossmargin.api.v1 import market_service_pb2 as pb
from crossmargin_cli.connection import (
    DEFAULT_TARGET,
    JsonOption,
    PrincipalOption,
    TargetOption,
    connect,
    moment_option,
    print_json,
    to_json,
)
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import MisuseError
from crossmargin_cli.market_file import read_market_file
from crossmargin_cli.market_views import BREAKER_NAMES, breaker_table, market_line, quality_table
from crossmargin_cli.peg_views import peg_lines
from crossmargin_cli.render import console_on

app = typer.Typer(no_args_is_help=True, help="The market, and how far it can be believed.")
_BREAKERS: Final = {name: kind for kind, name in BREAKER_NAMES.items()}


@app.callback()
def market() -> None:
    """The market, and how far it can be believed."""


@app.command(epilog=examples("crossmargin market show", "crossmargin market show --doubted", "crossmargin market show --json"))
def show(
    snapshot: Annotated[str, typer.Argument(metavar="[SNAPSHOT]", help="Id of a snapshot; the latest without one.")] = "",
    *,
    doubted: Annotated[bool, typer.Option("--doubted", help="Only what cannot be taken at its word.")] = False,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Show the levels and marks of a snapshot, each with how far it can be believed and between what it may really be."""
    with connect(target) as client:
        found = client.get_snapshot(snapshot)
    if json:
        print_json(to_json(found))
        return
    console = console_on()
    console.print(market_line(found))
    for line in peg_lines(found):
        console.print(line)
    table = quality_table(found, only_doubted=doubted)
    if table.row_count:
        console.print(table)


@app.command(
    epilog=examples("crossmargin market publish market.csv", "crossmargin market publish close.csv --at 2026-11-20T21:00:00Z"),
)
def publish(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="subject,value: a row for each risk factor and each mark.")],
    *,
    at: Annotated[str, typer.Option("--at", metavar="TIME", help="Time of the market, with its zone; now without one.")] = "",
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Publish a whole market at once: for a close of day, or where no feeds send quotes.

    A subject with a colon is a risk factor (spot:BTC, fx:EUR, zero:USD:2Y), any other the mark of an instrument (BTC-USD-PERP). What
    accounts hold and the file leaves out has no price, and their margin says so.
    """
    levels, marks = read_market_file(file)
    as_of = moment_option(at, "--at") if at else datetime.now(tz=UTC)
    with connect(target, principal=principal) as client:
        snapshot_id = client.publish_snapshot(as_of, levels, marks)
    if json:
        print_json({"snapshot_id": snapshot_id, "levels": len(levels), "marks": len(marks)})
        return
    typer.echo(
        f"market of {as_of.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC published: {len(levels)} levels, {len(marks)} marks ({snapshot_id[:8]})"
    )


@app.command(epilog=examples("crossmargin market breakers"))
def breakers(*, json: JsonOption = False, target: TargetOption = DEFAULT_TARGET) -> None:
    """Show which breakers are tripped: while one is, margin calls or liquidations stand still."""
    with connect(target) as client:
        standing = client.get_breakers()
    if json:
        print_json(to_json(standing))
        return
    console_on().print(breaker_table(standing))


@app.command(
    "reset-breaker", epilog=examples('crossmargin market reset-breaker calls --note "exchange-a quoted a tenth; cut off" --as alice')
)
def reset_breaker(
    breaker: Annotated[str, typer.Argument(metavar="BREAKER", help="calls, liquidations or concentration.")],
    note: Annotated[str, typer.Option("--note", help="What was found.")],
    *,
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Reset a breaker once it is known why it tripped; margin calls and liquidations go on."""
    if breaker not in _BREAKERS:
        raise MisuseError(f"BREAKER was {breaker!r}; expected {', '.join(_BREAKERS)}")
    with connect(target, principal=principal) as client:
        standing = client.reset_breaker(_BREAKERS[breaker], note)
    if json:
        print_json(to_json(standing))
        return
    console_on().print(breaker_table(pb.GetBreakersResponse(breakers=[standing])))
