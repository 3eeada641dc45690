"""`crossmargin accounts`: netting sets, each of one client."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from crossmargin.api.v1 import account_service_pb2
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
from crossmargin_cli.render import console_on, plain_table, short_account

app = typer.Typer(no_args_is_help=True, help="Accounts: each is one netting set of one client.")
NONE_YET: Final = "There are none yet: crossmargin accounts create alpha/core"


@app.command(
    epilog=examples(
        "crossmargin accounts create alpha/core --name 'Core book'",
        "crossmargin accounts create alpha/satellite --bucket-of alpha/core",
    )
)
def create(  # noqa: PLR0917 - typer reads options from the signature
    account: AccountArgument,
    name: Annotated[str, typer.Option("--name", help="As people know it; the account's id if it is not given.")] = "",
    bucket_of: Annotated[
        str, typer.Option("--bucket-of", metavar="CLIENT/ACCOUNT", help="Make it an isolated bucket of this core account.")
    ] = "",
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Create an account: cross-margined, or an isolated bucket that can lose no more than is moved into it."""
    full_name = full_account_name(account)
    parent = full_account_name(bucket_of) if bucket_of else ""
    with connect(target, principal=principal) as client:
        created = client.create_account(full_name, name or full_name.rpartition("/")[2], parent_account=parent)
    if json:
        print_json(to_json(created))
        return
    typer.echo(f"{short_account(created.name)}: {created.display_name}, {_mode(created)}")


@app.command("list", epilog=examples("crossmargin accounts list", "crossmargin accounts list alpha"))
def list_accounts(
    client_id: Annotated[str, typer.Argument(metavar="[CLIENT]", help="Accounts of this client; of all without one.")] = "",
    *,
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """List accounts in the order of their names."""
    with connect(target, principal=principal) as client:
        found = list(client.list_accounts(client_id))
    if json:
        print_json({"accounts": [to_json(one) for one in found]})
        return
    table = plain_table()
    table.add_column("Account", no_wrap=True)
    table.add_column("Name")
    table.add_column("Mode")
    for one in found:
        table.add_row(short_account(one.name), one.display_name, _mode(one))
    console_on().print(table if found else NONE_YET, markup=False)


def _mode(account: account_service_pb2.Account) -> str:
    if account.mode == account_service_pb2.ACCOUNT_MODE_ISOLATED:
        return f"isolated bucket of {short_account(account.parent_account)}"
    return "cross-margined"
