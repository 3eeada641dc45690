"""Running the service, which is another program: `python -m crossmargin`."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from crossmargin_cli.failures import CommandError

SERVICE_MODULES: Final = (
    "alembic",
    "cryptography",
    "grpc_health",
    "grpc_reflection",
    "jwt",
    "numpy",
    "prometheus_client",
    "psycopg",
    "pydantic_settings",
    "sqlalchemy",
)
SERVICE_MODULES_NEXT: Final = "pip install 'crossmargin[embedded]'"


def missing_service_modules() -> list[str]:
    """Return the modules that the service needs and that are not installed. Nothing is imported to find out."""
    return [name for name in SERVICE_MODULES if importlib.util.find_spec(name) is None]


def service_command(arguments: Sequence[str]) -> list[str]:
    """Return the words that run the service with this interpreter.

    Raises:
        CommandError: When the service's own dependencies are not installed.
    """
    missing = missing_service_modules()
    if missing:
        raise CommandError(
            f"the service is not installed here, only its client: {', '.join(missing)} missing", next_step=SERVICE_MODULES_NEXT
        )
    return [sys.executable, "-m", "crossmargin", *arguments]


def become_service(arguments: Sequence[str]) -> NoReturn:
    """Replace this process by the service, so that signals, output and exit code are the service's own."""
    command = service_command(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)  # noqa: S606 - this interpreter, with the user's own arguments


def dying_with_parent(command: Sequence[str]) -> list[str]:
    """Return a command that is asked to end when the thread that starts it does, where the platform has the means.

    Without it a parent that is killed outright leaves its child behind.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", *command] if setpriv is not None else [*command]
