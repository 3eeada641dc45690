"""`crossmargin migrate`: the database brought to the schema of this release."""

from __future__ import annotations

import typer

from crossmargin_cli.service_process import become_service


def migrate(context: typer.Context) -> None:
    """Bring the database to the schema of this release. Takes every setting as a flag.

    \b
    crossmargin migrate --database-url postgresql://owner@db/crossmargin
    crossmargin migrate --embedded --data-dir .crossmargin
    """
    become_service(["migrate", *context.args])
