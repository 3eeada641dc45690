"""What the leader of the monitors does for the ledger besides margin: anchors once a minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from crossmargin.domain.errors import DomainError
from crossmargin.usecases.ports import Clock, Leadership, LedgerReports
from crossmargin.usecases.take_anchor import AnchorRefusedError, TakeAnchor

POLL_INTERVAL_S: Final = 0.25
_RETRY_S: Final = 5.0


@dataclass(slots=True)
class GuardLedger:
    """Runs for ever, and does something only while this process leads."""

    leadership: Leadership
    reports: Sequence[LedgerReports]
    clock: Clock
    take_anchor: TakeAnchor
    anchor_interval_s: float
    _anchor_due: datetime | None = None

    async def __call__(self) -> None:
        """Poll, and do what is due, until cancelled."""
        while True:
            if self.leadership.leads:
                await self._work()
            else:
                self._rest()
            await self.clock.sleep(POLL_INTERVAL_S)

    async def _work(self) -> None:
        now = self.clock.now()
        if self._anchor_due is None or now >= self._anchor_due:
            is_taken = await self._anchor()
            self._anchor_due = now + timedelta(seconds=self.anchor_interval_s if is_taken else min(_RETRY_S, self.anchor_interval_s))

    def _rest(self) -> None:
        if self._anchor_due is not None:
            self._anchor_due = None
            self.take_anchor.forget()
        for report in self.reports:
            report.withdraw_ledger()

    async def _anchor(self) -> bool:
        try:
            anchor = await self.take_anchor()
        except AnchorRefusedError as refused:
            # Signed, it would make what contradicts the past look as if it had always been so.
            self._failed("refused", refused.contradictions)
        except DomainError as error:
            self._failed("storage", [error.reason.code])
        except OSError as error:
            self._failed("file", [error.strerror or "unknown"])
        else:
            if anchor is None:
                return False
            for report in self.reports:
                report.anchor_taken(anchor)
            return True
        return False

    def _failed(self, reason: str, details: Sequence[str]) -> None:
        for report in self.reports:
            report.anchor_failed(reason, details)
