"""The write path: what is decided at most once, and written together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from crossmargin.domain.account import Account, AccountHead, Client
from crossmargin.domain.book import Entry
from crossmargin.domain.call_agreement import CallAgreement
from crossmargin.domain.call_life import CallNotice, MarginCall
from crossmargin.domain.collateral import AccountCollateralPolicy
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.halt import Halt
from crossmargin.domain.identifiers import AccountRef, SnapshotId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.liquidation_life import Liquidation, LiquidationStep
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.methodology import AccountMethodology
from crossmargin.domain.parameter_governance import GovernanceChange, GovernedParameters
from crossmargin.domain.pending_request import PendingEnd, PendingRequest
from crossmargin.domain.reconciliation import BreakNote, ReconciledStatement
from crossmargin.domain.reservation import Reservation
from crossmargin.usecases.ports.books import Books


@dataclass(frozen=True, slots=True)
class PublishedSnapshot:
    """A market snapshot, and the one that its pegs follow from.

    Attributes:
        before: The one stored last of the latest time before its own; None for the first.
    """

    snapshot: MarketSnapshot
    before: SnapshotId | None


class PrecedingSnapshotChangedError(Exception):
    """Another snapshot comes before one that is to be stored than the one its pegs follow from. Nothing was written."""


@dataclass(frozen=True, slots=True)
class UnderLead:
    """A condition and no content: what else is decided is written only while no lead is later than this one (see `Leadership.epoch`)."""

    epoch: int


Record: TypeAlias = (
    Client
    | Account
    | Instrument
    | AccountCollateralPolicy
    | PublishedSnapshot
    | GovernedParameters
    | GovernanceChange
    | ExposureLimits
    | Halt
    | ReconciledStatement
    | BreakNote
    | AccountMethodology
    | CallAgreement
    | MarginCall
    | CallNotice
    | Liquidation
    | LiquidationStep
    | UnderLead
    | PendingRequest
    | PendingEnd
)


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """One write that is decided at most once.

    Attributes:
        principal: Who asks; a key belongs to a principal and a method.
        key: The caller's request id.
        request_hash: SHA-256 of the canonical request; the same key with another hash is refused.
        accounts: Accounts to lock, in any order; each must exist.
        is_fact: True for what has happened already, which is booked whatever the state; False for a request, which a halt refuses.
        reservations: Reservations of the accounts, by sequence, that a decision on books is to see even though they have ended.
    """

    principal: str
    method: str
    key: str
    request_hash: bytes
    accounts: tuple[AccountRef, ...] = ()
    is_fact: bool = True
    reservations: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What a write came to.

    Attributes:
        entries: To append, already chained to the locked heads (see `append_to_chain`).
        records: To create. A record that is there already with the same content is left alone; with another content the write is
            refused with ALREADY_EXISTS (policies, methodologies, limits and halts are replaced instead). A change of governance whose
            premises have changed meanwhile is refused with PARAMETERS_CHANGED, and the end of a pending request that has ended meanwhile
            with PENDING_REQUEST_ENDED. A halt waits until every request that began before it has ended.
        reservations: New ones, and others as they are from now on.
        response: Canonical bytes of the answer, stored under the key and returned to whoever asks again.
    """

    response: bytes
    entries: tuple[Entry, ...] = ()
    records: tuple[Record, ...] = ()
    reservations: tuple[Reservation, ...] = ()


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """The answer to a write. `replayed` is True when the key had been decided before."""

    response: bytes
    replayed: bool


Decide: TypeAlias = Callable[[Mapping[AccountRef, AccountHead]], Awaitable[Decision]]
"""Called with the locked heads; may run more than once (each time from scratch), so it changes nothing outside itself."""


DecideOnBooks: TypeAlias = Callable[[Books], Awaitable[Decision]]
"""Called with the books as they are under the locks; may run more than once, so it changes nothing outside itself."""


class Writer(Protocol):
    """The write path: reserve the key, lock the accounts in order, decide, write, commit, and only then answer."""

    async def write(self, request: WriteRequest, decide: Decide) -> WriteOutcome:
        """Return the stored answer of the key, or decide and store one.

        Raises:
            PrecedingSnapshotChangedError: For a snapshot whose pegs follow from one that is not the one before it any more.
            DomainError: REQUEST_ID_REUSED for a known key with another request; HALTED for a request while the house is halted;
                UNKNOWN_ACCOUNT; UNKNOWN_CLIENT or UNKNOWN_INSTRUMENT for a record that refers to one; ALREADY_EXISTS;
                PARAMETERS_CHANGED; INVALID_DECIMAL when a position would outgrow the ledger; SERVICE_BUSY when nothing happened;
                STORAGE_UNAVAILABLE when the outcome may be unknown; and whatever `decide` raises. On every error but
                STORAGE_UNAVAILABLE this call has written nothing.
            ValueError: Entries of the decision do not continue the chains of their accounts; nothing is written.
        """
        ...

    async def decide(self, request: WriteRequest, decide: DecideOnBooks) -> WriteOutcome:
        """Do as `write`, but decide on everything the accounts hold, read after they were locked and before anybody else can move them.

        A halt does not refuse the request here: it is among the books, so that the refusal can be an outcome bound to the key. From the
        reading to the commit nobody can halt. Other accounts of a client that has limits over all of them are locked as well, unless a
        fact is decided. Positions are read for a request, and for a fact where there are limits to hold them against.

        Facts about one account without limits that name no reservation may be decided together with others of their principal, in the order
        in which they came; what comes of each is what would have come of it alone. A decision that waits for something is made anew, alone.

        Raises:
            DomainError: As `write`, except HALTED.
            ValueError: As `write`.
        """
        ...
