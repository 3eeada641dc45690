"""`crossmargin dev-certs`: throw-away certificates and tokens to try the secure service with."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from crossmargin_cli.connection import DEFAULT_TARGET
from crossmargin_cli.examples import callable_as, examples
from crossmargin_cli.failures import CommandError
from crossmargin_cli.render import console_on
from crossmargin_cli.service_process import service_command

DEMO_CLIENT: Final = "meridian-basis"
_DEFAULT_OUT: Final = Path("dev-certs")
EXAMPLES: Final = examples(
    "crossmargin dev-certs",
    "crossmargin dev-certs --out /tmp/certs --client alpha --client beta",
)


def dev_certs(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to fill; what is there is replaced.")] = _DEFAULT_OUT,
    client: Annotated[list[str] | None, typer.Option("--client", help="Client that the trader is let in to; several times.")] = None,
    target: Annotated[str, typer.Option("--target", help="Where the service will be, for the profiles.")] = DEFAULT_TARGET,
) -> None:
    """Make a throw-away authority with certificates and tokens of every role, good for twelve hours. Never for production."""
    made_dev_certificates(out, target=target, clients=client or [DEMO_CLIENT])
    crossmargin = callable_as("crossmargin")
    console = console_on()
    console.print(f"Certificates, tokens and profiles of every role are in {out}, good for twelve hours.", soft_wrap=True)
    console.print("Serve with them:", style="bold")
    console.print(f"  set -a; . {out}/serve.env; set +a; {crossmargin} serve --embedded", soft_wrap=True, markup=False)
    console.print(
        "And call it, as one of trader, risk, risk-second, operations, publisher, auditor, administrator, or house:", style="bold"
    )
    console.print(f"  {crossmargin} health --profile {out}/risk.toml", soft_wrap=True, markup=False)
    console.print(f"  {crossmargin} margin show --all --profile {out}/risk.toml", soft_wrap=True, markup=False)


def made_dev_certificates(folder: Path, *, target: str, clients: Sequence[str] = (DEMO_CLIENT,)) -> Mapping[str, str]:
    """Fill a folder with throw-away certificates, and return the settings of a service on them, as environment variables.

    Raises:
        CommandError: When it cannot be done, in the service's words.
    """
    words = ["dev-certs", "--out", str(folder), "--target", target, *(word for client in clients for word in ("--client", client))]
    done = subprocess.run(service_command(words), capture_output=True, text=True, check=False)  # noqa: S603 - words of our own
    if done.returncode:
        raise CommandError(done.stderr.strip().removeprefix("error: ") or "dev-certs failed")
    settings: dict[str, str] = json.loads(done.stdout)
    return settings
