"""`crossmargin verify-ledger`, `anchor-key` and `rebuild-projections`: what works on the database itself, without the service."""

from __future__ import annotations

from typing import Final

import typer

from crossmargin_cli.examples import examples
from crossmargin_cli.service_process import become_service

VERIFY_EXAMPLES: Final = examples(
    "crossmargin verify-ledger --embedded",
    "crossmargin verify-ledger --database-url postgresql://auditor@db/crossmargin --anchors anchors.jsonl --public-key key.pem",
    "crossmargin verify-ledger --embedded --json",
)
KEY_EXAMPLES: Final = examples(
    "crossmargin anchor-key --embedded > anchor-key.pem",
)


REBUILD_EXAMPLES: Final = examples(
    "crossmargin rebuild-projections --embedded",
    "crossmargin rebuild-projections --database-url postgresql://owner@db/crossmargin --repair",
)


def verify_ledger(context: typer.Context) -> None:
    """Verify the ledger: every hash chain, head, position and sum, and the signed anchors.

    Reads the database as of one moment while the service goes on. --anchors FILE: anchors kept outside the database.
    --public-key FILE: what they are signed with, may be given several times. --json. Exit code 1 for any finding.
    """
    become_service(["verify-ledger", *context.args])


def anchor_key(context: typer.Context) -> None:
    """Print the public key that anchors are checked with, for an auditor to keep.

    Takes every setting as a flag; `crossmargin config show` lists them.
    """
    become_service(["anchor-key", *context.args])


def rebuild_projections(context: typer.Context) -> None:
    """Compare what follows from the ledger, such as positions, with the ledger, and rebuild it.

    Writes nothing without --repair, and asks before it does; --yes does not ask. Every row put right is logged. --json. Exit code 1 when
    something differs and was not put right. The service may go on meanwhile.
    """
    become_service(["rebuild-projections", *context.args])
