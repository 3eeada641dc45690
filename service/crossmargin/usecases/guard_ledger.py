"""What the leader of the monitors does for the ledger besides margin: anchors once a minute, and a check every night."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from crossmargin.domain.errors import DomainError
from crossmargin.usecases.check_ledger import CheckLedger
from crossmargin.usecases.leader_duty import LeaderDuty
from crossmargin.usecases.ports.leadership import Leadership
from crossmargin.usecases.ports.ledger_audit import LedgerReports
from crossmargin.usecases.ports.runtime import Clock
from crossmargin.usecases.take_anchor import AnchorRefusedError, TakeAnchor


@dataclass(frozen=True, slots=True)
class GuardLedger:
    """Two duties, so that a long check holds up no anchor.

    Attributes:
        take_anchor: None without a key to sign with: then none are taken.
        check_time: Of the day, in UTC.
    """

    leadership: Leadership
    clock: Clock
    reports: Sequence[LedgerReports]
    check_ledger: CheckLedger
    check_time: time
    take_anchor: TakeAnchor | None
    anchor_interval_s: float

    def duties(self) -> tuple[LeaderDuty, ...]:
        """Return what is to be run beside one another."""
        check = LeaderDuty(self.leadership, self.clock, self._check, self._next_check, self._rest_of_checks)
        if self.take_anchor is None:
            return (check,)
        return (check, LeaderDuty(self.leadership, self.clock, self._anchor, self._next_anchor, self._rest_of_anchors))

    def _next_anchor(self, done: datetime) -> datetime:
        return done + timedelta(seconds=self.anchor_interval_s)

    def _next_check(self, done: datetime) -> datetime:
        today = datetime.combine(done.date(), self.check_time, tzinfo=done.tzinfo)
        return today if today > done else today + timedelta(days=1)

    def _rest_of_checks(self) -> None:
        for report in self.reports:
            report.withdraw_ledger()

    def _rest_of_anchors(self) -> None:
        if self.take_anchor is not None:
            self.take_anchor.forget()

    async def _check(self) -> bool:
        try:
            found = await self.check_ledger()
        except DomainError as error:
            for report in self.reports:
                report.check_failed(error.reason.code)
            return False
        for report in self.reports:
            report.ledger_checked(found.findings, entry_count=found.entry_count, duration_s=found.duration_s)
        return True

    async def _anchor(self) -> bool:
        if self.take_anchor is None:
            return True
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
