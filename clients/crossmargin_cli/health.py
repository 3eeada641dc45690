"""`crossmargin health` and `crossmargin version`."""

from __future__ import annotations

from importlib.metadata import version as version_of
from typing import Final

import typer

from crossmargin_cli.connection import DEFAULT_TARGET, JsonOption, TargetOption, connect, print_json
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import FAILED

EXAMPLES: Final = examples(
    "crossmargin health --target 127.0.0.1:50051",
)


def health(json: JsonOption = False, target: TargetOption = DEFAULT_TARGET) -> None:
    """Whether the service is ready for calls.

    Exit code 0 if it is.
    """
    with connect(target) as client:
        is_serving = client.is_serving()
    if json:
        print_json({"target": target, "serving": is_serving})
    else:
        typer.echo(f"{target} is serving" if is_serving else f"{target} is up but not ready for calls")
    if not is_serving:
        raise typer.Exit(FAILED)


def version(json: JsonOption = False) -> None:
    """The version of this installation."""
    if json:
        print_json({"crossmargin": version_of("crossmargin")})
    else:
        typer.echo(version_of("crossmargin"))
