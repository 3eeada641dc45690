"""`crossmargin instruments`: what can be held, from a file of terms."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Final

import typer
from google.protobuf.json_format import MessageToJson

from crossmargin.api.v1 import reference_service_pb2
from crossmargin_cli.connection import DEFAULT_TARGET, JsonOption, PrincipalOption, TargetOption, connect, print_json, to_json
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import FAILED
from crossmargin_cli.instrument_file import read_instrument_file
from crossmargin_cli.render import add_number_column, console_on, counted, plain_table
from crossmargin_client import AlreadyExists, Client, InvalidRequest, NotFound, PreconditionFailed

app = typer.Typer(no_args_is_help=True, help="What can be held: list, show, import.")
NONE_YET: Final = "There are none yet. Files to start from: crossmargin example FOLDER"


@app.command(
    "import",
    epilog=examples(
        "crossmargin instruments import instruments.json",
        "crossmargin instruments import instruments.json --dry-run",
    ),
)
def import_instruments(
    file: Annotated[Path, typer.Argument(metavar="FILE.json", help='{"instruments": [...]}, each as `instruments show` prints it.')],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check the file, and send nothing.")] = False,
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Create the instruments of a file, in its order: first those that others settle in.

    One that is there with the same terms stays as it is; terms are never changed. The import goes on after a refusal and exit code 1
    says that there was one. `crossmargin example FOLDER` writes a file with many kinds to start from.
    """
    found = read_instrument_file(file)
    refused: dict[str, str] = {}
    if not dry_run:
        with connect(target, principal=principal) as client:
            refused = {one.instrument_id: reason for one in found if (reason := _refusal(client, one))}
    if json:
        print_json({"read": len(found), "refused": refused, "dry_run": dry_run})
    else:
        verb = "can be imported; nothing was sent" if dry_run else f"read, {len(refused)} refused"
        typer.echo(f"{counted(len(found), 'instrument')} {verb}")
        for name, reason in refused.items():
            typer.echo(f"  {name}: {reason}", err=True)
    if refused:
        raise typer.Exit(FAILED)


@app.command("list", epilog=examples("crossmargin instruments list"))
def list_instruments(*, principal: PrincipalOption = "", json: JsonOption = False, target: TargetOption = DEFAULT_TARGET) -> None:
    """List instruments in the order of their ids."""
    with connect(target, principal=principal) as client:
        found = list(client.list_instruments())
    if json:
        print_json({"instruments": [to_json(one) for one in found]})
        return
    table = plain_table()
    for heading in ("Instrument", "Kind", "Collateral class"):
        table.add_column(heading, no_wrap=True)
    add_number_column(table, "Places")
    for one in found:
        kind = str(one.WhichOneof("terms")).replace("_", " ")
        table.add_row(one.instrument_id, kind, one.collateral_class or "-", str(one.quantity_places))
    console_on().print(table if found else NONE_YET, markup=False)


@app.command(epilog=examples("crossmargin instruments show BTC-USD-PERP"))
def show(
    instrument_id: Annotated[str, typer.Argument(metavar="INSTRUMENT")],
    *,
    principal: PrincipalOption = "",
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Print the terms of an instrument in JSON, as a file of instruments holds them."""
    with connect(target, principal=principal) as client:
        found = client.get_instrument(instrument_id)
    typer.echo(MessageToJson(found, preserving_proto_field_name=True))


def _refusal(client: Client, instrument: reference_service_pb2.Instrument) -> str:
    """Return why an instrument was not taken; empty if it was. Other failures say nothing about the instrument and end the import."""
    key = hashlib.sha256(instrument.SerializeToString(deterministic=True)).hexdigest()[:32]
    try:
        client.create_instrument(instrument, request_id=f"instrument-import-{key}")
    except (AlreadyExists, InvalidRequest, NotFound, PreconditionFailed) as error:
        details = "; ".join(f"{violation.field}: {violation.description}" for violation in error.field_violations)
        return f"{error.message} ({error.reason})" + (f" {details}" if details else "")
    return ""
