"""Examples under the help of a command."""

from __future__ import annotations


def examples(*commands: str) -> str:
    """Return an epilog that shows commands, each on a line of its own."""
    return "\n".join(["Examples:", *commands])
