"""What the use cases need of the outside world. `adapters/memory` and `adapters/postgres` pass one contract suite."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol, TypeAlias, TypeVar

from crossmargin.domain.account import Account, AccountHead, Client
from crossmargin.domain.audit_anchor import Anchor, AnchoredHead
from crossmargin.domain.audit_event import AuditEvent
from crossmargin.domain.band_memory import BandState
from crossmargin.domain.book import Entry
from crossmargin.domain.breaker import Breaker, BreakerKind
from crossmargin.domain.call_agreement import Agreements, CallAgreement
from crossmargin.domain.call_life import CallNotice, MarginCall
from crossmargin.domain.client_scope import WHOLE_HOUSE, ClientScope
from crossmargin.domain.collateral import AccountCollateralPolicy, CollateralPolicy
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.halt import Halt
from crossmargin.domain.house import HouseView
from crossmargin.domain.identifiers import (
    AccountId,
    AccountRef,
    BookId,
    ClientId,
    HouseViewId,
    InstrumentId,
    PendingRequestId,
    RiskParameterSetId,
    SnapshotId,
    SourceId,
)
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.ledger_audit import Finding, RecordedEntry, StoredEntry, StoredPosition, UnreadableAnchor
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.margin_history import HistoryTiers, MarginPoint, StoredPoint
from crossmargin.domain.market import FactorHistory, FactorId, MarketSnapshot
from crossmargin.domain.methodology import AccountMethodology
from crossmargin.domain.parameter_governance import Activation, Governance, GovernanceChange, GovernedParameters
from crossmargin.domain.pending_request import PendingEnd, PendingRequest, PendingState
from crossmargin.domain.position import Position
from crossmargin.domain.projection import ProjectionDifference
from crossmargin.domain.quote import Quote, SourceProgress
from crossmargin.domain.reconciliation import Agreement, Break, BreakNote, BreakState, HeldThen, HoldingName, ReconciledStatement
from crossmargin.domain.reservation import Reservation, ReservationStatus
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.domain.trade_flag import TradeFlag

T = TypeVar("T")
S = TypeVar("S")
B = TypeVar("B")


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


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account's head, positions and policies as of one ledger entry, read together."""

    account: Account
    head: AccountHead
    positions: tuple[Position, ...]
    policies: Mapping[InstrumentId, CollateralPolicy] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MarketVersion:
    """What a revalued market was made of: two of them are equal when nothing of it has changed in between.

    Attributes:
        parameters: Changes with every change of which risk parameters are in force, and when.
        instruments: See `InstrumentReader.instruments_version`. history: See `MarketStore.history_version`.
    """

    snapshot_id: SnapshotId | None
    parameters: int
    instruments: int
    history: int


@dataclass(frozen=True, slots=True)
class Books:
    """What a decision is made on, all of one moment.

    Attributes:
        states: The accounts asked for, and with a limit on all accounts of a client together its other accounts too.
        reservations: Of each account in `states`, those that have not ended, and those that were asked for by name; in sequence.
        limits: On these accounts and their clients.
        halts: Of the house and of these clients, where they are halted now; none are looked for when a fact is decided.
        now: The moment, by the clock of the storage.
        market_version: Of the market at that moment.
    """

    states: Mapping[AccountRef, AccountState]
    reservations: Mapping[AccountRef, tuple[Reservation, ...]]
    limits: tuple[ExposureLimits, ...]
    halts: tuple[Halt, ...]
    now: datetime
    market_version: MarketVersion


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

        Raises:
            DomainError: As `write`, except HALTED.
            ValueError: As `write`.
        """
        ...


@dataclass(frozen=True, slots=True)
class BookedEntry:
    """An entry, and what has become of it. `reversed_by` is the sequence of the entry that takes it back, if one does."""

    entry: Entry
    reversed_by: int | None = None


@dataclass(frozen=True, slots=True)
class InstrumentPositions:
    """What the books of an account hold of one instrument, by book, as of a time; `sequence` is the last entry that was looked at."""

    sequence: int
    positions: tuple[Position, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list: at most `size` items whose names come after `after` (None starts at the beginning)."""

    size: int
    after: str | None = None


@dataclass(frozen=True, slots=True)
class BookedEvent:
    """A lifecycle event that is in an account's books, under the name it is stored by, and when it took effect."""

    account: AccountRef
    name: str
    effective_at: datetime


class LedgerReader(Protocol):
    """Reads of the entries of an account, and of what was held because of them."""

    async def account_sequence(self, ref: AccountRef) -> int:
        """Return the last sequence of an account, open or closed; UNKNOWN_ACCOUNT if there is none. Cheap enough to poll."""
        ...

    async def sequence_recorded_before(self, ref: AccountRef, moment: datetime) -> int:
        """Return the last sequence that was written before a moment of the storage's clock, 0 for none; UNKNOWN_ACCOUNT."""
        ...

    async def list_entries(self, ref: AccountRef, *, after_sequence: int, limit: int) -> Sequence[Entry]:
        """Return entries of an account in sequence order; UNKNOWN_ACCOUNT if there is no such account."""
        ...

    async def get_entry(self, ref: AccountRef, sequence: int) -> BookedEntry | None:
        """Return an entry of an account; None when the account, which may not exist, has none of this number."""
        ...

    async def list_trades(
        self, ref: AccountRef, *, book_id: BookId | None, instrument_id: InstrumentId | None, after_sequence: int, limit: int
    ) -> Sequence[BookedEntry]:
        """Return entries of trades in sequence order, of one book or of all, in one instrument or in all; UNKNOWN_ACCOUNT."""
        ...

    async def event_entries(self, ref: AccountRef, event: str) -> Sequence[BookedEntry]:
        """Return the entries of an account that book the lifecycle event of this name, oldest first."""
        ...

    async def booked_events(self, instrument_id: InstrumentId, *, since: datetime) -> Sequence[BookedEvent]:
        """Return the events of an instrument that took effect since a time and have not been taken back, in all accounts, by account."""
        ...

    async def unsettled_trades(self, ref: AccountRef, *, settle_date: date) -> Sequence[Entry]:
        """Return the trades that settle on this day or before it and have been neither settled nor cancelled, oldest first."""
        ...

    async def instrument_positions(self, ref: AccountRef, instrument_id: InstrumentId, *, until: datetime) -> InstrumentPositions:
        """Return what was held at a time: the sum of the entries that took effect by then, whenever they were booked; UNKNOWN_ACCOUNT."""
        ...

    async def accounts_with(self, instrument_id: InstrumentId) -> Sequence[AccountRef]:
        """Return the accounts that hold an instrument or ever held it, in the order of their names."""
        ...


class BookReader(LedgerReader, Protocol):
    """Reads of clients, accounts and what they hold."""

    async def get_client(self, client_id: ClientId) -> Client:
        """Return a client; UNKNOWN_CLIENT if there is none."""
        ...

    async def list_clients(self, page: Page, *, scope: ClientScope = WHOLE_HOUSE) -> Sequence[Client]:
        """Return the clients inside a scope, in the order of their ids."""
        ...

    async def get_account(self, ref: AccountRef) -> Account:
        """Return an account; UNKNOWN_ACCOUNT if there is none."""
        ...

    async def list_accounts(self, client_id: ClientId | None, page: Page, *, scope: ClientScope = WHOLE_HOUSE) -> Sequence[Account]:
        """Return accounts of a client, or of all inside a scope, in the order of their full names; `page.after` is a full name."""
        ...

    async def account_state(self, ref: AccountRef) -> AccountState:
        """Return what an account holds, consistent with one ledger sequence; UNKNOWN_ACCOUNT if there is none."""
        ...

    async def account_state_at(self, ref: AccountRef, sequence: int) -> AccountState:
        """Return what an account held as of one of its entries, added up from the postings up to it; 0 is before the first.

        Raises:
            DomainError: UNKNOWN_ACCOUNT; SEQUENCE_NOT_REACHED when there is no such entry yet.
        """
        ...

    async def read_books(self, *refs: AccountRef) -> Books:
        """Return what a decision on accounts would be made on now, as of one moment, without any lock; UNKNOWN_ACCOUNT."""
        ...

    async def list_reservations(self, ref: AccountRef, *, after_sequence: int, limit: int) -> Sequence[Reservation]:
        """Return reservations of an account in sequence order, ended ones included; UNKNOWN_ACCOUNT if there is no such account."""
        ...

    async def overdue_reservations(self, *, limit: int) -> Sequence[Reservation]:
        """Return immediate ones whose time is over and whose end is not in the ledger yet, of any account: what the reaper tidies."""
        ...

    async def count_open_reservations(self) -> Mapping[ReservationStatus, int]:
        """Return how many reservations of all accounts are active, and how many are suspect, by the storage's clock."""
        ...

    async def halts_in_force(self) -> Sequence[Halt]:
        """Return the halts of now, that of the house first, those of clients by their names."""
        ...

    async def get_halt(self, client_id: ClientId | None) -> Halt:
        """Return whether a client, or with None the house, is halted; what was never halted is not, whether or not it exists."""
        ...

    async def get_limits(self, client_id: ClientId, account_id: AccountId | None) -> ExposureLimits:
        """Return the limits of an account, or with None of a client; what was never limited has none."""
        ...

    async def account_sequences(self) -> Mapping[AccountRef, int]:
        """Return the last sequence of every open account: what the monitor polls."""
        ...


@dataclass(frozen=True, slots=True)
class HeadsRead:
    """The heads of all accounts, read together, in the order of their names; `taken_at` is the database's clock just after."""

    taken_at: datetime
    heads: tuple[AnchoredHead, ...]


class AnchorStore(Protocol):
    """Anchors inside the database, and the heads they speak of. Anchors are only ever added."""

    async def read_heads(self) -> HeadsRead:
        """Return where every account's chain stands."""
        ...

    async def anchors_from_checkpoint(self, before: datetime | None = None) -> Sequence[Anchor]:
        """Return the latest checkpoint and what follows it, by number, none taken after `before`; empty when there is no checkpoint.

        Raises:
            ValueError: What is stored is no anchor.
        """
        ...

    async def anchors_after(self, number: int, *, limit: int) -> Sequence[Anchor]:
        """Return anchors by number, those after `number`; ValueError as above."""
        ...

    async def append_anchor(self, anchor: Anchor) -> bool:
        """Return True when the anchor is stored; False, and nothing stored, when its number is taken."""
        ...


class AnchorJournal(Protocol):
    """Where anchors go that an attacker of the database cannot reach."""

    async def last_anchor(self) -> Anchor | None:
        """Return the last anchor written; None for none. ValueError when what is there cannot be read."""
        ...

    async def append(self, anchor: Anchor) -> None:
        """Write an anchor, and return once it will survive a power cut."""
        ...


@dataclass(frozen=True, slots=True)
class BreakFilter:
    """Which breaks to list; what is empty or None chooses all, and the scope of whoever asks is all that there is for him."""

    source: str = ""
    statement_id: str = ""
    account: AccountRef | None = None
    state: BreakState | None = None
    scope: ClientScope = WHOLE_HOUSE


class ReconciliationStore(Protocol):
    """Statements as they were reconciled, and their breaks."""

    async def held_at(self, accounts: Sequence[AccountRef], moment: datetime) -> Mapping[AccountRef, HeldThen]:
        """Return what accounts held at a moment, by the entries that had taken effect by then; UNKNOWN_ACCOUNT."""
        ...

    async def last_agreements(self, source: str, before: datetime, names: Sequence[HoldingName]) -> Mapping[HoldingName, Agreement]:
        """Return when earlier statements of a source last agreed about holdings, of those that ever did."""
        ...

    async def find_statement(self, statement_id: str) -> ReconciledStatement | None:
        """Return a statement as it was reconciled; None when it was not. Its lines come in the order of their names."""
        ...

    async def list_breaks(self, chosen: BreakFilter, page: Page) -> Sequence[Break]:
        """Return breaks in the order of their keys, which `page.after` is one of."""
        ...

    async def get_break(self, statement_id: str, account: AccountRef, instrument_id: InstrumentId) -> Break:
        """Return a break with its last note; UNKNOWN_BREAK."""
        ...


@dataclass(frozen=True, slots=True)
class PendingFilter:
    """Which pending requests to list; what is None chooses all."""

    client_id: ClientId | None = None
    state: PendingState | None = None


class PendingRequests(Protocol):
    """What one person has asked for and a second one has to, and what has become of it."""

    async def get_pending(self, pending_id: PendingRequestId) -> PendingRequest:
        """Return a pending request as it stands now; UNKNOWN_PENDING_REQUEST if there is none."""
        ...

    async def list_pending(self, chosen: PendingFilter, page: Page) -> Sequence[PendingRequest]:
        """Return pending requests, oldest first; `page.after` is a `pending_key`."""
        ...


def pending_key(pending: PendingRequest) -> str:
    """Return the key of a stored pending request in lists: the time to the microsecond, and its name."""
    asked_at = "" if pending.asked_at is None else pending.asked_at.isoformat(timespec="microseconds")
    return f"{asked_at} {pending.pending_id}"


@dataclass(frozen=True, slots=True)
class StoredAuditEvent:
    """An event of the audit trail, and its number there: later ones have greater numbers."""

    number: int
    event: AuditEvent


class AuditTrail(Protocol):
    """Who was turned away, and who looked at what is not his own. Events are only ever added."""

    async def append(self, events: Sequence[AuditEvent]) -> None:
        """Store events, all or none, and return once they are durable.

        Raises:
            DomainError: SERVICE_BUSY or STORAGE_UNAVAILABLE; in the latter case they may have been stored.
        """
        ...

    async def list_events(self, *, after: int, limit: int) -> Sequence[StoredAuditEvent]:
        """Return events in the order of their numbers, those after a number."""
        ...


class LedgerChecks(Protocol):
    """What the storage can add up by itself."""

    async def unbalanced_entries(self, after: Mapping[AccountRef, int]) -> Sequence[Finding]:
        """Return a finding for each entry, after the sequence given for its account, whose postings do not sum to zero."""
        ...

    async def heads_off_their_entries(self, accounts: Mapping[AccountRef, int]) -> Sequence[Finding]:
        """Return a finding for each of the accounts whose head is not its last entry."""
        ...


class Projections(Protocol):
    """Tables that follow from the ledger, compared with it and built from it anew."""

    @property
    def names(self) -> tuple[str, ...]:
        """The projections there are: `position`, `reservation`."""
        ...

    async def differences(self, name: str, accounts: Sequence[AccountRef]) -> Sequence[ProjectionDifference]:
        """Return the rows of accounts that are not what the ledger says. Writers may go on meanwhile."""
        ...

    async def rebuild(self, name: str, account: AccountRef) -> Sequence[ProjectionDifference]:
        """Replace what is stored for an account by what the ledger says, under the account's lock, and return what was different.

        Raises:
            DomainError: UNKNOWN_ACCOUNT.
        """
        ...


class LedgerView(Protocol):
    """Everything that is stored of the ledger, as of one moment, however much is written meanwhile. Batches bound the memory it takes.

    Names come in the order of their bytes, clients before accounts.
    """

    @property
    def taken_at(self) -> datetime:
        """The moment, by the clock of the database."""
        ...

    def heads(self) -> AsyncIterator[Sequence[AnchoredHead]]:
        """Yield the heads in the order of their names."""
        ...

    def entries(self) -> AsyncIterator[Sequence[StoredEntry]]:
        """Yield the entries in the order of account and sequence, with their legs."""
        ...

    def positions(self) -> AsyncIterator[Sequence[StoredPosition]]:
        """Yield the positions in the order of account, book and instrument."""
        ...

    def reservation_differences(self) -> AsyncIterator[Sequence[ProjectionDifference]]:
        """Yield the reservations, of accounts with or without a head, that are stored otherwise than the entries say."""
        ...

    def anchors(self) -> AsyncIterator[Sequence[Anchor | UnreadableAnchor]]:
        """Yield the anchors by number."""
        ...

    async def posting_count(self) -> int:
        """Return how many postings there are, those without an entry included."""
        ...

    async def details_count(self) -> int:
        """Return how many entries have details stored, those that are not there themselves included."""
        ...

    async def recorded(self, heads: Sequence[AnchoredHead]) -> Sequence[RecordedEntry | None]:
        """Return what is stored for the entry of each head; None where there is none."""
        ...


class InstrumentReader(Protocol):
    """Reads of reference data."""

    async def get_instruments(self, names: Sequence[InstrumentId]) -> Mapping[InstrumentId, Instrument]:
        """Return those of the instruments that exist."""
        ...

    async def list_instruments(self, page: Page) -> Sequence[Instrument]:
        """Return instruments in the order of their ids."""
        ...

    async def instruments_version(self) -> int:
        """Return a number that grows whenever an instrument is created; caches compare it."""
        ...


@dataclass(frozen=True, slots=True)
class ScenarioRecipe:
    """What a scenario set was built from, so that it can be built again.

    Attributes:
        content_hash: Of the scenario set.
        history_version: The history as it was after so many imports.
        factors: The factors asked for, sorted.
    """

    content_hash: str
    history_version: int
    parameter_set_id: RiskParameterSetId
    factors: tuple[FactorId, ...]


class MarketStore(Protocol):
    """Snapshots, factor history in all its versions, what scenario sets were built from, and views over the house."""

    async def latest_snapshot(self) -> MarketSnapshot:
        """Return the snapshot with the latest as_of; NO_MARKET_SNAPSHOT if there is none."""
        ...

    async def latest_snapshot_id(self) -> SnapshotId | None:
        """Return the id of the snapshot with the latest as_of without reading it; None if there is none."""
        ...

    async def snapshot_before(self, moment: datetime) -> MarketSnapshot | None:
        """Return the snapshot with the latest as_of before a moment, of several at one time the one stored last; None if there is none."""
        ...

    async def get_snapshot(self, snapshot_id: SnapshotId) -> MarketSnapshot:
        """Return a snapshot; UNKNOWN_SNAPSHOT if there is none."""
        ...

    async def import_history(self, history: FactorHistory) -> int:
        """Store levels, replacing those of the same factor and date; return how many levels were stored."""
        ...

    async def load_history(self, factors: Sequence[FactorId] | None = None, *, version: int | None = None) -> FactorHistory:
        """Return the history of some factors, or of all, as of a version or the latest; factors without any are absent."""
        ...

    async def market_version(self) -> MarketVersion:
        """Return what a market revalued now would be made of; caches compare it."""
        ...

    async def history_version(self) -> int:
        """Return a number that grows with every import; caches compare it."""
        ...

    async def record_scenarios(self, recipe: ScenarioRecipe) -> None:
        """Keep what a scenario set was built from; the first recipe of a set is kept, another changes nothing."""
        ...

    async def scenario_recipe(self, content_hash: str) -> ScenarioRecipe:
        """Return what a scenario set was built from; UNKNOWN_SCENARIO_SET if none of this content ever was."""
        ...

    async def record_house_view(self, view: HouseView) -> None:
        """Keep a view over all accounts; from now on it is the latest. The one that is the latest already changes nothing."""
        ...

    async def latest_house_view_id(self) -> HouseViewId | None:
        """Return the id of the view that was recorded last without reading it; None if there is none."""
        ...

    async def get_house_view(self, view_id: HouseViewId) -> HouseView:
        """Return a view; UNKNOWN_HOUSE_VIEW if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class QuoteBatch:
    """What one source has sent at once.

    Attributes:
        sequences: Of every quote in it, in the order they came, also of those that were refused.
        accepted: The quotes that were not refused.
    """

    source: SourceId
    sequences: tuple[int, ...]
    accepted: tuple[Quote, ...]


class QuoteStore(Protocol):
    """The last word of every source on every subject, and how far each source has come."""

    async def record_quotes(self, batch: QuoteBatch) -> tuple[SourceProgress, SourceProgress]:
        """Store what continues its source, durably, and return the source's progress before and after.

        Of the accepted quotes those count whose sequence is new (see `new_sequences`); of each subject the last. What a source has said
        already changes nothing, so a batch may be sent again. Batches of one source wait for one another.
        """
        ...

    async def progress_of(self, source: SourceId) -> SourceProgress:
        """Return how far a source has come; a source that nobody has heard of is at the beginning."""
        ...

    async def latest_quotes(self) -> Sequence[Quote]:
        """Return the last quote of every source for every subject, in the order of subjects and sources."""
        ...


class BreakerStore(Protocol):
    """Where the breakers stand, for every process."""

    async def list_breakers(self) -> Sequence[Breaker]:
        """Return every breaker, in the order of their kinds; whoever calls margin or liquidates asks before (see `paused_by`)."""
        ...

    async def trip(self, kind: BreakerKind, *, at: datetime, cause: str) -> bool:
        """Trip a breaker; return False, and change nothing, if it was tripped already."""
        ...

    async def reset(self, kind: BreakerKind, *, at: datetime, by: str, note: str) -> bool:
        """Reset a breaker; return False, and change nothing, if it was not tripped."""
        ...


class LeadershipLostError(Exception):
    """Another process leads by now; nothing was written."""


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Which points of an account to list, by when they were recorded: from `start` on and before `end`; None for no such bound."""

    start: datetime | None = None
    end: datetime | None = None


class MarginHistory(Protocol):
    """What house runs found, over time, and the band that each account was last held to be in."""

    async def record_run(self, points: Sequence[MarginPoint], *, epoch: int) -> None:
        """Store one house run, all of its points or none, and with them the bands of its accounts.

        The points share everything of their stamps but account, sequence and methodology. None is a run of no accounts, which is not kept.

        Raises:
            LeadershipLostError: Another process has become the leader since `epoch` began; nothing is stored.
            DomainError: SERVICE_BUSY or STORAGE_UNAVAILABLE; after the latter the run may be stored.
            ValueError: The points are not of one run.
        """
        ...

    async def bands(self) -> Mapping[AccountRef, BandState]:
        """Return where every account was held to be by the last run that margined it."""
        ...

    async def band_of(self, ref: AccountRef) -> BandState | None:
        """Return where an account was last held to be; None when no run has margined it, or there is no such account."""
        ...

    async def list_points(self, ref: AccountRef, chosen: HistoryFilter, *, after_run: int, limit: int) -> Sequence[StoredPoint]:
        """Return points of an account, oldest first, of runs after the number given; UNKNOWN_ACCOUNT."""
        ...

    async def thin(self, tiers: HistoryTiers) -> int:
        """Take out the points of runs that are too many for their age, but those at which a band changed; return how many runs were."""
        ...


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which margin calls to list; what is None chooses all.

    Attributes:
        account: Of this account only; it is one of the client's. only_open: Those alone of which something is still to come.
    """

    client_id: ClientId | None = None
    account: AccountRef | None = None
    only_open: bool = False


class CallStore(Protocol):
    """Margin calls, what happened to them, and what was agreed about them. They are written by decisions (see `Record`)."""

    async def get_call(self, ref: AccountRef, number: int) -> MarginCall:
        """Return a call as it stands; UNKNOWN_CALL."""
        ...

    async def last_call(self, ref: AccountRef) -> MarginCall | None:
        """Return the last call of an account, open or closed; None when it never had one."""
        ...

    async def last_calls(self) -> Mapping[AccountRef, MarginCall]:
        """Return the last call of every account that ever had one."""
        ...

    async def list_calls(self, chosen: CallFilter, page: Page) -> Sequence[MarginCall]:
        """Return calls in the order of account and number; `page.after` is a `call_key`."""
        ...

    async def list_notices(
        self, ref: AccountRef, *, after_sequence: int, limit: int, call_number: int | None = None
    ) -> Sequence[CallNotice]:
        """Return notices of an account, of all of its calls or of one, in the order of their numbers; UNKNOWN_ACCOUNT."""
        ...

    async def deliveries(self, ref: AccountRef, *, after_sequence: int, until_sequence: int) -> Mapping[InstrumentId, Decimal]:
        """Return what deposits and transfers between two entries brought in, less what was taken out; what nets to nothing is there too."""
        ...

    async def agreements(self) -> Agreements:
        """Return every agreement that was ever set, by client and account."""
        ...


def call_key(call: MarginCall) -> str:
    """Return what margin calls are listed in the order of.

    Client and account keep their own order, whatever their lengths, and numbers of one account theirs.
    """
    return f"{call.account.client_id} {call.account.account_id} {call.number:012d}"


class ParameterStore(Protocol):
    """Sets of risk parameters, and where each stands."""

    async def get_parameters(self, set_id: RiskParameterSetId) -> RiskParameters:
        """Return a set; UNKNOWN_RISK_PARAMETERS if there is none."""
        ...

    async def get_governance(self, set_id: RiskParameterSetId) -> Governance:
        """Return where a set stands; UNKNOWN_RISK_PARAMETERS if there is none."""
        ...

    async def list_governance(self, page: Page) -> Sequence[Governance]:
        """Return where sets stand, in the order of their ids."""
        ...

    async def activations(self) -> Sequence[Activation]:
        """Return every activation there ever was, by time, and those of one time in the order they were made (see `in_force`)."""
        ...


class Clock(Protocol):
    """Time, handed in."""

    def now(self) -> datetime:
        """Return the present moment in UTC, with its time zone."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        ...


class ComputePool(Protocol):
    """Runs numpy work where it does not hold up the event loop."""

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises."""
        ...

    def over_blocks(self, shared: S, work: Callable[[S, B], T], blocks: Iterable[B]) -> AsyncGenerator[T]:
        """Yield `work(shared, block)` for each block, in their order, and raise what the first that fails raises.

        A few blocks are under way at once, and never all of them. Whoever stops reading stops the work: what has not begun never does.
        Blocks may be worked on in other processes, so `work` is a function of a module and everything else can be pickled; what they
        share is sent to each of them once. The results do not depend on where they were worked out.
        """
        ...


class QuoteMetrics(Protocol):
    """Where the quality of the market is published."""

    def quotes_received(self, source: SourceId, *, accepted: int, replayed: int, refused: int, missed: int) -> None:
        """Count what came of the quotes of one batch, and the sequences that the source jumped over."""
        ...

    def snapshot_built(self, snapshot: MarketSnapshot) -> None:
        """Publish how many levels and marks of a snapshot can be believed how far, which levels cannot, and how its stablecoins stand."""
        ...

    def withdraw_market(self) -> None:
        """Stop publishing the quality of a market: this process no longer builds it."""
        ...


class BreakerReports(Protocol):
    """Where people learn of breakers."""

    def breaker_tripped(self, kind: BreakerKind, cause: str) -> None:
        """Say that a breaker has just tripped, and for what."""
        ...

    def breakers_seen(self, breakers: Sequence[Breaker]) -> None:
        """Publish where every breaker stands."""
        ...


class MarginMetrics(Protocol):
    """Where the monitor publishes what it finds."""

    def publish_house(
        self,
        results: Mapping[AccountRef, MarginResult],
        *,
        bands: Mapping[AccountRef, BandState],
        failed: Mapping[AccountRef, str],
        duration_s: float,
    ) -> None:
        """Publish one house run: results and remembered bands of accounts, and the reason's code of those that could not be margined."""
        ...

    def house_failed(self, reason: str) -> None:
        """Count a house run that could not even begin, by the reason's code. What was published before stays, and ages."""
        ...

    def withdraw_house(self) -> None:
        """Stop publishing: this process no longer leads."""
        ...


class RequestReports(Protocol):
    """Where people learn of orders that are open, of halts, and of trades to be looked at."""

    def requests_seen(self, reservations: Mapping[ReservationStatus, int], halts: Sequence[Halt]) -> None:
        """Publish how many reservations are active and suspect, and the halts in force. Of the process that leads."""
        ...

    def withdraw_requests(self) -> None:
        """Stop publishing reservations and halts: this process no longer leads."""
        ...

    def trades_flagged(self, flags: Iterable[TradeFlag]) -> None:
        """Count trades that were booked just now, once for each of their flags."""
        ...


class DueEventReports(Protocol):
    """Where people learn of lifecycle events that nobody has booked. Of the process that leads."""

    def due_events_seen(self, due: Sequence[datetime]) -> None:
        """Publish since when each missing event is due; nothing for none."""
        ...

    def withdraw_due_events(self) -> None:
        """Stop publishing: this process no longer leads, or does not know."""
        ...


class CallReports(Protocol):
    """Where people learn of margin calls."""

    def calls_seen(self, calls: Sequence[MarginCall]) -> None:
        """Publish the calls that are open. Of the process that leads."""
        ...

    def withdraw_calls(self) -> None:
        """Stop publishing open calls: this process no longer leads."""
        ...

    def call_changed(self, notice: CallNotice) -> None:
        """Count what this process has just done to a call."""
        ...


class LedgerReports(Protocol):
    """Where the leader tells what it does to guard the ledger: metrics, a log."""

    def anchor_taken(self, anchor: Anchor) -> None:
        """Tell that an anchor was taken."""
        ...

    def anchor_failed(self, reason: str, details: Sequence[str]) -> None:
        """Tell that none could be taken: `refused` when the ledger contradicts earlier anchors, `storage`, or `file`."""
        ...

    def ledger_checked(self, findings: Mapping[str, Sequence[Finding]], *, entry_count: int, duration_s: float) -> None:
        """Tell what a check of the ledger found, by its parts; how many entries were summed, and how long it took."""
        ...

    def check_failed(self, reason: str) -> None:
        """Tell that the ledger could not be checked, by the reason's code."""
        ...

    def withdraw_ledger(self) -> None:
        """Stop telling: this process no longer leads."""
        ...


class Leadership(Protocol):
    """At most one monitor at a time over all processes."""

    @property
    def leads(self) -> bool:
        """True when the last try succeeded. Asks nobody, so it may be late; what must not happen twice is guarded by the database."""
        ...

    @property
    def epoch(self) -> int:
        """The number of this lead, larger than that of every lead before; 0 while this process does not lead.

        What only the leader may write names it, and the storage refuses it once another process leads: a leader that was held up and does
        not know writes nothing any more.
        """
        ...

    async def try_lead(self) -> bool:
        """Return True while this process leads, trying to become the leader if nobody is."""
        ...
