"""Take an anchor of all accounts: sign where their chains stand, and keep it inside the database and outside of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from crossmargin.domain.audit_anchor import Anchor, AnchoredHead, HeadTree, Signer, contradictions, sign_anchor
from crossmargin.usecases.ports.ledger_audit import AnchorJournal, AnchorStore

CHECKPOINT_EVERY: Final = 1440
"""Anchors: once a day at one a minute, so that nobody has to read more than a day of them to know where every account stood."""
_CATCH_UP_SIZE: Final = 100


class AnchorRefusedError(Exception):
    """The ledger, or where anchors are kept, contradicts the anchors taken so far. Nothing was signed; a person has to look.

    Attributes:
        contradictions: Each in a sentence.
    """

    def __init__(self, contradictions: Sequence[str]) -> None:
        super().__init__("; ".join(contradictions[:5]))
        self.contradictions = tuple(contradictions)


@dataclass(slots=True)
class TakeAnchor:
    """Takes one anchor at a call. Keeps the tree of the last one, so that a call costs what has changed."""

    store: AnchorStore
    signer: Signer
    journal: AnchorJournal | None = None
    checkpoint_every: int = CHECKPOINT_EVERY
    _last: Anchor | None = None
    _tree: HeadTree | None = field(default=None, repr=False)
    _since_checkpoint: int = 0

    async def __call__(self) -> Anchor | None:
        """Return the anchor taken; None when another process took one meanwhile, so that this one has to begin anew.

        Raises:
            AnchorRefusedError: See there.
            DomainError: SERVICE_BUSY or STORAGE_UNAVAILABLE.
            OSError: The file of anchors cannot be written; the anchor is in the database, and goes to the file with the next one.
        """
        try:
            anchor = await self._take(self._tree)
        except BaseException:
            self.forget()
            raise
        if anchor is None:
            self.forget()
        return anchor

    def forget(self) -> None:
        """Begin anew at the next call: another process may lead."""
        self._tree, self._last = None, None

    async def _take(self, tree: HeadTree | None) -> Anchor | None:
        is_first = tree is None
        if tree is None:
            tree = await self._tree_so_far()
            await self._catch_up()
        read = await self.store.read_heads()
        heads = {head.name: head for head in read.heads}
        impossible = contradictions(tree.heads, heads)
        if impossible:
            raise AnchorRefusedError(impossible)
        changed = [head for name, head in heads.items() if tree.heads.get(name) != head]
        tree.set(changed)
        is_checkpoint = is_first or self._since_checkpoint + 1 >= self.checkpoint_every
        anchor = sign_anchor(self._last, tree, None if is_checkpoint else changed, taken_at=read.taken_at, signer=self.signer)
        if not await self.store.append_anchor(anchor):
            return None
        if self.journal is not None:
            await self.journal.append(anchor)
        self._tree, self._last = tree, anchor
        self._since_checkpoint = 0 if is_checkpoint else self._since_checkpoint + 1
        return anchor

    async def _tree_so_far(self) -> HeadTree:
        try:
            anchors = await self.store.anchors_from_checkpoint()
        except ValueError as error:
            raise AnchorRefusedError([f"the anchors in the database cannot be read: {error}"]) from error
        heads: dict[tuple[str, str], AnchoredHead] = {}
        for anchor in anchors:
            heads |= {head.name: head for head in anchor.changed}
        tree = HeadTree(heads.values())
        self._last = anchors[-1] if anchors else None
        if self._last is not None and self._last.root != tree.root:
            raise AnchorRefusedError([f"anchor {self._last.number} in the database does not have the root of its heads"])
        return tree

    async def _catch_up(self) -> None:
        """Bring the journal to the last anchor of the database, where a process ended between the two."""
        if self.journal is None:
            return
        try:
            written = await self.journal.last_anchor()
        except ValueError as error:
            raise AnchorRefusedError([f"the file of anchors cannot be read: {error}"]) from error
        if written is None:
            return
        last_number = self._last.number if self._last is not None else 0
        if written.number > last_number:
            raise AnchorRefusedError(
                [f"the file of anchors goes to {written.number} and the database to {last_number}: an old copy of the database is in use"]
            )
        kept = await self.store.anchors_after(written.number - 1, limit=1)
        if not kept or kept[0].content_hash != written.content_hash:
            raise AnchorRefusedError([f"anchor {written.number} in the file is not the one in the database"])
        while written.number < last_number:
            for anchor in await self.store.anchors_after(written.number, limit=_CATCH_UP_SIZE):
                await self.journal.append(anchor)
                written = anchor
