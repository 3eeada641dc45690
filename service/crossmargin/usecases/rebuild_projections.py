"""Compare every projection with the ledger, and rebuild those that differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId
from crossmargin.domain.projection import ProjectionDifference
from crossmargin.usecases.ports.ledger_audit import AnchorStore, Projections


@dataclass(frozen=True, slots=True)
class RebuildProjections:
    """Writes only what was found to differ, one account at a time, under its lock; the service may go on meanwhile."""

    anchors: AnchorStore
    projections: Projections

    async def compare(self) -> Sequence[ProjectionDifference]:
        """Return every row of every projection that is not what the ledger says."""
        read = await self.anchors.read_heads()
        accounts = [AccountRef(ClientId(head.client_id), AccountId(head.account_id)) for head in read.heads]
        return [difference for name in self.projections.names for difference in await self.projections.differences(name, accounts)]

    async def repair(self, differences: Sequence[ProjectionDifference], tell: Callable[[ProjectionDifference], None]) -> int:
        """Rebuild the projections of the accounts that differ; tell each row that was put right, and return how many there were."""
        count = 0
        for name, account in dict.fromkeys((each.projection, each.account) for each in differences):
            for repaired in await self.projections.rebuild(name, account):
                tell(repaired)
                count += 1
        return count
