"""Issue margin calls, recognise what comes in, and press for what does not: what the monitor does about calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Final, TypeAlias

from crossmargin.domain.account import AccountHead, AccountMode
from crossmargin.domain.band_memory import BandState
from crossmargin.domain.breaker import paused_by
from crossmargin.domain.call_agreement import CallAgreement, agreement_of
from crossmargin.domain.call_life import (
    CallChange,
    CallStanding,
    CallState,
    CallTrigger,
    MarginCall,
    NoticeKind,
    escalate_overdue,
    issue,
    review,
)
from crossmargin.domain.call_need import call_standing, delivered_value, may_be_called
from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.margin import Band, MarginResult
from crossmargin.domain.market_gate import Action, at_least
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.passed_over import PassedOver
from crossmargin.usecases.ports.breaker import BreakerStore
from crossmargin.usecases.ports.margin_call import CallReports, CallStore, EntrySpan
from crossmargin.usecases.ports.runtime import Clock
from crossmargin.usecases.ports.writing import Decision, UnderLead, Writer
from crossmargin.usecases.refusals import encode_outcome
from crossmargin.usecases.taking_turns import taking_turns

MONITOR: Final = "crossmargin"
_MOST_STEPS: Final = 8
"""Of one call at one review: issued or delivered, confirmed and escalated at once is three."""
_PRESSING: Final = frozenset({NoticeKind.ISSUED, NoticeKind.INCREASED, NoticeKind.ESCALATED})
_LONGEST_WAIT: Final = timedelta(minutes=1)
_LAST: Final = 2**63 - 1
"""No entry of an account comes after it."""
_Step: TypeAlias = Callable[[MarginCall | None, datetime], CallChange | None]


@dataclass(frozen=True, slots=True)
class AccountSeen:
    """What one house run found of an account."""

    result: MarginResult
    state: BandState
    mode: AccountMode


@dataclass(slots=True)
class ReviewCalls:
    """Looks at what is, and not at what has changed: a call that a leader who died did not issue is issued by the next one.

    Every step is written by itself, under the account's lock and only while this process leads, and is decided on the call as it is then.
    Two leaders cannot issue one call twice: the lead is looked at in the same transaction, and the storage keeps one open call of an
    account.

    Attributes:
        call_time: When, every day in UTC, accounts below their initial margin are called although they are not in margin call; None for
            never.
    """

    writer: Writer
    calls: CallStore
    breakers: BreakerStore
    reports: CallReports
    clock: Clock
    call_time: time | None = None
    _scheduled: dict[AccountRef, datetime] = field(default_factory=dict)
    """For which time each account was last looked at: one that could not be margined then is looked at for it once it can be."""

    async def __call__(self, seen: Mapping[AccountRef, AccountSeen], parameters: RiskParameters, *, epoch: int) -> None:
        """Review the call of every account that has an open one, and issue one for every other account that needs it.

        Raises:
            LeadershipLostError: Another process leads by now.
            DomainError: SERVICE_BUSY, STORAGE_UNAVAILABLE, or what an account refused; what was written stays, and a review that is made
                again does the rest. An account that is held up holds up no other (see `PassedOver`).
        """
        schedule = self.last_schedule()
        last, agreements = await self.calls.last_calls(), await self.calls.agreements()
        moved = await self._deliveries(seen, last)
        is_paused = bool(paused_by(await self.breakers.list_breakers(), Action.MARGIN_CALL))
        held_up = PassedOver()
        async for account in taking_turns(sorted(seen)):
            if not may_be_called(seen[account].mode):
                continue
            judged = JudgedAccount(seen[account], agreement_of(account, agreements), parameters)
            call = last.get(account)
            with held_up.one_account():
                if call is not None and call.is_open:
                    await self._review(call, judged, moved.get(account, {}), epoch, may_press=not is_paused)
                elif not is_paused:
                    await self._look_at_uncalled(account, call, judged, epoch)
                if schedule is not None and not is_paused:
                    self._scheduled[account] = schedule
        held_up.check()

    async def escalate_overdue(self, *, epoch: int) -> None:
        """Escalate the calls that are open past their time, whatever the market does; raises what a review raises.

        One for which something has come in that no review has looked at yet waits for that review: it may have been paid in time. But not
        for longer than a minute, because an account that cannot be margined is never reviewed.
        """
        if paused_by(await self.breakers.list_breakers(), Action.MARGIN_CALL):
            return
        now = self.clock.now()
        overdue = {
            account: call
            for account, call in (await self.calls.last_calls()).items()
            if escalate_overdue(call, at=now, by=MONITOR) is not None
        }
        waiting = {account: call for account, call in overdue.items() if now - call.due_at < _LONGEST_WAIT}
        came_in = await self.calls.deliveries_of({account: EntrySpan(call.recognised_to, _LAST) for account, call in waiting.items()})
        held_up = PassedOver()
        for account, call in sorted(overdue.items()):
            if not any(quantity > 0 for quantity in came_in.get(account, {}).values()):
                with held_up.one_account():
                    await self._write(account, call.last_notice, epoch, _overdue)
        held_up.check()

    def last_schedule(self) -> datetime | None:
        """Return when accounts were last to be called by schedule; None when they never are."""
        if self.call_time is None:
            return None
        now = self.clock.now()
        today = datetime.combine(now.astimezone(UTC).date(), self.call_time, UTC)
        return today if now >= today else today - timedelta(days=1)

    async def _look_at_uncalled(self, account: AccountRef, before: MarginCall | None, judged: JudgedAccount, epoch: int) -> None:
        schedule = self.last_schedule()
        issued = await self._issue(account, before, judged, epoch, schedule if schedule != self._scheduled.get(account) else None)
        if issued is not None:
            # Past the line at once is with the liquidation authority at once: the market may not move again for hours.
            await self._review(issued.call, judged, {}, epoch, may_press=True)

    async def _issue(
        self, account: AccountRef, before: MarginCall | None, judged: JudgedAccount, epoch: int, schedule: datetime | None
    ) -> CallChange | None:
        trigger = _trigger(before, judged, schedule)
        if trigger is None:
            return None
        standing = judged.standing(trigger, None)

        def step(known: MarginCall | None, at: datetime) -> CallChange | None:
            if known is not None and known.is_open:
                return None
            return issue(account, standing, judged.agreement, trigger, known, at=at, by=MONITOR)

        return await self._write(
            account, 0 if before is None else before.last_notice, epoch, step, unless=_Paid(judged.seen, standing.needed)
        )

    async def _deliveries(
        self, seen: Mapping[AccountRef, AccountSeen], last: Mapping[AccountRef, MarginCall]
    ) -> Mapping[AccountRef, Mapping[InstrumentId, Decimal]]:
        """Return what came in for every open call since it was last looked at, up to the entry that its account was margined on."""
        spans = {
            account: EntrySpan(call.recognised_to, seen[account].result.stamp.sequence)
            for account, call in last.items()
            if call.is_open and account in seen and seen[account].result.stamp.sequence > call.recognised_to
        }
        return await self.calls.deliveries_of(spans)

    async def _review(
        self, call: MarginCall, judged: JudgedAccount, moved: Mapping[InstrumentId, Decimal], epoch: int, *, may_press: bool
    ) -> None:
        """Take the steps that a call is due; the first one recognises all that came in."""
        delivered = delivered_value(moved, judged.seen.result)
        for _ in range(_MOST_STEPS):
            step = judged.review_step(call, delivered, may_press=may_press)
            if step(call, self.clock.now()) is None:
                return
            unless = _Paid(judged.seen, judged.standing(call.trigger, None).needed)
            change = await self._write(call.account, call.last_notice, epoch, step, unless=unless)
            if change is None or not change.call.is_open:
                return
            call, delivered = change.call, None

    async def _write(
        self, account: AccountRef, last_notice: int, epoch: int, step: _Step, *, unless: _Paid | None = None
    ) -> CallChange | None:
        done: list[CallChange] = []

        async def decide(heads: Mapping[AccountRef, AccountHead]) -> Decision:
            change = step(await self.calls.last_call(account), self.clock.now())
            if change is not None and unless is not None and change.notice.kind in _PRESSING:
                change = None if await self._is_paid(unless, heads[account]) else change
            done[:] = [] if change is None else [change]
            written = () if change is None else (change.call, change.notice)
            return Decision(encode_outcome({"changed": change is not None}), records=(UnderLead(epoch), *written))

        # Whether it was written before is not told by the key but by the call itself, which is read under the lock.
        key = f"{account}/notices/{last_notice + 1}/{epoch}/{self.clock.now().isoformat()}"
        request = Caller(MONITOR, sha256(key.encode()).hexdigest()).write_request("ReviewCall", [key], (account,))
        await self.writer.write(request, decide)
        for change in done:
            self.reports.call_changed(change.notice)
        return done[0] if done else None

    async def _is_paid(self, paid: _Paid, head: AccountHead) -> bool:
        """Return whether what is asked for has come in since the account was margined; then it is margined again before it is asked for."""
        result = paid.seen.result
        if head.sequence == result.stamp.sequence:
            return False
        moved = await self.calls.deliveries(head.ref, after_sequence=result.stamp.sequence, until_sequence=head.sequence)
        came_in = delivered_value(moved, result) or Decimal(0)
        return came_in > 0 and came_in >= paid.needed


@dataclass(frozen=True, slots=True)
class _Paid:
    """What keeps a call from being pressed: as much has come in as was needed when the account was seen."""

    seen: AccountSeen
    needed: Decimal


@dataclass(frozen=True, slots=True)
class JudgedAccount:
    """An account with what its calls are judged by."""

    seen: AccountSeen
    agreement: CallAgreement
    parameters: RiskParameters

    def standing(self, trigger: CallTrigger, delivered: Decimal | None) -> CallStanding:
        """Return what a call for the trigger is judged by."""
        return call_standing(self.seen.result, self.seen.state, self.agreement, self.parameters.bands, trigger=trigger, delivered=delivered)

    def review_step(self, call: MarginCall, delivered: Decimal | None, *, may_press: bool, by: str = MONITOR) -> _Step:
        """Return what becomes of a call by itself, as long as it is still as it was looked at."""
        standing = self.standing(call.trigger, delivered)
        least = max(self.agreement.terms.minimum_transfer_amount, call.amount * self.parameters.monitor.call_increase_fraction)

        def step(known: MarginCall | None, at: datetime) -> CallChange | None:
            # Somebody else may have changed it since it was looked at; then it is looked at again.
            return review(call, standing, least_increase=least, at=at, by=by, may_press=may_press) if known == call else None

        return step


def _trigger(before: MarginCall | None, judged: JudgedAccount, schedule: datetime | None) -> CallTrigger | None:
    """Return what an account without an open call is to be called for; None when it is not."""
    seen = judged.seen
    is_in_band = at_least(seen.result.band, Band.MARGIN_CALL) and not _was_waived(before, seen.state)
    if is_in_band and judged.standing(CallTrigger.BAND, None).needed:
        return CallTrigger.BAND
    is_scheduled = schedule is not None and (before is None or before.issued_at < schedule)
    return CallTrigger.SCHEDULE if is_scheduled and judged.standing(CallTrigger.SCHEDULE, None).needed else None


def _was_waived(before: MarginCall | None, state: BandState) -> bool:
    """Return whether the account has been in margin call without a break since a call of it was waived."""
    if before is None or before.state is not CallState.WAIVED or before.closed_at is None:
        return False
    return state.since is not None and state.since <= before.closed_at


def _overdue(known: MarginCall | None, at: datetime) -> CallChange | None:
    return None if known is None else escalate_overdue(known, at=at, by=MONITOR)
