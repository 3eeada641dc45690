"""Election of one monitor among those that share a memory."""

from __future__ import annotations

from crossmargin.adapters.memory.database import MemoryDatabase


class MemoryLeadership:
    """The first to ask leads until it closes."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self._epoch = 0

    @property
    def leads(self) -> bool:
        """True when the last try succeeded."""
        return self._database.leader is self

    @property
    def epoch(self) -> int:
        """The number of this lead; 0 while this one does not lead."""
        return self._epoch if self.leads else 0

    async def try_lead(self) -> bool:
        """Return True while this one leads, trying to become the leader if nobody is."""
        if self._database.leader is None:
            self._database.leader = self
            self._database.epoch += 1
            self._epoch = self._database.epoch
        return self._database.leader is self

    async def close(self) -> None:
        """Stop leading, so that another may."""
        if self._database.leader is self:
            self._database.leader = None
