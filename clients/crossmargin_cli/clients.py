"""`crossmargin clients`: the institutions that accounts belong to."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from crossmargin_cli.connection import DEFAULT_TARGET, JsonOption, PrincipalOption, TargetOption, connect, print_json, to_json
from crossmargin_cli.examples import examples
from crossmargin_cli.render import console_on, plain_table

app = typer.Typer(no_args_is_help=True, help="The institutions that accounts belong to.")
ClientArgument = Annotated[str, typer.Argument(metavar="CLIENT", help="Small letters, digits and dashes, such as alpha.")]
NONE_YET: Final = "There are none yet: crossmargin clients create alpha 'Alpha Capital'"


@app.command(epilog=examples("crossmargin clients create alpha 'Alpha Capital'"))
def create(
    client_id: ClientArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As people know it.")],
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Create a client. Creating it again under the same name changes nothing."""
    with connect(target, principal=principal) as client:
        created = client.create_client(client_id, name)
    if json:
        print_json(to_json(created))
        return
    typer.echo(f"{created.client_id}: {created.display_name}")


@app.command("list", epilog=examples("crossmargin clients list"))
def list_clients(*, principal: PrincipalOption = "", json: JsonOption = False, target: TargetOption = DEFAULT_TARGET) -> None:
    """List the clients in the order of their ids."""
    with connect(target, principal=principal) as client:
        found = list(client.list_clients())
    if json:
        print_json({"clients": [to_json(one) for one in found]})
        return
    table = plain_table()
    table.add_column("Client", no_wrap=True)
    table.add_column("Name")
    for one in found:
        table.add_row(one.client_id, one.display_name)
    console_on().print(table if found else NONE_YET, markup=False)
