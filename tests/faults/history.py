"""What was asked and what was answered, on one clock: the side of the story that the ledger is checked against."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, unique
from pathlib import Path
from typing import Any, Final

GRACE_S: Final = 1.0
"""How long after its deadline a call may still take to come back."""
STALL_S: Final = 90.0
"""No answer at all for so long is a finding: whatever was broken has been repaired long before."""


class StalledError(Exception):
    """The service stopped answering for good."""


@unique
class Outcome(Enum):
    """What an answer says of the operation."""

    BOOKED = "booked"
    REFUSED = "refused"
    REUSED = "reused"
    """The request id belongs to another request: said of a request that was altered on purpose, and a defect of any other."""
    UNKNOWN = "unknown"
    BUSY = "busy"
    UNEXPECTED = "unexpected"
    """A fault of the service's own, or an answer that none of its documents allows here."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that an operation moves.

    Attributes:
        reference: Finds its entry in the ledger.
        quantity: 0 when nobody but the service knows it.
        account: Whose ledger it is in; empty for the operation's own.
        about: What it refers to by number: the reservation that it fills, the trade that it takes back, the funding that it pays.
    """

    reference: str
    instrument_id: str
    quantity: Decimal
    account: str = ""
    about: int = 0


@dataclass(frozen=True, slots=True)
class Operation:
    """One write under one request id.

    Attributes:
        kind: Name of what is asked, such as deposit.
        account: Resource name.
        lines: What it moves; one entry each.
        is_altered: Whether it reuses the id of another with other content.
    """

    request_id: str
    kind: str
    account: str
    lines: tuple[Line, ...]
    is_altered: bool = False


@dataclass(frozen=True, slots=True)
class LineAnswer:
    """What an answer says of one line: the sequence it was booked under, or None for a refusal; and what is to be looked at about it."""

    sequence: int | None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to one call. Times are seconds on one monotonic clock."""

    operation: Operation
    replica: str
    invoked_at: float
    replied_at: float
    outcome: Outcome
    lines: tuple[LineAnswer, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Read:
    """One read of an account: as of which entry it was."""

    account: str
    invoked_at: float
    sequence: int


@dataclass(frozen=True, slots=True)
class Late:
    """A call that took longer than it was given, and a second."""

    what: str
    duration_s: float
    timeout_s: float

    def __str__(self) -> str:
        return f"{self.what} took {self.duration_s:.1f} s of {self.timeout_s:.1f} s"


@dataclass
class History:
    """Every invocation and reply, in memory and in a file of JSON lines that survives us.

    Attributes:
        acknowledged: Answers that booked something, duplicates included.
        timed: Calls whose duration was taken, reads and those of faults included.
        late: Answers that came later than their deadline and a second.
    """

    path: Path
    first_invoked: dict[str, float] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    altered: list[Operation] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    acknowledged: int = 0
    refused: int = 0
    timed: int = 0
    late: list[Late] = field(default_factory=list)
    longest_gap_s: float = 0.0
    _last_ack: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._file = self.path.open("w", buffering=1, encoding="utf-8")
        self._moved = asyncio.Event()

    def close(self) -> None:
        self._file.close()

    def invoked(self, operation: Operation, replica: str) -> float:
        """Note that a call is about to be made, and return when."""
        now = time.monotonic()
        if operation.is_altered:
            self.altered.append(operation)
        else:
            self.operations.setdefault(operation.request_id, operation)
            self.first_invoked.setdefault(operation.request_id, now)
        lines = [[line.reference, line.instrument_id, str(line.quantity)] for line in operation.lines]
        self._write("invoke", operation, replica, now, kind=operation.kind, account=operation.account, lines=lines)
        return now

    def replied(self, answer: Answer, *, timeout_s: float) -> None:
        """Note an answer."""
        self.answers.append(answer)
        self.note_duration(answer.operation.kind, answer.replied_at - answer.invoked_at, timeout_s=timeout_s)
        self._write(
            "reply",
            answer.operation,
            answer.replica,
            answer.replied_at,
            outcome=answer.outcome.value,
            sequences=[line.sequence for line in answer.lines],
            detail=answer.detail,
        )
        if answer.outcome is Outcome.BOOKED:
            self.acknowledged += 1
            self.longest_gap_s = max(self.longest_gap_s, answer.replied_at - self._last_ack)
            self._last_ack = answer.replied_at
        self.refused += answer.outcome is Outcome.REFUSED
        self._moved.set()

    def note_duration(self, what: str, duration_s: float, *, timeout_s: float) -> None:
        """Note how long a call took that was given `timeout_s`."""
        self.timed += 1
        if duration_s > timeout_s + GRACE_S:
            self.late.append(Late(what, duration_s, timeout_s))

    async def progress(self, count: int) -> None:
        """Return once `count` more answers have booked something; StalledError when that does not happen."""
        goal = self.acknowledged + count
        await self._until(lambda: self.acknowledged >= goal)

    async def refusals(self, count: int) -> None:
        """Return once `count` more answers have refused something; StalledError when that does not happen."""
        goal = self.refused + count
        await self._until(lambda: self.refused >= goal)

    async def _until(self, claim: Callable[[], bool]) -> None:
        known = -1
        while not claim():
            if known != (known := self.acknowledged + self.refused):
                give_up = time.monotonic() + STALL_S
            self._moved.clear()
            try:
                async with asyncio.timeout(max(give_up - time.monotonic(), 0)):
                    await self._moved.wait()
            except TimeoutError:
                so_far = f"{self.acknowledged} answers had booked something, {self.refused} refused"
                raise StalledError(f"no operation was decided for {STALL_S:.0f} s; {so_far}") from None

    def decided(self) -> set[str]:
        """Return the request ids whose outcome is known."""
        known = {Outcome.BOOKED, Outcome.REFUSED}
        return {answer.operation.request_id for answer in self.answers if answer.outcome in known and not answer.operation.is_altered}

    def undecided(self) -> list[Operation]:
        """Return the operations whose outcome nobody was told."""
        decided = self.decided()
        return [operation for request_id, operation in self.operations.items() if request_id not in decided]

    def unexpected(self) -> list[str]:
        """Return what no answer should have said, in words."""
        return [
            f"{answer.operation.kind} {answer.operation.request_id} on {answer.replica}: {answer.detail}"
            for answer in self.answers
            if answer.outcome is Outcome.UNEXPECTED or (answer.outcome is Outcome.REUSED and not answer.operation.is_altered)
        ]

    def _write(self, event: str, operation: Operation, replica: str, at: float, **more: Any) -> None:
        record = {
            "event": event,
            "at": round(at, 6),
            "id": operation.request_id,
            "replica": replica,
            "altered": operation.is_altered,
            **more,
        }
        self._file.write(json.dumps(record) + "\n")


def account_parts(name: str) -> tuple[str, str]:
    """Return client and account of a resource name."""
    _, client, _, account = name.split("/")
    return client, account


def references(operations: Iterable[Operation]) -> set[str]:
    """Return the references of all lines."""
    return {line.reference for operation in operations for line in operation.lines}
