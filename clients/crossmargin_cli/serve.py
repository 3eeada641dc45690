"""`crossmargin serve`: the service, in place of this process."""

from __future__ import annotations

from typing import Final

import typer

from crossmargin_cli.examples import examples
from crossmargin_cli.service_process import become_service

PASS_THROUGH: Final = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Settings are the service's own: it checks them and says what is wrong with them."""


EXAMPLES: Final = examples(
    "crossmargin serve --embedded --insecure",
    "crossmargin serve --embedded --insecure --data-dir /var/lib/crossmargin --grpc-address 127.0.0.1:0",
    "CROSSMARGIN_DATABASE_URL=postgresql://app@db/crossmargin crossmargin serve --insecure",
)


def serve(context: typer.Context) -> None:
    """Serve the API until stopped.

    Takes every setting as a flag; `crossmargin config show` lists them.
    """
    become_service(["serve", *context.args])
