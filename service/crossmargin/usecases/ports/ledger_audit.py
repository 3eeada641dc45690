"""What the ledger is held against: anchors, sums, projections."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from crossmargin.domain.audit_anchor import Anchor, AnchoredHead
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.ledger_audit import Finding, RecordedEntry, StoredEntry, StoredPosition, UnreadableAnchor
from crossmargin.domain.projection import ProjectionDifference


@dataclass(frozen=True, slots=True)
class HeadsRead:
    """The heads of all accounts, read together, in the order of their names; `taken_at` is the database's clock just after."""

    taken_at: datetime
    heads: tuple[AnchoredHead, ...]


class AnchorStore(Protocol):
    """Anchors inside the database, and the heads they speak of. Anchors are only ever added."""

    async def read_heads(self) -> HeadsRead:
        """Return where every account's chain stands."""
        ...

    async def anchors_from_checkpoint(self, before: datetime | None = None) -> Sequence[Anchor]:
        """Return the latest checkpoint and what follows it, by number, none taken after `before`; empty when there is no checkpoint.

        Raises:
            ValueError: What is stored is no anchor.
        """
        ...

    async def anchors_after(self, number: int, *, limit: int) -> Sequence[Anchor]:
        """Return anchors by number, those after `number`; ValueError as above."""
        ...

    async def append_anchor(self, anchor: Anchor) -> bool:
        """Return True when the anchor is stored; False, and nothing stored, when its number is taken."""
        ...


class AnchorJournal(Protocol):
    """Where anchors go that an attacker of the database cannot reach."""

    async def last_anchor(self) -> Anchor | None:
        """Return the last anchor written; None for none. ValueError when what is there cannot be read."""
        ...

    async def append(self, anchor: Anchor) -> None:
        """Write an anchor, and return once it will survive a power cut."""
        ...


class LedgerChecks(Protocol):
    """What the storage can add up by itself."""

    async def unbalanced_entries(self, after: Mapping[AccountRef, int]) -> Sequence[Finding]:
        """Return a finding for each entry, after the sequence given for its account, whose postings do not sum to zero."""
        ...

    async def heads_off_their_entries(self, accounts: Mapping[AccountRef, int]) -> Sequence[Finding]:
        """Return a finding for each of the accounts whose head is not its last entry."""
        ...


class Projections(Protocol):
    """Tables that follow from the ledger, compared with it and built from it anew."""

    @property
    def names(self) -> tuple[str, ...]:
        """The projections there are: `position`, `reservation` and the like."""
        ...

    async def differences(self, name: str, accounts: Sequence[AccountRef]) -> Sequence[ProjectionDifference]:
        """Return the rows of accounts that are not what the ledger says. Writers may go on meanwhile."""
        ...

    async def rebuild(self, name: str, account: AccountRef) -> Sequence[ProjectionDifference]:
        """Replace what is stored for an account by what the ledger says, under the account's lock, and return what was different.

        Raises:
            DomainError: UNKNOWN_ACCOUNT.
        """
        ...


class LedgerView(Protocol):
    """Everything that is stored of the ledger, as of one moment, however much is written meanwhile. Batches bound the memory it takes.

    Names come in the order of their bytes, clients before accounts.
    """

    @property
    def taken_at(self) -> datetime:
        """The moment, by the clock of the database."""
        ...

    def heads(self) -> AsyncIterator[Sequence[AnchoredHead]]:
        """Yield the heads in the order of their names."""
        ...

    def entries(self) -> AsyncIterator[Sequence[StoredEntry]]:
        """Yield the entries in the order of account and sequence, with their legs."""
        ...

    def positions(self) -> AsyncIterator[Sequence[StoredPosition]]:
        """Yield the positions in the order of account, book and instrument."""
        ...

    def projection_differences(self) -> AsyncIterator[Sequence[ProjectionDifference]]:
        """Yield the rows of projections, of accounts with or without a head, that are stored otherwise than the entries say.

        All projections but the positions, which `positions` yields.
        """
        ...

    def anchors(self) -> AsyncIterator[Sequence[Anchor | UnreadableAnchor]]:
        """Yield the anchors by number."""
        ...

    async def posting_count(self) -> int:
        """Return how many postings there are, those without an entry included."""
        ...

    async def details_count(self) -> int:
        """Return how many entries have details stored, those that are not there themselves included."""
        ...

    async def recorded(self, heads: Sequence[AnchoredHead]) -> Sequence[RecordedEntry | None]:
        """Return what is stored for the entry of each head; None where there is none."""
        ...


class LedgerReports(Protocol):
    """Where the leader tells what it does to guard the ledger: metrics, a log."""

    def anchor_taken(self, anchor: Anchor) -> None:
        """Tell that an anchor was taken."""
        ...

    def anchor_failed(self, reason: str, details: Sequence[str]) -> None:
        """Tell that none could be taken: `refused` when the ledger contradicts earlier anchors, `storage`, or `file`."""
        ...

    def ledger_checked(self, findings: Mapping[str, Sequence[Finding]], *, entry_count: int, duration_s: float) -> None:
        """Tell what a check of the ledger found, by its parts; how many entries were summed, and how long it took."""
        ...

    def check_failed(self, reason: str) -> None:
        """Tell that the ledger could not be checked, by the reason's code."""
        ...

    def withdraw_ledger(self) -> None:
        """Stop telling: this process no longer leads."""
        ...
