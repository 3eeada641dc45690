"""The nightly check of the ledger: what is cheap enough to be added up every day, by whoever leads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId
from crossmargin.domain.ledger_audit import Finding
from crossmargin.usecases.ports.ledger_audit import AnchorStore, LedgerChecks, Projections
from crossmargin.usecases.ports.runtime import Clock

LOOK_BACK: Final = timedelta(days=1, hours=1)
"""A day, and as long as a check may be late."""


@dataclass(frozen=True, slots=True)
class LedgerCheck:
    """What a check came to: the findings of each part of it, and how many entries were summed."""

    findings: Mapping[str, tuple[Finding, ...]]
    entry_count: int
    duration_s: float

    @property
    def finding_count(self) -> int:
        """All findings."""
        return sum(len(found) for found in self.findings.values())


@dataclass(frozen=True, slots=True)
class CheckLedger:
    """Sums the postings of a day's entries, looks at every head, and compares every projection with the ledger."""

    anchors: AnchorStore
    checks: LedgerChecks
    projections: Projections
    clock: Clock

    async def __call__(self) -> LedgerCheck:
        """Return what was found; DomainError SERVICE_BUSY or STORAGE_UNAVAILABLE when the database does not answer."""
        started = self.clock.now()
        read = await self.anchors.read_heads()
        heads = {AccountRef(ClientId(head.client_id), AccountId(head.account_id)): head.sequence for head in read.heads}
        summed_before = await self._summed_before(read.taken_at - LOOK_BACK)
        after = {ref: summed_before.get(str(ref), 0) for ref in heads}
        findings = {
            "entries": tuple(await self.checks.unbalanced_entries(after)),
            "heads": tuple(await self.checks.heads_off_their_entries(heads)),
        }
        for name in self.projections.names:
            differences = await self.projections.differences(name, sorted(heads))
            findings[name] = tuple(each.finding() for each in differences)
        duration = self.clock.now() - started
        return LedgerCheck(findings, sum(heads[ref] - after[ref] for ref in heads), duration.total_seconds())

    async def _summed_before(self, moment: datetime) -> Mapping[str, int]:
        """Return up to which entry each account was there at a moment, by its anchors; nothing where none was taken."""
        try:
            anchors = await self.anchors.anchors_from_checkpoint(before=moment)
        except ValueError:
            return {}  # the verifier will say so; here it only means that more is summed
        return {head.account: head.sequence for anchor in anchors for head in anchor.changed}
