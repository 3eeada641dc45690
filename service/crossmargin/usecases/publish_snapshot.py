"""Publish a market snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import SnapshotId
from crossmargin.domain.market import MarketSnapshot
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.follow_pegs import FollowPegs
from crossmargin.usecases.ports.market import MarketStore
from crossmargin.usecases.ports.writing import Decision, PrecedingSnapshotChangedError, PublishedSnapshot, Writer

_TRIES: Final = 4


@dataclass(frozen=True, slots=True)
class PublishSnapshot:
    """Stores an immutable snapshot under the hash of its content, with what is remembered of stablecoins from the snapshot before it."""

    writer: Writer
    market: MarketStore
    follow_pegs: FollowPegs

    async def __call__(self, snapshot: MarketSnapshot, *, principal: str) -> SnapshotId:
        """Return the snapshot's id. Its content is its own request id, so publishing it twice stores it once.

        Raises:
            DomainError: SERVICE_BUSY when others keep publishing snapshots of just before, so that it never came to rest.
        """
        for _ in range(_TRIES):
            before = await self.market.snapshot_before(snapshot.as_of)
            followed = await self.follow_pegs(snapshot, before)
            try:
                return await self.store(followed, before, principal=principal)
            except PrecedingSnapshotChangedError:
                continue  # somebody published one of an earlier time meanwhile: it may have seen a coin slip
        raise DomainError(
            Reason.SERVICE_BUSY,
            f"snapshot of {snapshot.as_of.isoformat()}: others published snapshots of just before it {_TRIES} times in a row and nothing "
            "was stored; publish it again",
        )

    async def store(self, followed: MarketSnapshot, before: MarketSnapshot | None, *, principal: str) -> SnapshotId:
        """Store a snapshot whose pegs follow from the one before it; PrecedingSnapshotChangedError when another one is before it by now."""

        async def decide(_: object) -> Decision:
            return Decision(response=b"", records=(PublishedSnapshot(followed, None if before is None else before.snapshot_id),))

        caller = Caller(principal, followed.snapshot_id)
        await self.writer.write(caller.write_request("PublishSnapshot", [followed.content_hash.hex()]), decide)
        return followed.snapshot_id
