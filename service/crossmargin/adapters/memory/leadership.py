"""Election of one monitor among those that share a memory."""

from __future__ import annotations

from crossmargin.adapters.memory.database import MemoryDatabase


class MemoryLeadership:
    """The first to ask leads until it closes."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    @property
    def leads(self) -> bool:
        """True when the last try succeeded."""
        return self._database.leader is self

    async def try_lead(self) -> bool:
        """Return True while this one leads, trying to become the leader if nobody is."""
        if self._database.leader is None:
            self._database.leader = self
        return self._database.leader is self

    async def close(self) -> None:
        """Stop leading, so that another may."""
        if self._database.leader is self:
            self._database.leader = None
