"""Commands to copy: under the help of a command, and after the demo."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


def examples(*commands: str) -> str:
    """Return an epilog that shows commands, each on a line of its own."""
    return "\n".join(["Examples:", *commands])


def callable_as(program: str) -> str:
    """Return how a shell calls a program of this installation: by its name, or by its path when the shell would not find it."""
    installed = Path(sys.executable).parent / program
    if shutil.which(program) is not None or not installed.exists():
        return program
    return os.path.relpath(installed) if installed.is_relative_to(Path.cwd()) else str(installed)
