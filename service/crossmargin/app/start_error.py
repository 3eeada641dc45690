"""What keeps the service, or a command beside it, from starting."""

from __future__ import annotations


class StartError(Exception):
    """The service cannot start as configured; the message says what to do."""
