"""Publish a market snapshot."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.identifiers import SnapshotId
from crossmargin.domain.market import MarketSnapshot
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.ports import Decision, Writer


@dataclass(frozen=True, slots=True)
class PublishSnapshot:
    """Stores an immutable snapshot under the hash of its content."""

    writer: Writer

    async def __call__(self, snapshot: MarketSnapshot, *, principal: str) -> SnapshotId:
        """Return the snapshot's id. Its content is its own request id, so publishing it twice stores it once."""

        async def decide(_: object) -> Decision:
            return Decision(response=b"", records=(snapshot,))

        caller = Caller(principal, snapshot.snapshot_id)
        await self.writer.write(caller.write_request("PublishSnapshot", [snapshot.content_hash.hex()]), decide)
        return snapshot.snapshot_id
