"""`crossmargin config`: the settings of the service."""

from __future__ import annotations

import typer

from crossmargin_cli.examples import examples
from crossmargin_cli.serve import PASS_THROUGH
from crossmargin_cli.service_process import become_service

app = typer.Typer(no_args_is_help=True, help="The settings of the service.")


@app.callback()
def config() -> None:
    """The settings of the service."""


@app.command(
    context_settings=PASS_THROUGH,
    epilog=examples(
        "crossmargin config show",
        "crossmargin config show --json",
    ),
)
def show(context: typer.Context) -> None:
    """Every setting with its value, from flags over environment variables over defaults."""
    become_service(["config", "show", *context.args])
