"""Anchors, and the heads they speak of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from crossmargin.adapters.memory.database import Contents, MemoryDatabase
from crossmargin.domain.audit_anchor import Anchor, AnchoredHead
from crossmargin.usecases.ports.ledger_audit import HeadsRead


class MemoryAnchorStore:
    """See `AnchorStore`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def read_heads(self) -> HeadsRead:
        """Return where every account's chain stands."""
        return HeadsRead(datetime.now(tz=UTC), anchored_heads(self._database.contents))

    async def anchors_from_checkpoint(self, before: datetime | None = None) -> Sequence[Anchor]:
        """Return the latest checkpoint and what follows it, by number."""
        taken = [anchor for anchor in self._database.anchors if before is None or anchor.taken_at <= before]
        checkpoints = [place for place, anchor in enumerate(taken) if anchor.is_checkpoint]
        return taken[checkpoints[-1] :] if checkpoints else []

    async def anchors_after(self, number: int, *, limit: int) -> Sequence[Anchor]:
        """Return anchors by number, those after `number`."""
        return [anchor for anchor in self._database.anchors if anchor.number > number][:limit]

    async def append_anchor(self, anchor: Anchor) -> bool:
        """Return True when the anchor is stored; False when its number is taken."""
        kept = next((other for other in self._database.anchors if other.number == anchor.number), None)
        if kept is None:
            self._database.anchors.append(anchor)
        return kept is None or kept == anchor


def anchored_heads(contents: Contents) -> tuple[AnchoredHead, ...]:
    """Return all heads in the order of their names."""
    heads = (contents.heads[ref] for ref in sorted(contents.heads))
    return tuple(AnchoredHead(head.ref.client_id, head.ref.account_id, head.sequence, head.chain_hash) for head in heads)
