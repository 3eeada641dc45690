"""`crossmargin migrate`: the database brought to the schema of this release."""

from __future__ import annotations

from typing import Final

import typer

from crossmargin_cli.examples import examples
from crossmargin_cli.service_process import become_service

EXAMPLES: Final = examples(
    "crossmargin migrate --database-url postgresql://owner@db/crossmargin",
    "crossmargin migrate --embedded --data-dir .crossmargin",
)


def migrate(context: typer.Context) -> None:
    """Bring the database to the schema of this release.

    Takes every setting as a flag; `crossmargin config show` lists them.
    """
    become_service(["migrate", *context.args])
