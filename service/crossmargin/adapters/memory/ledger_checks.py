"""Checks of the ledger that are cheap enough for every night."""

from __future__ import annotations

from collections.abc import Mapping

from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.ledger_audit import Finding, FindingKind, sums_by_instrument
from crossmargin.domain.money import format_decimal


class MemoryLedgerChecks:
    """See `LedgerChecks`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._contents = database.contents

    async def unbalanced_entries(self, after: Mapping[AccountRef, int]) -> list[Finding]:
        """Return a finding for each entry, after the sequence given for its account, whose postings do not sum to zero."""
        findings = []
        for (ref, sequence), numbered in sorted(self._contents.entries.items()):
            findings += [
                Finding(
                    FindingKind.ENTRY_UNBALANCED,
                    f"postings of entry {sequence} in {instrument} sum to {format_decimal(quantity)} "
                    f"at cost {format_decimal(cost)}; expected nothing",
                    str(ref),
                    sequence,
                )
                for instrument, (quantity, cost) in sorted(sums_by_instrument(numbered.entry.postings).items())
                if (quantity or cost) and ref in after and sequence > after[ref]
            ]
        return findings

    async def heads_off_their_entries(self, accounts: Mapping[AccountRef, int]) -> list[Finding]:
        """Return a finding for each account whose head is not its last entry."""
        findings = []
        for ref in sorted(accounts):
            head = self._contents.heads[ref]
            entry = self._contents.entries.get((ref, head.sequence))
            is_last = (ref, head.sequence + 1) not in self._contents.entries
            is_right = is_last and (head.sequence == 0 or (entry is not None and entry.chain_hash == head.chain_hash))
            if not is_right:
                what = "is gone" if entry is None and head.sequence else "is not the last, or has another hash"
                message = f"the head is at entry {head.sequence}, which {what}"
                findings.append(Finding(FindingKind.HEAD_DIFFERS, message, str(ref), head.sequence))
        return findings
