"""What guards the ledger, in the log. The log leaves the machine, so an anchor there is a copy outside the database too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from crossmargin.domain.audit_anchor import Anchor

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

    def withdraw_ledger(self) -> None:
        """Say nothing: that another process leads is no news of the ledger."""
