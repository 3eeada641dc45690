"""`crossmargin quotes`: say what a source has seen."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from crossmargin.api.v1 import market_service_pb2
from crossmargin_cli.connection import DEFAULT_TARGET, JsonOption, PrincipalOption, TargetOption, connect, print_json
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import FAILED
from crossmargin_cli.quote_file import read_quote_file

app = typer.Typer(no_args_is_help=True, help="Quotes of a source.")


@app.callback()
def quotes() -> None:
    """Quotes of a source."""


@app.command(
    epilog=examples(
        "crossmargin quotes publish quotes.csv --source exchange-a",
        "crossmargin quotes publish quotes.csv --source exchange-a --json",
    )
)
def publish(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="subject,value and, if known, observed_at; a row for each quote.")],
    source: Annotated[str, typer.Option("--source", metavar="NAME", help="The feed that has seen them.")],
    *,
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Publish the quotes of a file, in its order, numbered from where the source has got to.

    A subject is a risk factor (spot:BTC, zero:USD:2Y) or an instrument (BTC-USD-PERP). A quote that cannot be is refused, and the others
    are taken all the same; exit code 1 says that some were refused. Sending a file again says everything again, under new numbers.
    """
    with connect(target, principal=principal) as client:
        (standing,) = client.publish_quotes(source, [])
        sent = read_quote_file(file, after_sequence=standing.acknowledged_sequence, now=datetime.now(tz=UTC))
        answers = client.publish_quotes(source, sent) if sent else [standing]
    outcomes = [outcome for answer in answers for outcome in answer.outcomes]
    states = Counter(outcome.state for outcome in outcomes)
    refused, replayed = states[market_service_pb2.QUOTE_STATE_REFUSED], states[market_service_pb2.QUOTE_STATE_REPLAYED]
    accepted = sum(answer.accepted_count for answer in answers)
    last = answers[-1].acknowledged_sequence
    faults = [
        {"row": outcome.sequence - standing.acknowledged_sequence, "reason": outcome.reason, "message": outcome.message}
        for outcome in outcomes
        if outcome.state == market_service_pb2.QUOTE_STATE_REFUSED
    ]
    if json:
        print_json({"source": source, "accepted": accepted, "replayed": replayed, "acknowledged_sequence": last, "refused": faults})
    else:
        typer.echo(f"{accepted} quotes of {source} taken, {refused} refused, {replayed} replayed; up to sequence {last} all is durable")
        for fault in faults:
            typer.echo(f"  row {fault['row']}: {fault['message']} ({fault['reason']})", err=True)
    if refused:
        raise typer.Exit(FAILED)
