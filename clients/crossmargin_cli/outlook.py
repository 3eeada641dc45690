"""`crossmargin margin outlook`: where the utilization of an account goes."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from crossmargin_cli.connection import (
    DEFAULT_TARGET,
    AccountArgument,
    JsonOption,
    TargetOption,
    connect,
    full_account_name,
    print_json,
    to_json,
)
from crossmargin_cli.examples import examples
from crossmargin_cli.margin_history import age_of
from crossmargin_cli.outlook_views import outlook_lines, outlook_table
from crossmargin_cli.render import console_on

EXAMPLES: Final = examples(
    "crossmargin margin outlook meridian-basis/core",
    "crossmargin margin outlook lattice-vol/core --horizon 3d --json",
)


def outlook(
    account: AccountArgument,
    horizon: Annotated[str, typer.Option("--horizon", metavar="SPAN", help="How far ahead: 6h, 24h or 3d.")] = "24h",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Utilization at a horizon: what is known of the book and the parameters then, and the trend so far. Nothing is called on it."""
    span = age_of(horizon, option="--horizon")
    with connect(target) as client:
        found = client.project_utilization(full_account_name(account), horizon=span)
    if json:
        print_json(to_json(found))
        return
    console = console_on()
    console.print(outlook_table(found))
    for line in outlook_lines(found):
        console.print(line, soft_wrap=True)
