"""The life of a margin call: from its issue until it is met, waived or needed no longer. Pure steps; each leaves a notice.

    issued -> acknowledged | disputed -> partially met -> met
                                     any open one -> escalated, met, waived, rescinded

A call that was escalated is with the liquidation authority and still open: it can be met, waived or rescinded. An account has at most one
open call; while it is open a growing deficit raises it, and once it is met the next deficit is a call of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import Enum, unique
from typing import Final

from crossmargin.domain.call_agreement import CallAgreement
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef, SnapshotId
from crossmargin.domain.money import exact_sum

LONGEST_TEXT: Final = 500


@unique
class CallState(Enum):
    """Where a call stands."""

    ISSUED = "issued"
    ACKNOWLEDGED = "acknowledged"
    """The client has said that he has it."""
    DISPUTED = "disputed"
    """The client does not agree. It is due all the same."""
    PARTIALLY_MET = "partially met"
    ESCALATED = "escalated"
    """With the liquidation authority, because it is overdue, or the account past the liquidation line, or two persons said so."""
    MET = "met"
    WAIVED = "waived"
    RESCINDED = "rescinded"
    """The account left margin call by itself: nothing was delivered, and nothing is needed any more."""


OPEN_STATES: Final = frozenset({CallState.ISSUED, CallState.ACKNOWLEDGED, CallState.DISPUTED, CallState.PARTIALLY_MET, CallState.ESCALATED})


@unique
class CallTrigger(Enum):
    """Why a call was issued."""

    BAND = "band"
    """The account came into margin call: it asks for what brings utilization back to the line."""
    SCHEDULE = "schedule"
    """It was time, and equity was below the initial margin: it asks for what is missing to it."""


@unique
class NoticeKind(Enum):
    """What happened to a call."""

    ISSUED = "issued"
    CONFIRMED = "confirmed"
    """It no longer rests on suspect market data."""
    INCREASED = "increased"
    ACKNOWLEDGED = "acknowledged"
    DISPUTED = "disputed"
    PARTIALLY_MET = "partially met"
    ESCALATED = "escalated"
    MET = "met"
    WAIVED = "waived"
    RESCINDED = "rescinded"


@unique
class DisputeReason(Enum):
    """What the client does not agree with."""

    AMOUNT = "amount"
    VALUATION = "valuation"
    POSITION = "position"
    ALREADY_DELIVERED = "already delivered"
    OTHER = "other"


@unique
class EscalationCause(Enum):
    """Why a call went to the liquidation authority."""

    OVERDUE = "overdue"
    LIQUIDATION_LINE = "liquidation line"
    PERSONS = "two persons"


@dataclass(frozen=True, slots=True)
class MarginCall:
    """One call on one account. Money in base currency.

    Attributes:
        number: Of the account, from 1, without gaps.
        amount: What is asked for, increases included; more than zero.
        met: What of it was recognised as delivered: collateral after haircuts, at the market of the moment it was recognised. It may be
            more than was asked for.
        is_provisional: True while it rests on suspect market data: a person should look before the client hears of it. It is not escalated
            by itself.
        sequence: Last ledger entry that was in the margin it was issued on. recognised_to: last one looked at for deliveries.
        snapshot_id, utilization: Of that margin; None is infinite.
        last_notice: Number of its last notice among all notices of the account.
    """

    account: AccountRef
    number: int
    state: CallState
    trigger: CallTrigger
    amount: Decimal
    met: Decimal
    is_provisional: bool
    issued_at: datetime
    due_at: datetime
    sequence: int
    recognised_to: int
    snapshot_id: SnapshotId
    utilization: Decimal | None
    last_notice: int
    closed_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether anything is still to come of it."""
        return self.state in OPEN_STATES

    @property
    def outstanding(self) -> Decimal:
        """What is still to be delivered; zero for a closed call."""
        return max(self.amount - self.met, Decimal(0)) if self.is_open else Decimal(0)

    def is_overdue(self, at: datetime) -> bool:
        """Whether it is open past its time."""
        return self.is_open and at >= self.due_at


@dataclass(frozen=True, slots=True)
class CallNotice:
    """One thing that happened to a call; never changed. Notices of an account are numbered from 1 without gaps.

    Attributes:
        by: Who did it: a principal, two of them, or the monitor.
        state, amount, met, due_at: Of the call from then on.
        reason: A code, for those who dispute or escalate; empty otherwise. text: What they say; may be empty.
    """

    account: AccountRef
    sequence: int
    call_number: int
    kind: NoticeKind
    at: datetime
    by: str
    state: CallState
    amount: Decimal
    met: Decimal
    due_at: datetime
    reason: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class CallChange:
    """A call as it is from now on, and the notice that says how it came to be so."""

    call: MarginCall
    notice: CallNotice


@dataclass(frozen=True, slots=True)
class CallStanding:
    """What a call is judged by, all of one margin result.

    Attributes:
        needed: What would have to be delivered now, by the agreement; zero when nothing is called for.
        delivered: Value of what came in with the ledger entries after the ones already recognised, less what went out; None when there
            were no such entries.
        is_called_for: Whether the account still needs a call: not yet back in a better band, or still below the initial margin.
        is_past_the_line: Whether it is to be liquidated.
    """

    sequence: int
    snapshot_id: SnapshotId
    utilization: Decimal | None
    needed: Decimal
    delivered: Decimal | None
    is_called_for: bool
    is_past_the_line: bool
    is_provisional: bool


def issue(
    account: AccountRef,
    standing: CallStanding,
    agreement: CallAgreement,
    trigger: CallTrigger,
    before: MarginCall | None,
    *,
    at: datetime,
    by: str,
) -> CallChange:
    """Return a new call for what is needed; `before` is the account's last one, which is closed."""
    call = MarginCall(
        account=account,
        number=1 if before is None else before.number + 1,
        state=CallState.ISSUED,
        trigger=trigger,
        amount=standing.needed,
        met=Decimal(0),
        is_provisional=standing.is_provisional,
        issued_at=at,
        due_at=agreement.due_at(at),
        sequence=standing.sequence,
        recognised_to=standing.sequence,
        snapshot_id=standing.snapshot_id,
        utilization=standing.utilization,
        last_notice=0 if before is None else before.last_notice,
    )
    return _changed(call, NoticeKind.ISSUED, at=at, by=by, reason=trigger.value)


def review(
    call: MarginCall, standing: CallStanding, *, least_increase: Decimal, at: datetime, by: str, may_press: bool
) -> CallChange | None:
    """Return what becomes of an open call by itself; None for nothing. One step at a time: whoever reviews asks again.

    What was delivered is recognised first; then whether the call is needed at all; only then is the client pressed, where `may_press`
    allows it, which breakers do not. The call is raised when the deficit has grown by `least_increase` or more; one that goes to the
    liquidation authority at that moment is raised by the same notice.
    """
    met = max(call.met + (standing.delivered or Decimal(0)), Decimal(0))
    recognised = replace(call, met=met, recognised_to=max(call.recognised_to, standing.sequence))
    if met >= call.amount:
        return _closed(recognised, CallState.MET, NoticeKind.MET, at=at, by=by)
    if not standing.is_called_for:
        end = (CallState.MET, NoticeKind.MET) if met else (CallState.RESCINDED, NoticeKind.RESCINDED)
        return _closed(recognised, *end, at=at, by=by)
    if met != call.met:
        state = CallState.ESCALATED if call.state is CallState.ESCALATED else CallState.PARTIALLY_MET
        return _changed(recognised, NoticeKind.PARTIALLY_MET, at=at, by=by, state=state)
    if call.is_provisional and not standing.is_provisional:
        return _changed(recognised, NoticeKind.CONFIRMED, at=at, by=by, is_provisional=False)
    if not may_press:
        return None
    return _pressed(recognised, standing, least_increase, at=at, by=by)


def escalate_overdue(call: MarginCall, *, at: datetime, by: str) -> CallChange | None:
    """Return an overdue call escalated; None for one that is not overdue, or provisional, or escalated already."""
    if not call.is_overdue(at) or call.is_provisional or call.state is CallState.ESCALATED:
        return None
    return _changed(call, NoticeKind.ESCALATED, at=at, by=by, reason=EscalationCause.OVERDUE.value, state=CallState.ESCALATED)


def acknowledge(call: MarginCall, *, at: datetime, by: str, text: str = "") -> CallChange:
    """Return a call that the client has; WRONG_CALL_STATE for one that waits for no word from him."""
    _check_state(call, {CallState.ISSUED, CallState.DISPUTED}, "acknowledge")
    return _changed(call, NoticeKind.ACKNOWLEDGED, at=at, by=by, text=check_text(text), state=CallState.ACKNOWLEDGED)


def dispute(call: MarginCall, reason: DisputeReason, *, at: datetime, by: str, text: str) -> CallChange:
    """Return a call that the client does not agree with; WRONG_CALL_STATE for a closed or an escalated one."""
    _check_state(call, OPEN_STATES - {CallState.ESCALATED}, "dispute")
    said = check_text(text, is_required=True)
    return _changed(call, NoticeKind.DISPUTED, at=at, by=by, reason=reason.value, text=said, state=CallState.DISPUTED)


def waive(call: MarginCall, *, at: datetime, by: str, text: str) -> CallChange:
    """Return a call that is not insisted on; WRONG_CALL_STATE for a closed one."""
    _check_state(call, OPEN_STATES, "waive")
    return _closed(call, CallState.WAIVED, NoticeKind.WAIVED, at=at, by=by, text=check_text(text, is_required=True))


def escalate(call: MarginCall, *, at: datetime, by: str, text: str) -> CallChange:
    """Return a call that goes to the liquidation authority; WRONG_CALL_STATE for a closed one, or one that is there."""
    _check_state(call, OPEN_STATES - {CallState.ESCALATED}, "escalate")
    cause, said = EscalationCause.PERSONS.value, check_text(text, is_required=True)
    return _changed(call, NoticeKind.ESCALATED, at=at, by=by, reason=cause, text=said, state=CallState.ESCALATED, is_provisional=False)


def check_open(call: MarginCall, verb: str) -> MarginCall:
    """Return a call that is open; WRONG_CALL_STATE otherwise."""
    _check_state(call, OPEN_STATES, verb)
    return call


def check_text(text: str, *, is_required: bool = False) -> str:
    """Return what somebody says of a call: at most 500 printable characters; INVALID_ARGUMENT for others, or where some are required."""
    if len(text) > LONGEST_TEXT or not (text.isprintable() or not text) or (is_required and not text.strip()):
        least = 1 if is_required else 0
        raise DomainError(
            Reason.INVALID_ARGUMENT,
            f"text was {text[:60]!r}; expected {least} to {LONGEST_TEXT} printable characters that tell others why",
            field="text",
            value=text[:60],
        )
    return text


def _pressed(call: MarginCall, standing: CallStanding, least_increase: Decimal, *, at: datetime, by: str) -> CallChange | None:
    asked = exact_sum((call.met, standing.needed))
    is_raised = asked - call.amount >= max(least_increase, Decimal("0.01"))
    if standing.is_past_the_line and call.state is not CallState.ESCALATED and not standing.is_provisional:
        # One notice: whoever has the authority wants the amount of now with it, and the client no second letter of the same moment.
        cause, amount = EscalationCause.LIQUIDATION_LINE.value, asked if is_raised else None
        return _changed(call, NoticeKind.ESCALATED, at=at, by=by, reason=cause, state=CallState.ESCALATED, amount=amount)
    if is_raised:
        # What was acknowledged was less than this.
        state = CallState.ISSUED if call.state is CallState.ACKNOWLEDGED else call.state
        return _changed(call, NoticeKind.INCREASED, at=at, by=by, amount=asked, state=state)
    return None


def _check_state(call: MarginCall, expected: frozenset[CallState] | set[CallState], verb: str) -> None:
    if call.state not in expected:
        names = ", ".join(sorted(state.value for state in expected))
        raise DomainError(
            Reason.WRONG_CALL_STATE,
            f"call {call.number} of {call.account} is {call.state.value}; to {verb} it, it must be one of: {names}",
            account=call.account,
            call=call.number,
            state=call.state.value,
            expected=names,
        )


def _closed(call: MarginCall, state: CallState, kind: NoticeKind, *, at: datetime, by: str, text: str = "") -> CallChange:
    return _changed(replace(call, closed_at=at), kind, at=at, by=by, text=text, state=state)


def _changed(
    call: MarginCall,
    kind: NoticeKind,
    *,
    at: datetime,
    by: str,
    reason: str = "",
    text: str = "",
    state: CallState | None = None,
    amount: Decimal | None = None,
    is_provisional: bool | None = None,
) -> CallChange:
    after = replace(
        call,
        state=call.state if state is None else state,
        amount=call.amount if amount is None else amount,
        is_provisional=call.is_provisional if is_provisional is None else is_provisional,
        last_notice=call.last_notice + 1,
    )
    notice = CallNotice(
        account=call.account,
        sequence=after.last_notice,
        call_number=call.number,
        kind=kind,
        at=at,
        by=by,
        state=after.state,
        amount=after.amount,
        met=after.met,
        due_at=after.due_at,
        reason=reason,
        text=text,
    )
    return CallChange(after, notice)
