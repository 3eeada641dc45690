"""What one person has asked for and a second one has to ask for as well before it takes effect."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, unique
from hashlib import sha256
from typing import Final

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import ClientId, PendingRequestId

LIFETIME: Final = timedelta(hours=24)
"""How long a request waits for its second person."""
_ID_DIGITS: Final = 16


@unique
class PendingState(Enum):
    """What has become of a request. It ends once, and expires by the clock of the storage without anybody doing anything."""

    AWAITING = "awaiting"
    """A second person has to ask for the same."""
    CONFIRMED = "confirmed"
    """A second person did, and it took effect."""
    CANCELLED = "cancelled"
    """Somebody ended it before; nothing happened."""
    EXPIRED = "expired"
    """Nobody came in time; nothing happened."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for. Two persons ask for the same when all of this is equal.

    Attributes:
        verb: The call, such as `SetLimits`.
        words: All that it asks for, in words. What the second person reads is what is compared.
        client_id: The client it is about; None for the house.
    """

    verb: str
    words: str
    client_id: ClientId | None


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """What somebody asked for, and what has become of it.

    Attributes:
        asked_at: When, by the clock of the storage; None before it is stored.
        expires_at: From when on nobody can confirm it, `LIFETIME` later.
        ended_by: Who confirmed or cancelled it; empty while it waits, and when it expired.
    """

    pending_id: PendingRequestId
    asked: Asked
    asked_by: str
    asked_at: datetime | None = None
    expires_at: datetime | None = None
    state: PendingState = PendingState.AWAITING
    ended_by: str = ""
    ended_at: datetime | None = None

    def confirm(self, asked: Asked, *, by: str) -> Confirmation:
        """Return the agreement of a second person who asks for the same.

        Raises:
            DomainError: FOUR_EYES_REQUIRED for whoever asked first; PENDING_REQUEST_DIFFERS for another call or other words;
                PENDING_REQUEST_ENDED when it was confirmed, cancelled or has expired.
        """
        if by == self.asked_by:
            raise DomainError(
                Reason.FOUR_EYES_REQUIRED,
                f"{by} asked for {self.pending_id} and cannot confirm it too; expected somebody else",
                pending_request=self.pending_id,
                asked_by=self.asked_by,
                principal=by,
            )
        self.check_awaits()
        if asked != self.asked:
            raise DomainError(
                Reason.PENDING_REQUEST_DIFFERS,
                f"{self.pending_id} is to {self.asked.words}; this call was to {asked.words}; send exactly what was asked for",
                pending_request=self.pending_id,
                expected=self.asked.words,
                value=asked.words,
            )
        return Confirmation(Persons(self.asked_by, by), PendingEnd(self.pending_id, PendingState.CONFIRMED, by))

    def cancel(self, *, by: str) -> PendingEnd:
        """Return its end without effect; PENDING_REQUEST_ENDED when it has ended already."""
        self.check_awaits()
        return PendingEnd(self.pending_id, PendingState.CANCELLED, by)

    def check_awaits(self) -> None:
        """Return if it still waits; PENDING_REQUEST_ENDED otherwise."""
        if self.state is not PendingState.AWAITING:
            by = f" by {self.ended_by}" if self.ended_by else ""
            raise DomainError(
                Reason.PENDING_REQUEST_ENDED,
                f"{self.pending_id} is {self.state.value}{by}; ask for it anew",
                pending_request=self.pending_id,
                state=self.state.value,
                ended_by=self.ended_by,
            )


@dataclass(frozen=True, slots=True)
class PendingEnd:
    """The end of a pending request, to be stored only if it still waits then."""

    pending_id: PendingRequestId
    state: PendingState
    by: str


@dataclass(frozen=True, slots=True)
class Persons:
    """Two who have asked for the same.

    >>> str(Persons("alice", "bob"))
    'alice and bob'
    """

    asked_by: str
    confirmed_by: str

    def __str__(self) -> str:
        return f"{self.asked_by} and {self.confirmed_by}"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """That two persons have asked for the same; `end` goes into the same decision as what they asked for."""

    persons: Persons
    end: PendingEnd


def ask_first(asked: Asked, *, by: str, request_id: str) -> PendingRequest:
    """Return what waits for a second person. The same person, call and request id give the same name, so a retry is no second request."""
    digest = sha256()
    for part in (by, asked.verb, request_id):
        digest.update(len(part.encode()).to_bytes(4, "big") + part.encode())
    return PendingRequest(PendingRequestId(digest.hexdigest()[:_ID_DIGITS]), asked, asked_by=by)
