"""Where people learn of lifecycle events that nobody has booked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol


class DueEventReports(Protocol):
    """Where people learn of lifecycle events that nobody has booked. Of the process that leads."""

    def due_events_seen(self, due: Sequence[datetime]) -> None:
        """Publish since when each missing event is due; nothing for none."""
        ...

    def withdraw_due_events(self) -> None:
        """Stop publishing: this process no longer leads, or does not know."""
        ...
