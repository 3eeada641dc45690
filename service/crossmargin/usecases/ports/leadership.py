"""Which of several processes does what only one may do."""

from __future__ import annotations

from typing import Protocol


class LeadershipLostError(Exception):
    """Another process leads by now; nothing was written."""


class Leadership(Protocol):
    """At most one monitor at a time over all processes."""

    @property
    def leads(self) -> bool:
        """True when the last try succeeded. Asks nobody, so it may be late; what must not happen twice is guarded by the database."""
        ...

    @property
    def epoch(self) -> int:
        """The number of this lead, larger than that of every lead before; 0 while this process does not lead.

        What only the leader may write names it, and the storage refuses it once another process leads: a leader that was held up and does
        not know writes nothing any more.
        """
        ...

    async def try_lead(self) -> bool:
        """Return True while this process leads, trying to become the leader if nobody is."""
        ...
