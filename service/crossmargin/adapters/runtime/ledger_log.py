"""What guards the ledger, in the log. The log leaves the machine, so an anchor there is a copy outside the database too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from crossmargin.domain.audit_anchor import Anchor
from crossmargin.domain.ledger_audit import Finding
from crossmargin.domain.projection import ProjectionDifference

_SHOWN: Final = 20
log = structlog.get_logger()


class LedgerLog:
    """See `LedgerReports`."""

    def anchor_taken(self, anchor: Anchor) -> None:
        """Log an anchor, without the heads it lists."""
        log.info(
            "anchor",
            number=anchor.number,
            accounts=anchor.account_count,
            entries=anchor.entry_count,
            root=anchor.root.hex(),
            content_hash=anchor.content_hash.hex(),
            key=anchor.key_id,
            signature=anchor.signature.hex(),
        )

    def anchor_failed(self, reason: str, details: Sequence[str]) -> None:
        """Log why no anchor was taken."""
        log.error("no anchor taken", reason=reason, details=list(details[:_SHOWN]), detail_count=len(details))

    def ledger_checked(self, findings: Mapping[str, Sequence[Finding]], *, entry_count: int, duration_s: float) -> None:
        """Log a check, and what it found."""
        counts = {name: len(found) for name, found in findings.items()}
        if not any(counts.values()):
            log.info("ledger checked", entries=entry_count, duration_s=duration_s, findings=counts)
            return
        shown = [finding.message for found in findings.values() for finding in found][:_SHOWN]
        log.error("ledger check failed", entries=entry_count, duration_s=duration_s, findings=counts, details=shown)

    def check_failed(self, reason: str) -> None:
        """Log why the ledger could not be checked."""
        log.error("ledger not checked", reason=reason)

    def withdraw_ledger(self) -> None:
        """Say nothing: that another process leads is no news of the ledger."""


def log_repair(repaired: ProjectionDifference) -> None:
    """Log a row of a projection that was put right."""
    log.warning(
        "projection repaired",
        projection=repaired.projection,
        account=str(repaired.account),
        row=repaired.row,
        stored=repaired.stored,
        due=repaired.due,
    )
